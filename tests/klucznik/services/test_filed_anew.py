"""What KSeF takes on and then drops is filed anew in the same issuance: with a new key, inside both limits, seldom."""

import json
from pathlib import Path

import pytest
from tests.klucznik.databases import look
from tests.klucznik.mishaps import FILING, Mishap, Network, afterwards, answer_lost
from tests.klucznik.world import (
    accepted,
    assert_whole_pair,
    company,
    context_of,
    filed,
    installed,
    set_limits,
    some_nip,
)

from klucznik.domain.issuance import EnrollmentState, Issuance, IssuanceState
from klucznik.errors import KsefRefused
from klucznik.services.advance import advance
from klucznik.services.cancel import cancel
from klucznik.services.certificates import in_vault
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.services.progress import Progress, Stage
from klucznik.services.status import one_issuance
from ksef_sandbox import Sandbox
from ksef_sandbox.faults.rules import Cancelled, Refused, Rejected, Rule
from ksef_sandbox.records import CertificateType

ENROLL = ("POST", "/certificates/enrollments")
TROUBLES = [Cancelled(), Rejected("key_of_another"), Rejected("too_many_certificates")]
NAMES = ["cancelled", "key_of_another", "too_many_certificates"]


@pytest.mark.parametrize("kind", CertificateType)
@pytest.mark.parametrize("trouble", TROUBLES, ids=NAMES)
async def test_a_dropped_request_is_filed_anew_with_a_new_key_and_the_pair_becomes_whole(
    trouble: Cancelled | Rejected, kind: CertificateType, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.add_fault(Rule(trouble, *ENROLL, certificate_type=kind, times=1))
    nip = some_nip()
    credential = company(nip, ksef)
    network, heard = Network(), list[Progress]()
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential, listener=heard.append)
        await assert_whole_pair(klucznik, outcome)
        passed = look(tmp_path, "SELECT facts FROM audit_log WHERE event = 'preflight_passed' ORDER BY number")
    sent = network.bodies(FILING)
    assert len(sent) == len(accepted(ksef, credential.holder.signs_in_as)) == 3
    assert len({body["csr"] for body in sent}) == len({body["certificateName"] for body in sent}) == 3
    names = [str(body["certificateName"]) for body in sent if body["certificateType"] == kind.value]
    assert names[1] == names[0] + "-2"
    first, second = (json.loads(str(facts)) for (facts,) in passed)
    assert "in_place_of" not in first
    assert (second["in_place_of"], second["needed"]) == ([names[0]], 1)
    assert [str(progress.type) for progress in heard if progress.stage is Stage.FILING_ANEW] == [kind.value]


async def test_both_dropped_are_both_filed_anew_where_the_limits_leave_room_for_two(
    ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.add_fault(Rule(Cancelled(), *ENROLL, times=2))
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=4)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(accepted(ksef, credential.holder.signs_in_as)) == 4


@pytest.mark.parametrize(("enrollment", "certificate"), [(2, 6), (3, 1)])
async def test_nothing_is_filed_anew_where_fresh_limits_leave_no_room(
    enrollment: int, certificate: int, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.add_fault(Rule(Cancelled(), *ENROLL, certificate_type=CertificateType.OFFLINE, times=1))
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as

    def shrink() -> None:
        set_limits(ksef, subject, enrollment=enrollment, certificate=certificate)

    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, afterwards(shrink), on=2))) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert (caught.value.code, caught.value.data["saved"]) == (550, 1)
    assert len(filed(ksef, subject)) == 2


async def test_what_is_dropped_again_and_again_ends_after_two_more_requests(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.add_fault(Rule(Cancelled(), *ENROLL, certificate_type=CertificateType.AUTHENTICATION))
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert (caught.value.code, caught.value.data["saved"]) == (550, 1)
        assert [held.type.value for held in await in_vault(klucznik)] == ["Offline"]
    assert len(filed(ksef, credential.holder.signs_in_as)) == 4


@pytest.mark.parametrize("code", [25002, 25003, 25006, 25007, 25010])
async def test_a_refusal_at_once_is_final(code: int, ksef: Sandbox, tmp_path: Path) -> None:
    ksef.add_fault(Rule(Refused(code), *ENROLL))
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.code == code
    assert len(filed(ksef, credential.holder.signs_in_as)) == 1


async def test_a_new_request_whose_answer_is_lost_is_looked_for_as_any_other(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.add_fault(Rule(Cancelled(), *ENROLL, certificate_type=CertificateType.OFFLINE, times=1))
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, answer_lost, on=3))) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(accepted(ksef, credential.holder.signs_in_as)) == 3


async def test_calling_it_off_after_a_request_was_dropped_files_nothing_anew(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=60_000)
    ksef.add_fault(Rule(Cancelled(), *ENROLL, certificate_type=CertificateType.OFFLINE, times=1))
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(issuance, Issuance)
        await advance(klucznik, issuance.id)
        await cancel(klucznik, issuance.id)
        ksef.advance(minutes=5)
        assert (await advance(klucznik, issuance.id)).state is IssuanceState.REJECTED
    assert len(filed(ksef, issuance.subject)) == 2


async def advance_a_little(klucznik: Installation, issuance_id: str, steps: int) -> Issuance:
    """As `advance`, until so many things have happened."""
    heard: list[Progress] = []
    return await advance(klucznik, issuance_id, listener=heard.append, stopping=lambda: len(heard) >= steps)


@pytest.mark.parametrize("nth", range(2, 8))
async def test_whoever_takes_it_on_after_an_interruption_files_no_request_too_many(
    nth: int, ksef: Sandbox, tmp_path: Path
) -> None:
    """Each process ends after a few steps, and another goes on."""
    ksef.add_fault(Rule(Cancelled(), *ENROLL, certificate_type=CertificateType.AUTHENTICATION, times=1))
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(issuance, Issuance)
    for _ in range(30):
        async with installed(tmp_path, ksef) as klucznik:
            found = await advance_a_little(klucznik, issuance.id, nth)
            if found.state.ended:
                break
            ksef.advance(seconds=30)
    async with installed(tmp_path, ksef) as klucznik:
        rows = (await one_issuance(klucznik, issuance.id)).enrollments
    states = [row.state for row in rows]
    assert states == [EnrollmentState.REJECTED, EnrollmentState.VERIFIED, EnrollmentState.VERIFIED]
    assert len(accepted(ksef, issuance.subject)) == 3
