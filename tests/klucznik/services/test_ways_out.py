"""Each way out of a refusal is walked against a KSeF, and does to both counters what it has promised, and no more.

Which ways there are is tried in `tests/klucznik/domain/test_remedies.py`. How KSeF counts requests is not documented,
so whatever depends on it is tried under every rule that the sources leave possible.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.mishaps import Mishap, Network, not_connected
from tests.klucznik.offices import NAME, signed_in_as
from tests.klucznik.world import (
    assert_whole_pair,
    company,
    context_of,
    filed,
    installed,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Health
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.preflight import Refusal
from klucznik.domain.reasons import Reason, RemedyKind, Risk
from klucznik.domain.remedies import Remedy
from klucznik.errors import KsefUnavailable
from klucznik.keys.credential import Credential
from klucznik.keys.import_ import load_ksef_certificate
from klucznik.services.export import ExportFormat, export
from klucznik.services.grant import Granted
from klucznik.services.import_ import bring_in
from klucznik.services.installation import Installation
from klucznik.services.issue import AlreadyHeld, Issued, issue
from klucznik.services.limits import read_limits
from klucznik.services.operator import set_operator
from klucznik.services.renewal.renew import RenewalEnd, renew
from klucznik.services.revoke import Revoked, revoke
from klucznik.services.ways_out import Turn, WaysOut
from ksef_sandbox import Sandbox

RULES = ("rolling", "fixed_from_first", "until_30d_after_last", "lifetime")
A_MOMENT = timedelta(minutes=2)
under_every_rule = pytest.mark.parametrize("rule", RULES)


def way(refusal: object, kind: RemedyKind) -> Remedy:
    assert isinstance(refusal, Refusal), refusal
    found = [remedy for remedy in refusal.remedies if remedy.kind is kind]
    assert found, refusal.remedies
    return found[0]


async def counters(klucznik: Installation, nip: str, credential: Credential) -> tuple[int, int]:
    """Requests and slots that are left."""
    found = (await read_limits(klucznik, context_of(nip), credential)).limits
    return found.enrollment.remaining, found.certificate.remaining


def promised(before: tuple[int, int], *remedies: Remedy) -> tuple[int, int]:
    requests, slots = before
    for remedy in remedies:
        requests += remedy.frees_requests - remedy.spends
        slots += remedy.frees_certificates - remedy.spends
    return requests, slots


def sign_ins(ksef: Sandbox) -> int:
    return len(ksef.requests(method="POST", path="/auth/xades-signature"))


async def someone_elses_pairs(home: Path, ksef: Sandbox, nip: str, credential: Credential, number: int) -> None:
    """Pairs that another program holds."""
    async with installed(home, ksef) as elsewhere:
        for _ in range(number):
            await assert_whole_pair(elsewhere, await issue(elsewhere, context_of(nip), credential, another_pair=True))


async def a_half(klucznik: Installation, nip: str, credential: Credential) -> None:
    """An Authentication certificate here and nothing else: its twin was revoked."""
    outcome = await issue(klucznik, context_of(nip), credential)
    assert isinstance(outcome, Issued)
    offline = next(one for one in outcome.certificates if one.type is CertificateType.OFFLINE)
    await revoke(klucznik, context_of(nip), offline.serial_number, credential, confirm=lambda _: True)


def revoking(then: Turn | None = None, *, end_sessions: bool = False) -> Callable[[WaysOut], Awaitable[Turn]]:
    """Takes the suggested certificates, and goes on as the ways out say unless told otherwise."""

    async def walk(ways: WaysOut) -> Turn:
        suggested = way(ways.refusal, RemedyKind.REVOKE).suggested_certificates
        await ways.revoke(suggested, end_sessions=end_sessions)
        return ways.after_revoking if then is None else then

    return walk


@under_every_rule
async def test_revoking_frees_the_slots_it_promises_and_never_a_request(
    rule: str, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(enrollment_window=rule, revoke_delay_ms=2000)
    nip = some_nip()
    credential = owner(nip, ksef)
    subject = credential.holder.signs_in_as
    await someone_elses_pairs(tmp_path / "elsewhere", ksef, nip, credential, 2)
    set_limits(ksef, subject, enrollment=7, certificate=4)
    async with installed(tmp_path / "here", ksef) as klucznik:
        before = await counters(klucznik, nip, credential)
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), credential, on_refusal=revoking(Turn.LEAVE))
        assert sign_ins(ksef) == 1
        assert filed(ksef, subject) == []
        remedy = way(outcome, RemedyKind.REVOKE)
        assert remedy.here
        assert remedy.suffices
        assert await counters(klucznik, nip, credential) == promised(before, remedy) == (3, 2)


@under_every_rule
async def test_the_missing_half_spends_one_of_each(rule: str, ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enrollment_window=rule)
    nip = some_nip()
    credential = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await a_half(klucznik, nip, credential)
        set_limits(ksef, credential.holder.signs_in_as, enrollment=3, certificate=6)
        before = await counters(klucznik, nip, credential)

        async def complete(ways: WaysOut) -> Turn:
            assert [remedy.kind for remedy in ways.open] == [RemedyKind.COMPLETE_PAIR]
            remedies.append(way(ways.refusal, RemedyKind.COMPLETE_PAIR))
            return Turn.COMPLETE_PAIR

        remedies: list[Remedy] = []
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), credential, another_pair=True, on_refusal=complete)
        assert isinstance(outcome, Issued)
        assert [one.type for one in outcome.certificates] == [CertificateType.OFFLINE]
        assert await counters(klucznik, nip, credential) == promised(before, *remedies) == (0, 4)


@pytest.mark.parametrize(("half", "freed"), [(True, 1), (False, 2)], ids=["half pair", "whole pair"])
async def test_no_slot_and_three_requests_become_what_was_missing_in_one_session(
    half: bool, freed: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path / "here", ksef) as klucznik:
        if half:
            await a_half(klucznik, nip, credential)
        await someone_elses_pairs(tmp_path / "elsewhere", ksef, nip, credential, 2)
        spent = 6 if half else 4
        set_limits(ksef, subject, enrollment=spent + 3, certificate=5 if half else 4)
        assert await counters(klucznik, nip, credential) == (3, 0)
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), credential, on_refusal=revoking())
        assert isinstance(outcome, Issued)
        assert len(outcome.certificates) == len(filed(ksef, subject)) == freed
        assert (outcome.limits_before.certificate.remaining, outcome.limits_after.certificate.remaining) == (freed, 0)
        assert outcome.limits_after.enrollment.remaining == 3 - freed
        # The refused session went on; what is issued is proved by a sign-in of its own where it can sign in.
        assert sign_ins(ksef) == 1 + (not half)


async def test_one_freed_slot_is_no_room_for_a_pair_and_nothing_is_spent(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    subject = credential.holder.signs_in_as
    await someone_elses_pairs(tmp_path / "elsewhere", ksef, nip, credential, 2)
    set_limits(ksef, subject, enrollment=7, certificate=4)
    seen: list[int] = []

    async def one_and_again(ways: WaysOut) -> Turn:
        seen.append(ways.refusal.limits.certificate.remaining)
        if len(seen) == 2:
            return Turn.LEAVE
        await ways.revoke(way(ways.refusal, RemedyKind.REVOKE).certificates[:1])
        return Turn.ORDER_AGAIN

    async with installed(tmp_path / "here", ksef) as klucznik:
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), credential, on_refusal=one_and_again)
        assert seen == [0, 1]
        assert way(outcome, RemedyKind.REVOKE).frees_certificates == 1
        assert filed(ksef, subject) == []
        assert sign_ins(ksef) == len(ksef.requests(method="DELETE", path="/auth/sessions/current")) == 1


async def test_sessions_opened_with_a_revoked_certificate_are_ended_when_that_is_asked_for(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    await someone_elses_pairs(tmp_path / "elsewhere", ksef, nip, credential, 2)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=7, certificate=4)
    async with installed(tmp_path / "here", ksef) as klucznik, signed_in_as(klucznik, nip, credential) as lives_on:
        outcome = await issue(klucznik, context_of(nip), credential, on_refusal=revoking(Turn.LEAVE, end_sessions=True))
        assert Risk.SESSIONS_LIVE_ON in way(outcome, RemedyKind.REVOKE).risks
        assert await lives_on.session.sessions() == []


async def test_sessions_that_could_not_be_ended_after_a_revocation_are_ended_by_the_next_run(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    lost = Mishap("DELETE /v2/auth/sessions/20.*", not_connected)
    async with installed(tmp_path, ksef, transport=Network(lost)) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential)
        assert isinstance(outcome, Issued)
        serial = outcome.certificates[0].serial_number
        async with signed_in_as(klucznik, nip, credential):

            async def once_more() -> Revoked:
                return await revoke(
                    klucznik, context_of(nip), serial, credential, end_sessions=True, confirm=lambda _: True
                )

            with pytest.raises(KsefUnavailable):
                await once_more()
            again = await once_more()
    assert (again.was_held, again.sessions_ended) == (True, 2)  # this one, and the login that proved the pair
    assert len(ksef.requests(method="POST", path="/certificates/{certificateSerialNumber}/revoke")) == 1


async def test_whatever_breaks_on_a_way_out_ends_the_session(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=1)

    async def broken(_: WaysOut) -> Turn:
        raise KsefUnavailable("timeout")

    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(KsefUnavailable):
            await issue(klucznik, context_of(nip), credential, on_refusal=broken)
    assert len(ksef.requests(method="DELETE", path="/auth/sessions/current")) == 1


async def test_a_pair_that_is_here_is_used_and_nothing_is_spent(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        set_limits(ksef, credential.holder.signs_in_as, enrollment=3)
        before = await counters(klucznik, nip, credential)
        outcome = await issue(klucznik, context_of(nip), credential, another_pair=True)
        remedy = way(outcome, RemedyKind.REUSE)
        assert isinstance(await issue(klucznik, context_of(nip), credential), AlreadyHeld)
        assert await counters(klucznik, nip, credential) == promised(before, remedy) == before


async def test_certificates_brought_from_elsewhere_leave_nothing_to_request(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path / "elsewhere", ksef) as elsewhere:
        await assert_whole_pair(elsewhere, await issue(elsewhere, context_of(nip), credential))
        files = await export(
            elsewhere,
            context=context_of(nip),
            directory=tmp_path / "files",
            password=b"dlugie-haslo-do-plikow-1",
            format=ExportFormat.PKCS12,
        )
    set_limits(ksef, credential.holder.signs_in_as, enrollment=3)
    async with installed(tmp_path / "here", ksef) as here:
        before = await counters(here, nip, credential)
        remedy = way(await issue(here, context_of(nip), credential), RemedyKind.IMPORT)
        assert remedy.suffices
        assert set(remedy.serial_numbers) == {one.certificate.serial_number for one in files}
        for one in files:
            brought = load_ksef_certificate(
                p12=one.files[0], password=b"dlugie-haslo-do-plikow-1", environment=here.environment, now=ksef.now()
            )
            await bring_in(here, brought)
        assert isinstance(await issue(here, context_of(nip), credential), AlreadyHeld)
        assert await counters(here, nip, credential) == promised(before, remedy) == before


async def test_one_request_left_becomes_a_grant_in_the_same_session_and_nothing_is_spent(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    credential = owner(nip, ksef)
    subject = credential.holder.signs_in_as
    set_limits(ksef, subject, enrollment=1)
    granted: list[Granted] = []

    async def let_in(ways: WaysOut) -> Turn:
        assert [remedy.kind for remedy in ways.open] == [RemedyKind.GRANT_PERMISSION]
        granted.append(await ways.grant(confirm=lambda _: True))
        return Turn.LEAVE

    async with installed(tmp_path, ksef) as klucznik:
        await set_operator(klucznik, operator, NAME, company(operator, ksef))
        before = await counters(klucznik, nip, credential)
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), credential, on_refusal=let_in)
        assert granted[0].connection.health is Health.HEALTHY
        assert filed(ksef, subject) == []
        assert sign_ins(ksef) == 2  # the owner once, and the operator's proof
        remedy = way(outcome, RemedyKind.GRANT_PERMISSION)
        assert await counters(klucznik, nip, credential) == promised(before, remedy) == before
        # The next refusal knows that the operator is let in.
        again = way(await issue(klucznik, context_of(nip), credential), RemedyKind.GRANT_PERMISSION)
        assert again.task.value == "connect_by_the_grant"


@under_every_rule
async def test_waiting_ends_inside_the_estimate_unless_the_limit_is_for_life(
    rule: str, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(enrollment_window=rule)
    nip = some_nip()
    seal = company(nip, ksef)
    set_limits(ksef, seal.holder.signs_in_as, enrollment=5)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), seal))
        ksef.advance(days=10)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), seal, another_pair=True))
        ksef.advance(days=3)
        estimate = way(
            await issue(klucznik, context_of(nip), seal, another_pair=True), RemedyKind.WAIT_FOR_REQUESTS
        ).estimate
        assert estimate is not None
        assert estimate.complete
        assert estimate.earliest is not None
        assert estimate.latest is not None
        days = dict(estimate.by_rule)
        assert {one.value for one in days} == set(RULES)
        ksef.set_now(estimate.earliest - A_MOMENT)
        assert (await counters(klucznik, nip, company(nip, ksef)))[0] == 1
        named = next(day for one, day in days.items() if one.value == rule)
        if named is not None:
            ksef.set_now(named - A_MOMENT)
            assert (await counters(klucznik, nip, company(nip, ksef)))[0] < 2
            ksef.set_now(named + A_MOMENT)
            assert (await counters(klucznik, nip, company(nip, ksef)))[0] >= 2
        ksef.set_now(estimate.latest + A_MOMENT)
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef), another_pair=True)
        assert isinstance(outcome, Refusal if rule == "lifetime" else Issued)


@pytest.mark.parametrize("grace", [0, 30])
async def test_a_slot_comes_free_inside_the_estimate(grace: int, ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(active_grace_days=grace)
    nip = some_nip()
    seal = company(nip, ksef)
    await someone_elses_pairs(tmp_path / "elsewhere", ksef, nip, seal, 1)
    set_limits(ksef, seal.holder.signs_in_as, certificate=3)
    async with installed(tmp_path / "here", ksef) as klucznik:
        remedy = way(await issue(klucznik, context_of(nip), seal), RemedyKind.WAIT_FOR_CERTIFICATE_SLOT)
        estimate = remedy.estimate
        assert estimate is not None
        assert estimate.earliest is not None
        assert estimate.latest is not None
        ksef.set_now(estimate.earliest - A_MOMENT)
        assert (await counters(klucznik, nip, company(nip, ksef)))[1] == 1
        ksef.set_now((estimate.earliest if grace else estimate.latest) + A_MOMENT)
        assert (await counters(klucznik, nip, company(nip, ksef)))[1] >= 1 + remedy.frees_certificates


async def test_requests_that_a_renewal_will_need_are_kept_back_from_all_but_the_renewal(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    subject = Subject(SubjectType.NIP, nip)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
        ksef.advance(days=700)
        set_limits(ksef, subject, enrollment=3)
        ksef.clear_requests()
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef), another_pair=True)
        assert isinstance(outcome, Refusal)
        (reason,) = outcome.reasons
        assert reason.code is Reason.REQUESTS_RESERVED_FOR_RENEWAL
        assert (reason.needed, reason.reserved, reason.remaining) == (2, 2, 3)
        assert filed(ksef, subject) == []
        renewed = await renew(klucznik, subject, early=True)
        assert renewed is not None
        assert renewed.end is RenewalEnd.RENEWED
        # What has been renewed keeps nothing back any more.
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef), another_pair=True)
        assert isinstance(outcome, Refusal)
        assert [finding.code for finding in outcome.reasons] == [Reason.REQUEST_LIMIT_BELOW_NEEDED]


async def test_whoever_insists_spends_what_was_kept_back(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
        ksef.advance(days=700)
        set_limits(ksef, Subject(SubjectType.NIP, nip), enrollment=2)
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef), another_pair=True, ignores_reserve=True)
        await assert_whole_pair(klucznik, outcome)
