"""The ways out of a refusal: which there are, in which order, and what each can promise.

The table of situations is `situations.toml`; what holds in every situation is tried on random ones here.
"""

import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.klucznik.domain.situations import MISSING, NOW, SUBJECTS, situation, told_of

from klucznik.domain.certificates import CertificateStatus, CertificateType
from klucznik.domain.preflight import preflight
from klucznik.domain.reasons import RemedyKind, Risk
from klucznik.domain.remedies import Remedy, Situation, Standing, plan

TABLE: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "situations.toml").read_text(encoding="utf-8"))[
    "situation"
]
SLOTS = (RemedyKind.REVOKE, RemedyKind.WAIT_FOR_CERTIFICATE_SLOT)

words = st.lists(st.sampled_from(["ours", "used", "revoked", "blocked", "expired", "future"]), unique=True, max_size=3)
certificates = st.builds(
    lambda kind, days, ends, said: (kind, " ".join([*said, f"{days}d", *([f"ends={ends}d"] if ends else [])])),
    st.sampled_from("AO"),
    st.integers(0, 729),
    st.none() | st.integers(1, 729),
    words,
)
situations = st.builds(
    lambda found, **told: situation(
        {**told, "certificates": [f"{kind}{number} {text}" for number, (kind, text) in enumerate(found)]}
    ),
    st.lists(certificates, max_size=7),
    requests=st.builds(lambda of, used: f"{max(0, of - used)}/{of}", st.integers(0, 12), st.integers(0, 12)),
    slots=st.builds(lambda of, used: f"{max(0, of - used)}/{of}", st.integers(0, 6), st.integers(0, 6)),
    missing=st.sampled_from(sorted(MISSING)),
    subject=st.sampled_from(sorted(SUBJECTS)),
    operator=st.sampled_from(sorted(Standing)),
    own_requests=st.lists(st.integers(0, 60), max_size=12),
    listed=st.booleans(),
    renewal=st.booleans(),
    now=st.integers(0, 60).map(lambda days: (NOW + timedelta(days=days)).isoformat()),
)


@pytest.mark.parametrize("told", TABLE, ids=[told["is"] for told in TABLE])
def test_the_ways_out_of_a_situation(told: dict[str, Any]) -> None:
    found = situation(told)
    assert preflight(found.limits, found.needed, reserved=found.reserved) or told.get("force"), (
        "nothing is refused here"
    )
    assert [told_of(remedy, found.now) for remedy in plan(found)] == told["ways"]


def test_the_table_has_at_least_sixty_situations_and_every_way_out_is_in_it() -> None:
    assert len(TABLE) >= 60
    assert len({told["is"] for told in TABLE}) == len(TABLE)
    told_kinds = {line.split(" ")[0].rstrip(",") for told in TABLE for line in told["ways"]}
    assert told_kinds == {kind.value for kind in RemedyKind}


@given(situations)
def test_no_way_out_promises_a_request_back(found: Situation) -> None:
    assert {remedy.frees_requests for remedy in plan(found)} <= {0}
    assert all(remedy.kind in SLOTS for remedy in plan(found) if remedy.frees_certificates)


@given(situations)
def test_the_ranking_is_total_and_does_not_depend_on_the_order_of_what_is_known(found: Situation) -> None:
    listed = None if found.listed is None else found.listed[::-1]
    turned = replace(found, listed=listed, requested_at=found.requested_at[::-1])
    assert [remedy.kind for remedy in plan(found)] == [remedy.kind for remedy in plan(turned)]
    assert len({remedy.kind for remedy in plan(found)}) == len(plan(found))


@given(situations)
def test_what_works_at_once_and_alone_comes_before_all_else_and_waiting_last(found: Situation) -> None:
    tiers = [(remedy.estimate is not None, not remedy.suffices) for remedy in plan(found)]
    assert tiers == sorted(tiers)


def of_kind(found: Situation, kind: RemedyKind) -> Remedy | None:
    return next((remedy for remedy in plan(found) if remedy.kind is kind), None)


@given(situations)
def test_revoking_is_for_slots_alone_and_is_never_called_enough_without_requests(found: Situation) -> None:
    revoke = of_kind(found, RemedyKind.REVOKE)
    if revoke is None:
        return
    assert found.lacking_slots
    room = found.limits.enrollment.remaining - found.reserved
    assert revoke.suffices == (room >= found.needed or (room >= 1 and found.half_suffices))
    active = {record.serial_number for record in found.listed or () if record.status is CertificateStatus.ACTIVE}
    assert set(revoke.serial_numbers) <= active
    suggested = revoke.suggested_certificates
    assert len(suggested) == (revoke.frees_certificates if found.listed is not None else 0)
    warned = Risk.PRINTED_CODES_STOP_VERIFYING in revoke.risks
    assert warned == any(about.record.type is CertificateType.OFFLINE for about in suggested)


@given(situations)
def test_neither_a_renewal_nor_a_half_pair_gives_up_what_serves_it(found: Situation) -> None:
    revoke = of_kind(found, RemedyKind.REVOKE)
    if revoke is None or not (found.renewal or found.half_suffices):
        return
    serving = {one.serial_number for one in found.in_service().values()}
    assert not serving & set(revoke.serial_numbers)


@given(situations)
def test_no_way_out_spends_a_request_that_a_renewal_will_need(found: Situation) -> None:
    spending = [remedy for remedy in plan(found) if remedy.spends]
    assert all(found.limits.enrollment.remaining >= remedy.spends + found.reserved for remedy in spending)


@given(situations)
def test_no_token_is_offered_after_the_end_of_tokens_nor_for_an_offline_certificate(found: Situation) -> None:
    if found.now.year > 2026 or found.missing == MISSING["offline"]:
        assert of_kind(found, RemedyKind.TOKEN) is None


@given(situations)
def test_nobody_is_nudged_to_hand_a_personal_certificate_round(found: Situation) -> None:
    brought = of_kind(found, RemedyKind.IMPORT)
    if brought is None or found.subject == SUBJECTS["company"]:
        return
    assert Risk.PERSONAL_CERTIFICATE in brought.risks
    after = plan(found)[plan(found).index(brought) + 1 :]
    assert all(remedy.estimate is not None or not remedy.suffices for remedy in after)


@given(situations)
def test_only_what_is_refused_by_requests_waits_for_requests(found: Situation) -> None:
    waits = of_kind(found, RemedyKind.WAIT_FOR_REQUESTS) is not None
    assert waits == (found.lacks_requests or found.forbidden)
    assert (of_kind(found, RemedyKind.WAIT_FOR_CERTIFICATE_SLOT) is not None) == bool(found.lacking_slots)
