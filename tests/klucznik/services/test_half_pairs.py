"""Rules 5 and 6: a half pair is finished, not redone; nothing is told before it is proved."""

from pathlib import Path
from typing import Literal

import httpx
import pytest
from tests.klucznik.mishaps import (
    FILING,
    LIMITS,
    RETRIEVAL,
    SIGN_IN,
    STATUS,
    Mishap,
    Network,
    afterwards,
    answer_lost,
    changed,
    refused,
)
from tests.klucznik.world import (
    SandboxClock,
    accepted,
    assert_key_kept,
    assert_whole_pair,
    company,
    context_of,
    filed,
    installed,
    nothing_verified,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.certificates import CertificateType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.preflight import Refusal
from klucznik.domain.waits import WRONG_ANSWERS, WRONG_FOR, WaitKind
from klucznik.errors import KsefRefused, KsefUnavailable, VerificationFailed
from klucznik.services.advance import advance
from klucznik.services.certificates import in_vault
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue, order
from klucznik.services.resume import resume
from klucznik.services.revoke import revoke
from ksef_sandbox import Sandbox
from ksef_sandbox.faults.rules import (
    Cancelled,
    DropAnswer,
    ErrorAfter,
    ErrorBefore,
    Rule,
    TooManyCalls,
    WrongCertificate,
)


async def assert_only_the_offline_one_is_added(klucznik: Installation, ksef: Sandbox, nip: str) -> None:
    """The next order needs one of each limit, asks for one certificate, and signs in with the one there is."""
    before = len(accepted(ksef, company(nip, ksef).holder.signs_in_as))
    outcome = await issue(klucznik, context_of(nip), None)
    assert isinstance(outcome, Issued)
    assert [held.type for held in outcome.certificates] == [CertificateType.OFFLINE]
    for held in outcome.certificates:
        await assert_key_kept(klucznik, held.der, held.key_id)
    assert len(accepted(ksef, company(nip, ksef).holder.signs_in_as)) == before + 1


async def test_rule_5_when_the_offline_request_is_refused_only_it_is_asked_for_later(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    network = Network(Mishap(FILING, refused(25007), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), company(nip, ksef))
        assert (caught.value.code, caught.value.data["saved"]) == (25007, 1)
        await assert_only_the_offline_one_is_added(klucznik, ksef, nip)


async def test_rule_5_when_the_offline_request_is_rejected_later_only_it_is_asked_for_again(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """Somebody else takes the last slot while KSeF works on both requests; its second check comes too late for ours."""
    ksef.set(enroll_delay_ms=1000)
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    network = Network(Mishap(FILING, afterwards(lambda: set_limits(ksef, subject, certificate=1)), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.code == 400
        set_limits(ksef, subject, certificate=2)
        await assert_only_the_offline_one_is_added(klucznik, ksef, nip)


async def test_rule_5_when_a_limit_is_gone_after_the_first_request_the_refusal_says_what_was_filed(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as

    def time_passes_and_somebody_takes_the_last_one() -> None:
        ksef.advance(seconds=45)
        set_limits(ksef, subject, enrollment=1)

    network = Network(Mishap(FILING, afterwards(time_passes_and_somebody_takes_the_last_one), on=1))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential)
        assert isinstance(outcome, Refusal)
        assert (outcome.needed, outcome.filed) == (1, 1)
        assert len(filed(ksef, subject)) == 1
        still = await issue(klucznik, context_of(nip), None)
        assert isinstance(still, Refusal)
        assert (still.needed, still.filed, len(filed(ksef, subject))) == (1, 0, 1)
        set_limits(ksef, subject, enrollment=2)
        await assert_only_the_offline_one_is_added(klucznik, ksef, nip)


@pytest.mark.parametrize(("enrollment", "certificate"), [(1, 1), (1, 3), (3, 1)])
async def test_rule_5_the_missing_half_needs_one_of_each_limit(
    enrollment: int, certificate: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, refused(25003), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(nip), credential)
        set_limits(ksef, credential.holder.signs_in_as, enrollment=1 + enrollment, certificate=1 + certificate)
        await assert_only_the_offline_one_is_added(klucznik, ksef, nip)


def _swap(body: dict[str, object]) -> None:
    items = body["certificates"]
    assert isinstance(items, list)
    first, second = items
    first["certificate"], second["certificate"] = second["certificate"], first["certificate"]


def _garbage(body: dict[str, object]) -> None:
    items = body["certificates"]
    assert isinstance(items, list)
    for item in items:
        item["certificate"] = "R2FyYmFnZQ=="


async def test_rule_6_a_certificate_that_is_not_ours_is_never_kept_or_told(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(RETRIEVAL, changed(_garbage), on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(VerificationFailed):
            await issue(klucznik, context_of(nip), credential)
        assert await nothing_verified(klucznik, credential.holder.signs_in_as)
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.reason == "certificate_unreadable"
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_6_a_wrong_certificate_is_asked_for_again_for_minutes_before_it_is_believed(
    ksef: Sandbox, tmp_path: Path
) -> None:
    clock = SandboxClock(ksef)
    wrong = [Mishap(RETRIEVAL, changed(_garbage), on=nth) for nth in range(1, WRONG_ANSWERS)]
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(*wrong)
    async with installed(tmp_path, ksef, clock=clock, transport=network) as klucznik:
        began = clock.now()
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        assert clock.now() - began >= WRONG_FOR
    assert len(network.bodies(RETRIEVAL)) == WRONG_ANSWERS
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@pytest.mark.parametrize("wrong", ["key", "subject", "type"])
@pytest.mark.parametrize("ending", ["a while", "for good"])
async def test_rule_6_whatever_is_wrong_with_a_certificate_no_request_is_wasted_while_ksef_may_hold_the_right_one(
    wrong: Literal["key", "subject", "type"], ending: str, ksef: Sandbox, tmp_path: Path
) -> None:
    times = 2 if ending == "a while" else None
    ksef.add_fault(Rule(WrongCertificate(wrong), "POST", "/certificates/retrieve", times=times))
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        if times:
            await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        else:
            with pytest.raises(VerificationFailed):
                await issue(klucznik, context_of(nip), credential)
            assert await in_vault(klucznik) == []
    assert len(ksef.requests(path="/certificates/retrieve")) == (3 if times else WRONG_ANSWERS)


async def test_rule_6_the_answers_that_were_wrong_are_remembered_in_the_row(ksef: Sandbox, tmp_path: Path) -> None:
    """Whoever takes the issuance on, another process each time, counts on from there."""
    ksef.add_fault(Rule(WrongCertificate("key"), "POST", "/certificates/retrieve"))
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(issuance, Issuance)
    for looks in range(1, WRONG_ANSWERS):
        async with installed(tmp_path, ksef) as klucznik:
            waiting = await advance(klucznik, issuance.id)
            assert waiting.wait is not None
            assert (waiting.wait.kind, waiting.wait.looks) == (WaitKind.WRONG_CERTIFICATE, looks)
            assert waiting.wait.until is not None
            await klucznik.clock.sleep((waiting.wait.until - klucznik.clock.now()).total_seconds())
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(VerificationFailed):
            await advance(klucznik, issuance.id)
        assert (await advance(klucznik, issuance.id)).state is IssuanceState.REJECTED


async def test_rule_6_the_half_that_is_right_is_kept_while_the_other_is_asked_for_again(
    ksef: Sandbox, tmp_path: Path
) -> None:
    def second_is_garbage(body: dict[str, object]) -> None:
        items = body["certificates"]
        assert isinstance(items, list)
        if len(items) == 2:
            items[1]["certificate"] = "R2FyYmFnZQ=="

    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(RETRIEVAL, changed(second_is_garbage), on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    asked_for = [len(body["certificateSerialNumbers"]) for body in network.bodies(RETRIEVAL)]  # type: ignore[arg-type]
    assert asked_for == [2, 1]


async def test_rule_6_swapped_labels_are_no_harm_for_the_certificate_itself_says_which_it_is(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    network = Network(Mishap(RETRIEVAL, changed(_swap), on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))
    assert len(network.bodies(RETRIEVAL)) == 1


async def test_rule_6_a_garbled_certificate_found_after_a_lost_answer_is_looked_at_again(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    network = Network(Mishap(FILING, answer_lost), Mishap(RETRIEVAL, changed(_garbage)))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        credential = company(nip, ksef)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_6_what_is_listed_under_our_name_is_never_filed_again_whatever_the_counter_says(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """KSeF gives a wrong certificate for it and a counter that stands where it stood: it did arrive all the same."""
    nip = some_nip()
    credential = company(nip, ksef)
    stands_still = Mishap(LIMITS, changed(lambda body: body.update(enrollment={"remaining": 5, "limit": 12})), on=None)
    network = Network(Mishap(FILING, answer_lost), Mishap(RETRIEVAL, changed(_garbage), on=None), stands_still)
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefUnavailable) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.reason == "enrollment_undecided"
    assert len(filed(ksef, credential.holder.signs_in_as)) == 1


# ── the proof ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "act", [ErrorBefore(502), ErrorAfter(504), DropAnswer(), Cancelled()], ids=lambda act: act.name
)
async def test_rule_6_a_ksef_that_does_not_answer_the_proof_does_not_hide_that_the_pair_is_issued(
    act: ErrorBefore | ErrorAfter | DropAnswer | Cancelled, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), credential)
        assert isinstance(issuance, Issuance)
        trouble = ksef.add_fault(Rule(act, "POST", "/auth/xades-signature"))
        with pytest.raises(KsefUnavailable) as caught:
            await resume(klucznik, issuance.id, None)
        assert (caught.value.reason, caught.value.data["held"]) == ("proof_pending", 2)
        assert len(await in_vault(klucznik)) == 2
        ksef.remove_fault(trouble)
        await assert_whole_pair(klucznik, await resume(klucznik, issuance.id, None))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@pytest.mark.parametrize(
    "act", [ErrorBefore(502), Cancelled(), TooManyCalls(retry_after_s=90)], ids=lambda act: act.name
)
async def test_rule_6_a_proof_that_meets_trouble_is_made_a_little_later(
    act: ErrorBefore | Cancelled | TooManyCalls, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    ksef.add_fault(Rule(act, "POST", "/auth/xades-signature", skip=1, times=1 if act.name == "too_many_calls" else 8))
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_6_a_certificate_that_cannot_sign_in_is_not_told_and_proved_by_the_next_order(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(SIGN_IN, refused(21115), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(VerificationFailed) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.reason == "new_certificate_cannot_sign_in"
        assert await nothing_verified(klucznik, credential.holder.signs_in_as)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_6_a_certificate_revoked_before_its_proof_does_not_block_the_subject_for_good(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(SIGN_IN, refused(21115), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(VerificationFailed):
            await issue(klucznik, context_of(nip), credential)
        (revoked,) = [
            held.serial_number
            for held in await in_vault(klucznik)
            if (held.type, held.subject) == (CertificateType.AUTHENTICATION, credential.holder.signs_in_as)
        ]
        await revoke(klucznik, context_of(nip), revoked, credential, confirm=lambda _: True)
        ksef.advance(minutes=1)
        with pytest.raises(VerificationFailed):
            await issue(klucznik, context_of(nip), credential)
        with pytest.raises(KsefRefused) as told:  # the other half is proved and kept, then the issuance ends
            await issue(klucznik, context_of(nip), credential)
        assert told.value.code == 460
        outcome = await issue(klucznik, context_of(nip), credential)
        assert isinstance(outcome, Issued)
        assert [held.type for held in outcome.certificates] == [CertificateType.AUTHENTICATION]
    assert len(filed(ksef, credential.holder.signs_in_as)) == 3


async def test_rule_6_the_proof_is_made_where_the_user_signs_in_now(ksef: Sandbox, tmp_path: Path) -> None:
    """A person may lose the company in which the issuance began, and still has the certificates."""
    first, second = some_nip(), some_nip()
    credential = owner(first, ksef)
    pesel = credential.holder.signs_in_as.value
    network = Network(Mishap(STATUS, refused(21405)))
    async with installed(tmp_path, ksef, clock=SandboxClock(ksef), transport=network) as klucznik:
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(first), credential)
        httpx.post(f"{ksef.base_url}/testdata/person/remove", json={"nip": first}).raise_for_status()
        ksef.link_person(nip=second, pesel=pesel)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(second), credential))
