"""The rules that never bend, one after the other, each against a whole KSeF. Rules 3 and 4 have files of their own.

A test's name begins with the number of its rule in the design.
"""

import base64
import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.klucznik.databases import everything_in, look
from tests.klucznik.mishaps import FILING, LIMITS, STATUS, Mishap, Network, meanwhile, paced
from tests.klucznik.world import (
    ENROLLMENTS,
    SandboxClock,
    accepted,
    assert_whole_pair,
    calls_of,
    company,
    context_of,
    filed,
    installed,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.pacing import Counter, micros
from klucznik.domain.preflight import Refusal
from klucznik.domain.reasons import Reason
from klucznik.errors import RateLimited
from klucznik.services.issue import Issued, issue
from klucznik.services.progress import Progress
from klucznik.services.sign_in import unsealed
from ksef_sandbox import Sandbox

# ── 1: limits first ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_rule_1_the_limits_are_read_inside_the_lease_and_before_the_first_request(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    seen: list[tuple[object, ...]] = []
    network = Network(Mishap(LIMITS, meanwhile(lambda: seen.extend(look(tmp_path, "SELECT owner FROM leases")))))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        credential = company(nip, ksef)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        assert seen == [(klucznik.owner,)]
    calls = [(call.method, call.route) for call in calls_of(ksef, credential.holder.signs_in_as)]
    assert calls.index(("GET", "/certificates/limits")) < calls.index(("POST", ENROLLMENTS))


@pytest.mark.parametrize("nth", [1, 2], ids=["before-the-first", "between-the-two"])
async def test_rule_1_the_limits_are_read_again_after_a_wait(nth: int, ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    network = Network(Mishap(FILING, paced(20), on=nth))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
    sent = [f"{request.method} {request.url.path}" for request in network.sent]
    refused = [index for index, what in enumerate(sent) if what == FILING][nth - 1]
    again = sent.index(FILING, refused + 1)
    assert LIMITS in sent[refused:again]


async def test_rule_1_limits_that_shrink_during_a_wait_stop_everything(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as

    class SomebodyElseWasFaster(SandboxClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            set_limits(ksef, subject, enrollment=1)

    network = Network(Mishap(FILING, paced(20)))
    clock = SomebodyElseWasFaster(ksef)
    async with installed(tmp_path, ksef, clock=clock, transport=network) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential)
    assert isinstance(outcome, Refusal)
    assert [finding.code for finding in outcome.reasons] == [Reason.REQUEST_LIMIT_BELOW_NEEDED]
    assert (outcome.needed, outcome.filed) == (2, 0)
    assert filed(ksef, subject) == []


async def test_rule_1_limits_that_shrink_while_a_request_waits_for_its_turn_stop_everything(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as

    class SomebodyElseWasFaster(SandboxClock):
        """Time that passes only where somebody waits, so that the second in which others called is not over before."""

        stands_at = ksef.now()

        def now(self) -> datetime:
            return self.stands_at

        async def sleep(self, seconds: float) -> None:
            self.stands_at += timedelta(seconds=seconds)
            set_limits(ksef, subject, enrollment=1)

    clock = SomebodyElseWasFaster(ksef)
    async with installed(tmp_path, ksef, clock=clock) as klucznik:
        counter = Counter.of(klucznik.environment, "POST", ENROLLMENTS, context_of(nip))
        for _ in range(10):
            await klucznik.pacer.book(counter, micros(clock.now()), 0)
        outcome = await issue(klucznik, context_of(nip), credential)
    assert isinstance(outcome, Refusal)
    assert (outcome.needed, outcome.filed) == (2, 0)
    assert filed(ksef, subject) == []


async def test_rule_1_two_persons_of_one_company_have_limits_of_their_own(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    spent, rested = owner(nip, ksef), company(nip, ksef)
    set_limits(ksef, spent.holder.signs_in_as, enrollment=0)
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik, context_of(nip), spent), Refusal)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), rested))


# ── 2: the key is safe before the request leaves ────────────────────────────────────────────────────────────────────


async def test_rule_2_key_request_name_and_intent_are_committed_when_the_request_leaves(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    committed: list[list[tuple[object, ...]]] = []
    query = """
        SELECT e.name, e.type, e.csr, length(k.ciphertext) > 0
        FROM enrollments e JOIN private_keys k ON k.id = e.key_id WHERE e.state = 'sending'
    """
    network = Network(Mishap(FILING, meanwhile(lambda: committed.append(look(tmp_path, query))), on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
    posted = [
        (body["certificateName"], body["certificateType"], _bytes_of(body["csr"])) for body in network.bodies(FILING)
    ]
    assert committed == [[(*one, 1)] for one in posted]
    assert [kind for _, kind, _ in posted] == ["Authentication", "Offline"]


def _bytes_of(text: object) -> bytes:
    assert isinstance(text, str)
    return base64.b64decode(text)


# ── 7: secrets stay in the vault ────────────────────────────────────────────────────────────────────────────────────


async def test_rule_7_no_key_and_no_token_is_in_any_file_log_or_repr(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nip = some_nip()
    credential = company(nip, ksef)
    heard: list[Progress] = []
    network = Network()
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential, listener=heard.append)
        await assert_whole_pair(klucznik, outcome)
        assert isinstance(outcome, Issued)
        keys = [credential.private_key, *[await unsealed(klucznik, held.key_id) for held in outcome.certificates]]
        written = everything_in(tmp_path)
        shown = " ".join([caplog.text, repr(outcome), repr(heard), repr(klucznik), repr(credential)]).encode()
    carried = [request.headers["Authorization"] for request in network.sent if "Authorization" in request.headers]
    tokens = {header.removeprefix("Bearer ") for header in carried}
    assert len(tokens) >= 3  # of signing in, of access, of the end of the session
    secrets = [token.encode() for token in tokens]
    for key in keys:
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        number = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
        secrets += [pkcs8, number, number.hex().encode(), str(int.from_bytes(number)).encode()]
    for secret in secrets:
        assert secret not in written
        assert secret not in shown
    assert nip.encode() in written  # the files are the right ones


# ── 8: KSeF's limits on calls are ours ──────────────────────────────────────────────────────────────────────────────


async def test_rule_8_a_slow_ksef_is_asked_at_most_30_times_a_minute_and_120_times_an_hour(
    ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(enroll_delay_ms=9 * 60_000)
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    polls = [
        call.at
        for call in calls_of(ksef, credential.holder.signs_in_as)
        if call.route == "/certificates/enrollments/{referenceNumber}"
    ]
    assert polls[-1] - polls[0] > timedelta(minutes=8)
    for window, allowed in ((timedelta(minutes=1), 30), (timedelta(hours=1), 120)):
        assert max(sum(start <= poll < start + window for poll in polls) for start in polls) <= allowed


@pytest.mark.parametrize("where", [FILING, STATUS], ids=["filing", "polling"])
async def test_rule_8_retry_after_is_obeyed_exactly(where: str, ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    clock = SandboxClock(ksef)
    asked: list[datetime] = []

    def note() -> None:
        asked.append(clock.now())

    network = Network(Mishap(where, paced(37, meanwhile=note)), Mishap(where, meanwhile(note), on=2))
    async with installed(tmp_path, ksef, clock=clock, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
    refused, again = asked
    assert timedelta(seconds=37) <= again - refused < timedelta(seconds=60)


async def test_rule_8_a_long_pause_is_told_and_nothing_is_sent(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, paced(3600)))) as klucznik:
        with pytest.raises(RateLimited) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.retry_after == 3600
        assert filed(ksef, subject) == []
        ksef.advance(seconds=3600)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(accepted(ksef, subject)) == 2
