"""Both limits from 0 to 3, for each kind of subject: a pair is issued only where both leave room for two.

Not one request is filed anywhere else: KSeF's own log counts them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.klucznik.world import (
    QUICK,
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
    stranger,
)

from klucznik.domain.limits import Allowance
from klucznik.domain.preflight import Finding, Refusal
from klucznik.domain.reasons import Cause, Reason, RemedyKind
from klucznik.keys.credential import Credential
from klucznik.services.issue import issue
from ksef_sandbox import Sandbox

SIGNERS = {"nip": company, "pesel": owner, "fingerprint": stranger}


@pytest.fixture(scope="module")
def ksef() -> Iterator[Sandbox]:
    with Sandbox(switches=QUICK) as running:
        yield running


@pytest.mark.parametrize("certificate", range(4), ids="{}-slots".format)
@pytest.mark.parametrize("enrollment", range(4), ids="{}-requests".format)
@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
async def test_a_pair_is_issued_only_where_both_limits_leave_room_for_two(
    signer: Callable[[str, Sandbox], Credential], enrollment: int, certificate: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = signer(nip, ksef)
    subject = credential.holder.signs_in_as
    set_limits(ksef, subject, enrollment=enrollment, certificate=certificate)
    async with installed(tmp_path, ksef) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential)
        if enrollment >= 2 and certificate >= 2:
            await assert_whole_pair(klucznik, outcome)
            assert len(filed(ksef, subject)) == len(accepted(ksef, subject)) == 2
            return
    assert filed(ksef, subject) == []
    # What a request would need is not even asked for.
    assert "/certificates/enrollments/data" not in {call.route for call in calls_of(ksef, subject)}
    assert isinstance(outcome, Refusal)
    assert (outcome.subject, outcome.needed, outcome.filed) == (subject, 2, 0)
    assert outcome.limits.enrollment == Allowance(enrollment, enrollment)
    assert outcome.limits.certificate == Allowance(certificate, certificate)
    assert outcome.reasons == _expected_reasons(enrollment, certificate)
    assert Cause.EARLIER_TESTS_OR_ATTEMPTS in {cause.code for cause in outcome.causes}
    kinds = [remedy.kind for remedy in outcome.remedies]
    assert kinds[0] is RemedyKind.GRANT_PERMISSION
    assert (RemedyKind.WAIT_FOR_REQUESTS in kinds) == (enrollment < 2)
    assert (RemedyKind.WAIT_FOR_CERTIFICATE_SLOT in kinds) == (certificate < 2)
    assert RemedyKind.REVOKE not in kinds  # the limit was lowered: there is no certificate to revoke


def _expected_reasons(enrollment: int, certificate: int) -> tuple[Finding, ...]:
    wanted = (
        (Reason.REQUEST_LIMIT_BELOW_NEEDED, enrollment),
        (Reason.CERTIFICATE_LIMIT_BELOW_NEEDED, certificate),
    )
    return tuple(Finding(reason, needed=2, remaining=left, limit=left) for reason, left in wanted if left < 2)
