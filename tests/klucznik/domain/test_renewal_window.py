"""When limits may renew: a range that makes sense for any evidence, and no date where nothing supports one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.renewal_window import REQUEST_WINDOW, Estimate, Rule, requests_renew, slots_renew
from ksef_sandbox.limits import count_in_window
from ksef_sandbox.switches import Switches

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
    estimate = requests_renew(found, 2, times, NOW)
    assert (estimate.earliest, estimate.latest) == (NOW + timedelta(days=10), NOW + timedelta(days=27))
    assert (estimate.known, estimate.counted) == (2, 2)


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


LIMIT = 12
A_MOMENT = timedelta(minutes=1)
# Minutes apart, so that a moment before and after a date is no other request's.
past_requests = st.lists(
    st.integers(1, 59 * 24).map(lambda hours: NOW - timedelta(hours=hours)), min_size=1, max_size=LIMIT, unique=True
).map(sorted)


def left(times: list[datetime], at: datetime, rule: Rule) -> int:
    """What the sandbox, which counts by the chosen rule, would still take."""
    switches = Switches()
    switches.set("enrollment_window", rule.value)
    return LIMIT - count_in_window(times, at, switches)


@given(past_requests, st.sampled_from([Rule.ROLLING, Rule.FIXED_FROM_FIRST, Rule.UNTIL_30D_AFTER_LAST]), st.data())
def test_whatever_rule_ksef_counts_by_requests_are_there_after_the_latest_day_and_not_before_the_earliest(
    times: list[datetime], rule: Rule, data: st.DataObject
) -> None:
    remaining = left(times, NOW, rule)
    needed = data.draw(st.integers(remaining + 1, LIMIT)) if remaining < LIMIT else 0
    if not needed:
        return
    # Some were filed by others and have left no trace.
    known = data.draw(st.lists(st.sampled_from(times), unique=True)) if data.draw(st.booleans()) else times
    estimate = requests_renew(Limits(False, Allowance(remaining, LIMIT), Allowance(6, 6)), needed, known, NOW)
    assert estimate.latest is not None
    assert left(times, estimate.latest + A_MOMENT, rule) >= needed
    if known is times and estimate.complete and estimate.earliest is not None and estimate.earliest > NOW:
        assert left(times, estimate.earliest - A_MOMENT, rule) < needed


@given(past_requests)
def test_where_all_requests_of_the_period_are_known_each_rule_names_its_own_day(times: list[datetime]) -> None:
    recent = [moment for moment in times if moment > NOW - REQUEST_WINDOW]
    if not recent:
        return
    found = Limits(False, Allowance(LIMIT - len(recent), LIMIT), Allowance(6, 6))
    needed = LIMIT - len(recent) + 1
    for rule, day in requests_renew(found, needed, recent, NOW).by_rule:
        if day is None:
            assert left(recent, NOW + timedelta(days=9999), rule) < needed
        else:
            assert left(recent, day - A_MOMENT, rule) < needed <= left(recent, day + A_MOMENT, rule)
