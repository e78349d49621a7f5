"""A backup opens again on another machine, tells of every damage, and never leads to a request that is filed twice."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from tests.klucznik.databases import look
from tests.klucznik.mishaps import FILING, STATUS, Mishap, Network, changed, not_connected
from tests.klucznik.world import (
    SandboxClock,
    accepted,
    assert_key_kept,
    assert_whole_pair,
    company,
    context_of,
    installed,
    rows_of,
    some_nip,
)

from klucznik.domain.issuance import EnrollmentState, Issuance, IssuanceState
from klucznik.errors import InputError, KlucznikError, KsefRefused, KsefUnavailable
from klucznik.keys.credential import Credential
from klucznik.services.advance import advance, take_lease
from klucznik.services.audit import verify
from klucznik.services.backup import backup, restore
from klucznik.services.certificates import in_vault
from klucznik.services.compare import compare_with_ksef
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue, order
from klucznik.services.reconcile import GIVEN_UP_AFTER_A_RESTORE
from klucznik.services.resume import resume
from klucznik.storage import issuances
from klucznik.storage.schema import enrollments
from ksef_sandbox import Sandbox

PASSPHRASE = b"kanarek kopii zapasowej"


@asynccontextmanager
async def furnished(home: Path, ksef: Sandbox, nip: str, credential: Credential) -> AsyncIterator[Installation]:
    """An installation with a pair."""
    async with installed(home, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        yield klucznik


async def test_a_backup_is_restored_on_another_machine_with_another_master_key(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    file = tmp_path / "backup"
    async with furnished(tmp_path / "old", ksef, nip, credential) as old:
        await backup(old, file, PASSPHRASE)
        before = await in_vault(old)
    assert oct(file.stat().st_mode)[-3:] == "600"
    async with installed(tmp_path / "new", ksef) as new:
        done = await restore(new, file, PASSPHRASE)
        assert (done.certificates, done.issuances, done.lost) == (2, 1, 0)
    assert (tmp_path / "old" / "vault.key").read_bytes() != (tmp_path / "new" / "vault.key").read_bytes()
    async with installed(tmp_path / "new", ksef) as new:
        after = await in_vault(new)
        assert after == before
        for held in after:
            await assert_key_kept(new, held.der, held.key_id)
        found = await verify(new)
        assert found.broken == ()
        # The vault signs in, and the pair counts as held: nothing is asked of KSeF.
        ksef.clear_requests()
        await issue(new, context_of(nip), None)
        assert accepted(ksef, credential.holder.signs_in_as) == []


@pytest.mark.postgresql
async def test_a_backup_of_one_kind_of_database_is_restored_into_the_other_and_back(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    clock = SandboxClock(ksef)

    async def in_a_file(home: Path) -> Installation:
        return await Installation.open(home, ksef_url=ksef.base_url, clock=clock)

    async with await in_a_file(tmp_path / "file") as one:
        await assert_whole_pair(one, await issue(one, context_of(nip), company(nip, ksef)))
        await backup(one, tmp_path / "of the file", PASSPHRASE)
        before = await in_vault(one)
    async with installed(tmp_path / "server", ksef) as server:
        await restore(server, tmp_path / "of the file", PASSPHRASE)
    async with installed(tmp_path / "server", ksef) as server:
        assert await in_vault(server) == before
        assert (await verify(server)).broken == ()
        await backup(server, tmp_path / "of the server", PASSPHRASE)
    async with await in_a_file(tmp_path / "back") as back:
        await restore(back, tmp_path / "of the server", PASSPHRASE)
    async with await in_a_file(tmp_path / "back") as back:
        assert await in_vault(back) == before
        assert (await verify(back)).broken == ()
        for held in before:
            await assert_key_kept(back, held.der, held.key_id)


async def test_a_backup_holds_nothing_that_can_be_read(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    file = tmp_path / "backup"
    async with furnished(tmp_path / "home", ksef, nip, company(nip, ksef)) as klucznik:
        await backup(klucznik, file, PASSPHRASE)
    content = file.read_bytes()
    for secret in (PASSPHRASE, nip.encode(), b"Klucznik ", b"certificates"):
        assert secret not in content


async def test_what_is_here_is_compared_and_kept_unless_forced(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    file = tmp_path / "backup"
    async with furnished(tmp_path / "home", ksef, nip, credential) as klucznik:
        await backup(klucznik, file, PASSPHRASE)
        await issue(klucznik, context_of(nip), credential, another_pair=True)
        with pytest.raises(InputError) as caught:
            await restore(klucznik, file, PASSPHRASE)
        assert caught.value.reason == "restore_over_state"
        assert caught.value.data == {"certificates": 4, "issuances": 2, "lost": 2, "lost_issuances": 1}
        assert len(await in_vault(klucznik)) == 4
        done = await restore(klucznik, file, PASSPHRASE, force=True)
        assert (done.certificates, done.lost) == (2, 2)
    async with installed(tmp_path / "home", ksef) as klucznik:
        assert len(await in_vault(klucznik)) == 2
        assert (await verify(klucznik)).broken == ()


async def test_nothing_is_restored_under_the_hands_of_somebody_at_work(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    file = tmp_path / "backup"
    async with furnished(tmp_path / "home", ksef, nip, credential) as klucznik:
        await backup(klucznik, file, PASSPHRASE)
        await take_lease(klucznik, credential.holder.signs_in_as)
        with pytest.raises(InputError) as caught:
            await restore(klucznik, file, PASSPHRASE, force=True)
        assert caught.value.reason == "restore_while_working"
        ksef.advance(seconds=30)
        await restore(klucznik, file, PASSPHRASE, force=True)
    # Whoever held it then is no holder any more, whatever had been counted in the backup.
    (token,) = look(tmp_path / "home", "SELECT token FROM leases")[0]
    assert token == 3


async def test_every_damage_is_told_in_its_own_words_and_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    file = tmp_path / "backup"
    async with furnished(tmp_path / "home", ksef, nip, company(nip, ksef)) as klucznik:
        await backup(klucznik, file, PASSPHRASE)
    good = file.read_bytes()
    middle, flipped = len(good) // 2, bytes([good[len(good) // 2] ^ 1])
    wrong = {
        "not one": (b"PK\3\4" + good[4:], "backup_not_one"),
        "empty": (b"", "backup_not_one"),
        "newer": (good.replace(b"backup 1\n", b"backup 9\n", 1), "backup_of_newer_release"),
        "one bit": (good[:middle] + flipped + good[middle + 1 :], "backup_damaged"),
        "something behind": (good + b"x", "backup_damaged"),
        "cut": (good[:-1], "backup_cut_off"),
        "header alone": (good[:40], "backup_cut_off"),
        "salt alone": (good[:30], "backup_cut_off"),
    }
    async with installed(tmp_path / "new", ksef) as new:
        for name, (content, reason) in wrong.items():
            (tmp_path / "wrong").write_bytes(content)
            with pytest.raises(InputError) as caught:
                await restore(new, tmp_path / "wrong", PASSPHRASE)
            assert (name, caught.value.reason) == (name, reason)
        for source, passphrase, reason in (
            (file, b"another passphrase", "backup_passphrase_wrong"),
            (tmp_path / "absent", PASSPHRASE, "backup_unreadable"),
        ):
            with pytest.raises(InputError) as caught:
                await restore(new, source, passphrase)
            assert caught.value.reason == reason
        assert await in_vault(new) == []
        await restore(new, file, PASSPHRASE)


async def test_a_backup_is_never_written_over_a_file_nor_left_in_halves(ksef: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    async with installed(tmp_path / "home", ksef) as klucznik:
        await backup(klucznik, file, PASSPHRASE)
        first = file.read_bytes()
        with pytest.raises(InputError) as caught:
            await backup(klucznik, file, PASSPHRASE)
        assert (caught.value.reason, file.read_bytes()) == ("file_exists", first)
        await backup(klucznik, file, PASSPHRASE, overwrite=True)
        assert file.read_bytes() != first
        with pytest.raises(InputError) as caught:
            await backup(klucznik, tmp_path / "short", b"short")
        assert caught.value.reason == "backup_passphrase_short"
    assert {path.name for path in tmp_path.iterdir()} == {"home", "backup"}


# ── a restore from an older backup ───────────────────────────────────────────────────────────────────────────────


async def test_an_order_that_was_carried_out_since_is_ended_and_its_lost_keys_are_named(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject, file = credential.holder.signs_in_as, tmp_path / "backup"
    async with installed(tmp_path / "old", ksef) as old:
        ordered = await order(old, context_of(nip), credential)
        assert isinstance(ordered, Issuance)
        await backup(old, file, PASSPHRASE)
        done = await advance(old, ordered.id)
        assert done.state is IssuanceState.DONE
        lost = {held.serial_number for held in await in_vault(old)}
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        with pytest.raises(KsefRefused) as caught:
            await resume(new, ordered.id, credential)
        assert caught.value.reason == "issued_since_the_backup"
        assert set(str(caught.value.data["serials"]).split(", ")) == lost
        assert len(accepted(ksef, subject)) == 2
        found = await compare_with_ksef(new, context_of(nip), credential)
        assert {record.serial_number for record in found.gone} == lost
        assert (found.since, found.adopted) == (None, ())  # the mark is gone: this was a second look


@pytest.mark.parametrize("state", [EnrollmentState.KEY_COMMITTED, EnrollmentState.SENDING])
async def test_requests_that_a_backup_thinks_unsent_are_found_and_never_sent_again(
    state: EnrollmentState, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject, file = credential.holder.signs_in_as, tmp_path / "backup"
    network = Network(Mishap(FILING, not_connected))
    async with installed(tmp_path / "old", ksef, transport=network) as old:
        with pytest.raises(KsefUnavailable):
            await issue(old, context_of(nip), credential)
        (first, _) = await rows_of(old, subject)
        await old.database.write(
            lambda connection: connection.execute(
                update(enrollments).where(enrollments.c.id == first.id).values(state=state.value)
            )
        )
        await backup(old, file, PASSPHRASE)
        if state is EnrollmentState.SENDING:
            ksef.advance(minutes=10)
        await assert_whole_pair(old, await issue(old, context_of(nip), credential))
    assert len(accepted(ksef, subject)) == 2
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        assert {row.state for row in await rows_of(new, subject)} == {EnrollmentState.UNKNOWN}
        await assert_whole_pair(new, await issue(new, context_of(nip), credential))
    assert len(accepted(ksef, subject)) == 2


async def test_requests_of_a_backup_that_ksef_does_not_list_are_given_up_and_not_sent(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject, file = credential.holder.signs_in_as, tmp_path / "backup"
    async with installed(tmp_path / "old", ksef, transport=Network(Mishap(FILING, not_connected))) as old:
        with pytest.raises(KsefUnavailable):
            await issue(old, context_of(nip), credential)
        await backup(old, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        began = ksef.now()
        running = await new.database.read(lambda connection: issuances.running(connection, new.environment, subject))
        assert running is not None
        while ksef.now() - began < GIVEN_UP_AFTER_A_RESTORE + timedelta(hours=1):
            try:
                await resume(new, running.id, credential)
            except KlucznikError as error:
                if error.reason in ("enrollment_given_up", "issuance_ended"):
                    break
            ksef.advance(minutes=11)
        assert accepted(ksef, subject) == []
        # What was given up bars nobody: the next order starts from the limits.
        outcome = await issue(new, context_of(nip), credential)
        assert isinstance(outcome, Issued)
    assert len(accepted(ksef, subject)) == 2


async def test_a_request_that_was_filed_anew_since_is_not_filed_anew_once_more(ksef: Sandbox, tmp_path: Path) -> None:
    """KSeF drops the first one after the backup; the old installation replaced it, with a key that is gone."""
    nip = some_nip()
    credential = company(nip, ksef)
    subject, file = credential.holder.signs_in_as, tmp_path / "backup"
    dropped = Mishap(STATUS, changed(_dropped))
    async with installed(tmp_path / "old", ksef, transport=Network(Mishap(STATUS, not_connected, on=None))) as old:
        with pytest.raises(KsefUnavailable):
            await issue(old, context_of(nip), credential)
        await backup(old, file, PASSPHRASE)
    async with installed(tmp_path / "old", ksef, transport=Network(dropped)) as old:
        await assert_whole_pair(old, await issue(old, context_of(nip), credential))
    spent = len(accepted(ksef, subject))
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    dropped = Mishap(STATUS, changed(_dropped))
    async with installed(tmp_path / "new", ksef, transport=Network(dropped)) as new:
        with pytest.raises(KlucznikError):
            await issue(new, context_of(nip), credential)
    assert len(accepted(ksef, subject)) == spent == 3


def _dropped(body: dict[str, object]) -> None:
    body["status"] = {"code": 550, "description": "Operacja została anulowana przez system"}


async def test_a_request_under_way_in_the_backup_is_finished_with_its_key(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject, file = credential.holder.signs_in_as, tmp_path / "backup"
    async with installed(tmp_path / "old", ksef, transport=Network(Mishap(STATUS, not_connected, on=None))) as old:
        with pytest.raises(KsefUnavailable):
            await issue(old, context_of(nip), credential)
        await backup(old, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        await assert_whole_pair(new, await issue(new, context_of(nip), credential))
    assert len(accepted(ksef, subject)) == 2


async def test_logins_stay_behind_and_the_marks_of_a_restore_are_taken_away_one_by_one(
    ksef: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    nips = [some_nip(), some_nip()]
    credentials = [company(nip, ksef) for nip in nips]
    async with installed(tmp_path / "old", ksef) as old:
        for nip, credential in zip(nips, credentials, strict=True):
            await order(old, context_of(nip), credential)
        await backup(old, file, PASSPHRASE)
    async with installed(tmp_path / "new", ksef) as new:
        await restore(new, file, PASSPHRASE)
    assert look(tmp_path / "new", "SELECT count(*) FROM logins") == [(0,)]
    async with installed(tmp_path / "new", ksef) as new:
        assert look(tmp_path / "new", "SELECT count(*) FROM restored_subjects") == [(2,)]
        found = await compare_with_ksef(new, context_of(nips[0]), credentials[0])
        assert (found.gone, found.adopted) == ((), ())
        assert found.since is not None
        left = look(tmp_path / "new", "SELECT subject_value FROM restored_subjects")
        assert left == [(nips[1],)]
        await assert_whole_pair(new, await issue(new, context_of(nips[1]), credentials[1]))
        assert look(tmp_path / "new", "SELECT count(*) FROM restored_subjects") == [(0,)]


async def test_a_backup_of_an_earlier_revision_becomes_todays_tables(ksef: Sandbox, tmp_path: Path) -> None:
    """Told to be of the last revision but one, whose tables it fits."""
    from klucznik.storage import dump
    from klucznik.storage.migrate import scripts

    revision = scripts().get_current_head()
    assert revision is not None
    earlier = scripts().get_revision(revision).down_revision
    nip = some_nip()
    async with furnished(tmp_path / "old", ksef, nip, company(nip, ksef)) as old:
        # That revision had no such tables; its migration makes the connection out of the certificates.
        for delete in ("DELETE FROM connections", "DELETE FROM events"):
            statement = text(delete)
            await old.database.write(lambda connection, statement=statement: connection.execute(statement))  # type: ignore[misc]
        keys = await old.database.read(
            lambda connection: connection.execute(text("SELECT id FROM data_keys")).scalars().all()
        )
        rewrapped = {key.data_key_id: key for key in old.vault.take_over(old.vault)}
        lines = await old.database.read(
            lambda connection: list(dump.lines(connection, lambda ids: [rewrapped[one] for one in ids], ksef.now()))
        )
        before = await in_vault(old)
    assert len(keys) == 1
    told = [line.replace(f'"revision":"{revision}"', f'"revision":"{earlier}"').encode() for line in lines]
    shutil.copy(tmp_path / "old" / "vault.key", tmp_path / "vault.key")
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "vault.key", tmp_path / "new" / "vault.key")
    async with installed(tmp_path / "new", ksef) as new:
        read = dump.Dump.read(told)
        await new.database.remake(
            lambda connection: dump.replace_everything(connection, read, read.data_keys, ksef.now())
        )
    async with installed(tmp_path / "new", ksef) as new:
        assert await in_vault(new) == before
        for held in before:
            await assert_key_kept(new, held.der, held.key_id)
        assert await new.database.read(lambda connection: connection.execute(text("SELECT * FROM users")).all()) == []
