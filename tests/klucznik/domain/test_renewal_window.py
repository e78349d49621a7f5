"""When limits may renew: a range that makes sense for any evidence, and no date where nothing supports one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.renewal_window import REQUEST_WINDOW, Estimate, requests_renew, slots_renew

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
counts = st.integers(0, 20)
any_limits = st.builds(
    Limits, st.booleans(), st.builds(Allowance, counts, counts), st.builds(Allowance, counts, counts)
)
# Also a little in the future: KSeF's clock is not ours.
request_times = st.lists(
    st.timedeltas(timedelta(days=-90), timedelta(minutes=5)).map(lambda past: NOW + past), max_size=8
)
ends = st.lists(st.timedeltas(timedelta(days=-30), timedelta(days=730)).map(lambda ahead: NOW + ahead), max_size=8)
needs = st.integers(1, 2)


def limits(enrollment: int, certificate: int) -> Limits:
    return Limits(True, Allowance(enrollment, 12), Allowance(certificate, 6))


def assert_makes_sense(estimate: Estimate) -> None:
    if estimate.earliest is not None:
        assert estimate.latest is not None
        assert NOW <= estimate.earliest <= estimate.latest
    if estimate.latest is not None:
        assert estimate.latest > NOW
    assert estimate.known >= 0
    assert estimate.counted >= 0


@given(any_limits, needs, request_times)
def test_the_range_for_requests_is_ordered_and_not_in_the_past(
    found: Limits, needed: int, times: list[datetime]
) -> None:
    assert_makes_sense(requests_renew(found, needed, times, NOW))


@given(any_limits, needs, ends)
def test_the_range_for_slots_is_ordered_and_not_in_the_past(found: Limits, needed: int, valid: list[datetime]) -> None:
    assert_makes_sense(slots_renew(found, needed, valid, NOW))


@given(needs)
def test_without_a_known_request_no_earliest_day_is_named(needed: int) -> None:
    estimate = requests_renew(limits(0, 6), needed, [], NOW)
    assert (estimate.earliest, estimate.latest) == (None, NOW + REQUEST_WINDOW)
    assert (estimate.known, estimate.counted, estimate.complete) == (0, 12, False)


def test_where_ksef_counts_no_request_no_day_is_named_at_all() -> None:
    """A limit that was set to zero renews when somebody changes it."""
    none = Limits(False, Allowance(0, 0), Allowance(6, 6))
    assert requests_renew(none, 2, [], NOW) == Estimate(None, None, 0, 0)


def test_the_earliest_day_is_thirty_days_after_the_first_known_request() -> None:
    times = [NOW - timedelta(days=days) for days in (3, 20, 45)]
    estimate = requests_renew(limits(0, 6), 1, times, NOW)
    assert estimate.earliest == NOW + timedelta(days=10)
    assert estimate.known == 2  # the one of 45 days ago is no evidence any more


def test_when_all_requests_are_known_the_latest_day_is_thirty_days_after_the_last() -> None:
    times = [NOW - timedelta(days=days) for days in (20, 3)]
    found = Limits(False, Allowance(0, 2), Allowance(6, 6))
    assert requests_renew(found, 2, times, NOW) == Estimate(NOW + timedelta(days=10), NOW + timedelta(days=27), 2, 2)


@given(request_times, needs)
def test_the_order_of_the_evidence_does_not_matter(times: list[datetime], needed: int) -> None:
    found = limits(0, 6)
    assert requests_renew(found, needed, times, NOW) == requests_renew(found, needed, times[::-1], NOW)


def test_a_slot_is_free_when_as_many_certificates_as_are_lacking_have_expired() -> None:
    valid = [NOW + timedelta(days=days) for days in (400, 10, 90)]
    estimate = slots_renew(limits(12, 0), 2, valid, NOW)
    assert (estimate.earliest, estimate.latest) == (NOW + timedelta(days=60), NOW + timedelta(days=90))


def test_no_day_for_slots_where_too_few_certificates_are_known() -> None:
    assert slots_renew(limits(12, 0), 2, [NOW + timedelta(days=10)], NOW) == Estimate(None, None, 1, 6)
