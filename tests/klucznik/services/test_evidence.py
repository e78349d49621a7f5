"""The dates in a refusal rest on requests that are really known: none is counted twice, none is made up."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.mishaps import FILING, Mishap, Network, afterwards
from tests.klucznik.world import assert_whole_pair, company, context_of, installed, set_limits, some_nip

from klucznik.domain.preflight import Refusal
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.renewal_window import REQUEST_WINDOW, Estimate
from klucznik.errors import KsefRefused
from klucznik.services.issue import issue
from ksef_sandbox import Sandbox


def estimate_of(outcome: object) -> Estimate:
    assert isinstance(outcome, Refusal)
    (found,) = [remedy.estimate for remedy in outcome.remedies if remedy.kind is RemedyKind.WAIT_FOR_REQUESTS]
    assert found is not None
    return found


async def test_a_request_of_ours_that_ksef_also_lists_is_one_request(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=3)
    async with installed(tmp_path, ksef) as klucznik:
        filed_at = ksef.now()
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
        ksef.advance(days=3)
        estimate = estimate_of(await issue(klucznik, context_of(nip), credential, another_pair=True))
    assert (estimate.known, estimate.counted, estimate.complete) == (2, 2, True)
    assert estimate.earliest is not None
    assert abs(estimate.earliest - (filed_at + REQUEST_WINDOW)) < timedelta(minutes=1)


async def test_requests_of_another_installation_are_known_by_their_certificates(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=5)
    async with installed(tmp_path / "elsewhere", ksef) as elsewhere:
        await assert_whole_pair(elsewhere, await issue(elsewhere, context_of(nip), credential))
    async with installed(tmp_path / "here", ksef) as here:
        await assert_whole_pair(here, await issue(here, context_of(nip), credential))
        estimate = estimate_of(await issue(here, context_of(nip), credential, another_pair=True))
    assert (estimate.known, estimate.counted, estimate.complete) == (4, 4, True)


async def test_a_rejected_request_is_known_from_our_own_log_alone(ksef: Sandbox, tmp_path: Path) -> None:
    """It is spent, and KSeF lists nothing of it."""
    ksef.set(enroll_delay_ms=1000)
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    set_limits(ksef, subject, enrollment=2)
    network = Network(Mishap(FILING, afterwards(lambda: set_limits(ksef, subject, certificate=1)), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(nip), credential)
        set_limits(ksef, subject, certificate=6)
        estimate = estimate_of(await issue(klucznik, context_of(nip), credential))
    assert (estimate.known, estimate.counted, estimate.complete) == (2, 2, True)
