"""The decision before a generation: an exhaustive small table, and properties over all numbers."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.preflight import likely_causes, preflight
from klucznik.domain.reasons import Cause, Reason

counts = st.integers(0, 400)
allowances = st.builds(Allowance, counts, counts)
any_limits = st.builds(Limits, st.booleans(), allowances, allowances)


def limits(enrollment: int, certificate: int, *, can_request: bool = True) -> Limits:
    return Limits(can_request, Allowance(enrollment, 12), Allowance(certificate, 6))


def test_the_whole_small_table() -> None:
    for enrollment, certificate, needed, can_request in product(range(5), range(5), (1, 2), (True, False)):
        codes = [
            finding.code for finding in preflight(limits(enrollment, certificate, can_request=can_request), needed)
        ]
        expected = []
        if enrollment < needed:
            expected.append(Reason.REQUEST_LIMIT_BELOW_NEEDED)
        if certificate < needed:
            expected.append(Reason.CERTIFICATE_LIMIT_BELOW_NEEDED)
        if not expected and not can_request:
            expected.append(Reason.KSEF_FORBIDS_REQUESTS)
        assert codes == expected, (enrollment, certificate, needed, can_request)


@given(any_limits, st.integers(1, 2))
def test_it_goes_on_exactly_when_both_limits_suffice_and_ksef_allows(found: Limits, needed: int) -> None:
    enough = found.enrollment.remaining >= needed and found.certificate.remaining >= needed
    assert (preflight(found, needed) == ()) == (enough and found.can_request)


@given(any_limits, st.integers(1, 2))
def test_every_finding_carries_the_numbers_it_rests_on(found: Limits, needed: int) -> None:
    for finding in preflight(found, needed):
        slots = finding.code is Reason.CERTIFICATE_LIMIT_BELOW_NEEDED
        allowance = found.certificate if slots else found.enrollment
        assert (finding.needed, finding.remaining, finding.limit) == (needed, allowance.remaining, allowance.limit)


@given(any_limits, st.integers(1, 2))
def test_more_room_never_turns_a_yes_into_a_no(found: Limits, needed: int) -> None:
    if preflight(found, needed):
        return
    roomier = Limits(
        True,
        Allowance(found.enrollment.remaining + 1, found.enrollment.limit),
        Allowance(found.certificate.remaining + 1, found.certificate.limit),
    )
    assert preflight(roomier, needed) == ()


def test_the_causes_of_a_refusal_carry_what_is_used_of_each_limit() -> None:
    found = limits(1, 0)
    causes = [(cause.code, cause.count) for cause in likely_causes(found, preflight(found, 2))]
    assert causes == [
        (Cause.REQUESTS_ALREADY_USED, 11),
        (Cause.CERTIFICATES_ALREADY_HELD, 6),
        (Cause.EARLIER_TESTS_OR_ATTEMPTS, None),
    ]


@given(any_limits, st.integers(1, 2))
def test_a_count_in_a_cause_is_never_negative(found: Limits, needed: int) -> None:
    assert all((cause.count or 0) >= 0 for cause in likely_causes(found, preflight(found, needed)))
