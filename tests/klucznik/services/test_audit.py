"""The audit log tells every step with its evidence, and nobody changes, cuts or adds to it unseen."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, text
from tests.klucznik.databases import database_in
from tests.klucznik.mishaps import FILING, Mishap, Network, answer_lost, error_before, refused
from tests.klucznik.world import assert_whole_pair, company, context_of, installed, set_limits, some_nip

from klucznik.domain.audit import INSTALLATION, Entry, Event, Head, Record, chain_of
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.preflight import Refusal
from klucznik.errors import InputError, KsefRefused, StorageError
from klucznik.keys.master_key import MasterKey
from klucznik.keys.vault import Vault
from klucznik.services import audit_files
from klucznik.services.advance import take_lease
from klucznik.services.audit import Flaw, Pen, Verified, export, verify
from klucznik.services.cancel import cancel
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.storage import audit as rows
from klucznik.storage.database import Database
from klucznik.storage.schema import APPEND_ONLY, audit_heads, audit_log
from ksef_sandbox import Sandbox

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def told(installation: Installation, subject: Subject) -> list[tuple[str, dict[str, Any]]]:
    """The events of a subject with their facts."""
    chain = chain_of(installation.environment, subject)
    found = await installation.database.read(lambda connection: list(rows.rows_of(connection, chain)))
    return [(row.event, json.loads(row.facts)) for row in found]


async def assert_whole(installation: Installation) -> Verified:
    found = await verify(installation)
    assert found.broken == ()
    return found


async def test_a_pair_is_told_step_by_step_with_its_evidence(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        log = await told(klucznik, credential.holder.signs_in_as)
        await assert_whole(klucznik)
    assert [event for event, _ in log] == [
        "issuance_ordered",
        "preflight_passed",
        *("request_intended", "request_filed") * 2,
        *("certificate_issued",) * 2,
        *("certificate_retrieved",) * 2,
        "connection_made",
        "certificates_proved",
        "issuance_ended",
    ]
    facts = dict(log)
    assert facts["preflight_passed"]["limits"]["requests"] == {"remaining": 300, "limit": 300}
    intents = [one for event, one in log if event == "request_intended"]
    assert [one["remaining_before"] for one in intents] == [300, 299]
    assert all(one["name"].startswith("Klucznik ") for one in intents)
    assert "-EH-" in facts["request_filed"]["reference"]
    assert len(facts["certificates_proved"]["proofs"]) == 2
    assert facts["issuance_ended"]["state"] == "done"


async def test_a_refusal_is_told_with_the_limits_it_rests_on(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik, context_of(nip), credential), Refusal)
        log = dict(await told(klucznik, credential.holder.signs_in_as))
    assert log["preflight_refused"]["reasons"] == ["request_limit_below_needed"]
    assert log["preflight_refused"]["limits"]["requests"] == {"remaining": 1, "limit": 1}
    assert log["issuance_ended"]["state"] == "refused"


async def test_a_lost_answer_is_told_with_what_was_found(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, answer_lost))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        log = await told(klucznik, credential.holder.signs_in_as)
    events = [event for event, _ in log]
    assert events.index("request_intended") < events.index("answer_lost") < events.index("reconciled_adopted")
    assert dict(log)["reconciled_adopted"]["public_key"] == "ours"


async def test_a_request_that_never_arrived_is_told_with_the_counter(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, error_before))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        log = dict(await told(klucznik, credential.holder.signs_in_as))
    evidence = log["reconciled_never_arrived"]
    assert (evidence["remaining_before"], evidence["remaining_after"], evidence["came_back"]) == (300, 300, 0)
    assert evidence["seconds_since"] >= 90


async def test_a_rejection_is_told_with_ksefs_code(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, refused(25006)))) as klucznik:
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(nip), credential)
        log = dict(await told(klucznik, credential.holder.signs_in_as))
    assert log["request_rejected"]["code"] == 25006
    assert log["issuance_ended"]["state"] == "rejected"
    assert len(log["issuance_ended"]["never_sent"]) == 1


async def test_calling_off_and_taking_over_are_told(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path, ksef) as dead, installed(tmp_path, ksef) as klucznik:
        ordered = await order(klucznik, context_of(nip), credential)
        await take_lease(dead, subject)
        ksef.advance(seconds=30)
        await cancel(klucznik, ordered.id)  # type: ignore[union-attr]
        log = dict(await told(klucznik, subject))
        await assert_whole(klucznik)
    assert log["lease_taken_over"]["from"] == dead.owner
    assert log["issuance_cancelled"] == {"state": "cancelled", "spent": 0, "saved": 2}


async def test_what_is_undone_is_not_told_and_what_comes_next_is(ksef: Sandbox, tmp_path: Path) -> None:
    """The log is written in the transaction of what it tells of."""
    subject = Subject(SubjectType.NIP, "5265877635")
    chain = chain_of(Environment.SANDBOX, subject)

    class Undone(Exception):
        """Something that goes wrong after the row was written."""

    async with installed(tmp_path, ksef) as klucznik:
        pen = Pen(klucznik.vault, "me", klucznik.heads)

        def work(connection: Connection, *, fails: bool) -> None:
            pen.write(connection, chain, [Entry(Event.WAITING, {"fails": fails})], now=NOW)
            if fails:
                raise Undone

        for fails in (False, True, True, False):
            try:
                await klucznik.database.write(lambda connection, fails=fails: work(connection, fails=fails))  # type: ignore[misc]
            except Undone:
                assert fails
        assert [facts["fails"] for _, facts in await told(klucznik, subject)] == [False, False]
        await assert_whole(klucznik)


async def test_two_processes_write_to_one_chain(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as one, installed(tmp_path, ksef) as other:
        for number in range(6):
            here = one if number % 2 else other
            pen = Pen(here.vault, here.owner, here.heads)
            entry = Entry(Event.WAITING, {"number": number})
            await here.database.write(
                lambda connection, pen=pen, entry=entry: pen.write(connection, INSTALLATION, [entry], now=NOW)  # type: ignore[misc]
            )
        assert (await assert_whole(one)).rows == 7  # and the first data key


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET event = 'x'", "DELETE FROM audit_log"])
async def test_the_database_itself_refuses_to_change_a_row(statement: str, ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(StorageError):
            await klucznik.database.write(lambda connection: connection.execute(text(statement)))
        assert (await assert_whole(klucznik)).rows == 1


async def test_the_export_ends_with_the_heads_and_a_later_look_compares_with_them(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    kept = tmp_path / "kept.jsonl"
    async with installed(tmp_path / "home", ksef) as klucznik:
        await issue(klucznik, context_of(nip), credential)
        written = await audit_files.write(klucznik, kept)
        lines = [json.loads(line) for line in kept.read_text().splitlines()]
        assert (len(lines), [set(line) >= {"head"} for line in lines]) == (written + 2, [False] * written + [True] * 2)
        assert oct(kept.stat().st_mode)[-3:] == "600"
        await issue(klucznik, context_of(nip), credential, another_pair=True)
        found = await verify(klucznik, audit_files.heads_in(kept))
        assert (found.broken, found.compared) == ((), 2)
        since: list[Record | Head] = []
        assert await export(klucznik, since.append, since=ksef.now() + timedelta(days=1)) == 0
        assert all(isinstance(one, Head) for one in since)
        with pytest.raises(InputError) as caught:
            await audit_files.write(klucznik, kept)
        assert caught.value.reason == "file_exists"
    # Another log altogether, whole in itself, is not the one that was exported.
    async with installed(tmp_path / "other", ksef) as other:
        found = await verify(other, audit_files.heads_in(kept))
    assert {one.flaw for one in found.broken} == {Flaw.NOT_AS_EXPORTED}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "audit_heads_unreadable"), (b"{", "audit_heads_malformed"), (b"\xff", "audit_heads_malformed"),
     (b'{"head": "x"}', "audit_heads_malformed"), (b"[]", "audit_heads_none"), (b"", "audit_heads_none")],
)  # fmt: skip
def test_a_file_that_is_no_export_is_refused(content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "heads"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(audit_files.heads_in(file))
    assert caught.value.reason == reason


# ── whoever can write the database and lacks the master key ──────────────────────────────────────────────────────


class Log:
    """A log of three chains in a database without triggers, to be spoilt and made good again."""

    CHAINS = (INSTALLATION, "test:Nip:5265877635", "test:Pesel:80010112345")
    ROWS = 4

    def __init__(self, home: Path) -> None:
        self.database = Database(database_in(home))
        self.vault = Vault(MasterKey(b"m" * 32), {})
        self.vault.new_data_key()
        self.rows: list[Record] = []
        self.heads: list[Head] = []

    async def fill(self) -> None:
        await self.database.write(self._fill)

    def _fill(self, connection: Connection) -> None:
        _without_triggers(connection)
        pen = Pen(self.vault, "actor")
        for number in range(self.ROWS):
            for chain in self.CHAINS:
                entry = Entry(Event.WAITING, {"n": number}, None if number % 2 else "i" * 32)
                pen.write(connection, chain, [entry], now=NOW + timedelta(seconds=number))
            if number == 1:
                self.vault.new_data_key()  # a chain goes on under another key
        self.rows = [
            Record._make(row) for row in connection.execute(select(*(audit_log.c[name] for name in Record._fields)))
        ]
        self.heads = [Head._make(row) for row in connection.execute(select(audit_heads))]

    async def flaws(self, rows: list[Record], heads: list[Head]) -> tuple[Any, ...]:
        """What is found where these are in the tables."""

        def put(connection: Connection) -> None:
            for table, content in ((audit_log, rows), (audit_heads, heads)):
                connection.execute(delete(table))
                for row in content:
                    connection.execute(insert(table).values(row._asdict()))

        await self.database.write(put)
        return (await verify(self)).broken  # type: ignore[arg-type]  # a database and a vault is all it takes


def _without_triggers(connection: Connection) -> None:
    for statement in APPEND_ONLY[connection.dialect.name]:
        words = statement.split()
        if "TRIGGER" in words:
            on = " ON audit_log" if connection.dialect.name == "postgresql" else ""
            connection.execute(text(f"DROP TRIGGER {words[words.index('TRIGGER') + 1]}{on}"))


@pytest.fixture
async def log(tmp_path: Path) -> Any:
    made = Log(tmp_path)
    await made.fill()
    yield made
    made.database.close()


def flipped(value: Any, bit: int) -> Any:
    """The value with one bit of its bytes turned over; None where that is no value of a column any more."""
    if value is None:
        return "i"
    if isinstance(value, int):
        return value ^ (1 << bit % 16)
    raw = bytearray(value if isinstance(value, bytes) else value.encode())
    if not raw:
        return value + (b"x" if isinstance(value, bytes) else "x")
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    if isinstance(value, bytes):
        return bytes(raw)
    try:
        changed = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in changed else changed


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_bit_that_is_turned_over_is_found(log: Any, data: st.DataObject) -> None:
    in_heads = data.draw(st.booleans(), label="in heads")
    table: list[Any] = list(log.heads if in_heads else log.rows)
    at = data.draw(st.integers(0, len(table) - 1), label="row")
    column = data.draw(st.sampled_from(table[at]._fields), label="column")
    changed = flipped(getattr(table[at], column), data.draw(st.integers(0, 511), label="bit"))
    if changed is None:
        return
    table[at] = table[at]._replace(**{column: changed})
    keys = [tuple(row[: 1 if in_heads else 2]) for row in table]
    if len(set(keys)) != len(keys):
        return  # the database allows no two such rows
    assert await log.flaws(*((log.rows, table) if in_heads else (table, log.heads)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_row_that_is_taken_away_swapped_or_put_in_is_found(log: Any, data: st.DataObject) -> None:
    changed: list[Record] = list(log.rows)
    one, other = data.draw(st.lists(st.integers(0, len(changed) - 1), min_size=2, max_size=2, unique=True))
    kind = data.draw(st.sampled_from(["taken away", "swapped", "put in", "moved", "last row doubled"]))
    place: dict[str, Any] = {"chain": changed[one].chain, "number": changed[one].number}
    if kind == "taken away":
        del changed[one]
    elif kind == "swapped":
        away: dict[str, Any] = {"chain": changed[other].chain, "number": changed[other].number}
        changed[one], changed[other] = changed[other]._replace(**place), changed[one]._replace(**away)
    elif kind == "put in":
        changed.append(changed[one]._replace(number=log.ROWS + 1))
    elif kind == "moved":
        changed[one] = changed[one]._replace(number=changed[one].number + log.ROWS)
    else:
        changed[one] = changed[other]._replace(**place)
    assert await log.flaws(changed, log.heads)


async def test_the_first_broken_row_is_named(log: Any) -> None:
    chain = log.CHAINS[1]
    spoilt = [row._replace(facts='{"n":9}') if (row.chain, row.number) == (chain, 3) else row for row in log.rows]
    (found,) = await log.flaws(spoilt, log.heads)
    assert (found.chain, found.number, found.flaw) == (chain, 3, Flaw.ROW_CHANGED)
    assert await log.flaws(log.rows, log.heads) == ()


Cut = Callable[[Any, Head, Record], Head | None]


@pytest.mark.parametrize(
    ("cut", "flaw"),
    [
        (lambda log, head, last: head, Flaw.END_CUT_OFF),
        (
            lambda log, head, last: head._replace(number=last.number, mac=last.mac, key_id=last.key_id),
            Flaw.HEAD_CHANGED,
        ),
        (lambda log, head, last: None, Flaw.HEAD_MISSING),
    ],
    ids=["head left", "head set back", "head taken away"],
)
async def test_a_chain_whose_end_was_cut_off_is_found_and_stays_found(log: Any, cut: Cut, flaw: Flaw) -> None:
    """Also after the next rows have been written: they never seal what somebody else has changed."""
    chain = log.CHAINS[2]
    left = [row for row in log.rows if row.chain != chain or row.number <= 2]
    last = next(row for row in left if (row.chain, row.number) == (chain, 2))
    heads = [cut(log, head, last) if head.chain == chain else head for head in log.heads]
    (found,) = await log.flaws(left, [head for head in heads if head is not None])
    assert (found.chain, found.flaw) == (chain, flaw)
    pen = Pen(log.vault, "actor")
    await log.database.write(lambda connection: pen.write(connection, chain, [Entry(Event.WAITING)], now=NOW))
    await log.database.write(lambda connection: pen.write(connection, chain, [Entry(Event.WAITING)], now=NOW))
    assert [one.chain for one in (await verify(log)).broken] == [chain]


async def test_a_log_of_another_vault_proves_nothing(log: Any) -> None:
    log.vault = Vault(MasterKey(b"o" * 32), {})
    log.vault.new_data_key()
    found = await verify(log)
    assert {one.flaw for one in found.broken} == {Flaw.KEY_UNKNOWN}
    assert len(found.broken) == len(log.CHAINS)
