"""Rules 5 and 6: a half pair is finished, not redone; nothing is told before it is proved."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.klucznik.mishaps import (
    FILING,
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
from klucznik.domain.preflight import Refusal
from klucznik.errors import KsefRefused, VerificationFailed
from klucznik.services.certificates import in_vault
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.revoke import revoke
from ksef_sandbox import Sandbox


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


@pytest.mark.parametrize("change", [_swap, _garbage], ids=["swapped", "garbage"])
async def test_rule_6_a_certificate_that_is_not_ours_is_never_kept_or_told(
    change: Callable[[dict[str, object]], None], ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(RETRIEVAL, changed(change), on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(VerificationFailed):
            await issue(klucznik, context_of(nip), credential)
        assert await nothing_verified(klucznik, credential.holder.signs_in_as)


async def test_rule_6_a_garbled_certificate_found_after_a_lost_answer_is_an_error_with_a_name(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    network = Network(Mishap(FILING, answer_lost), Mishap(RETRIEVAL, changed(_garbage)))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        credential = company(nip, ksef)
        with pytest.raises(VerificationFailed):
            await issue(klucznik, context_of(nip), credential)
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
