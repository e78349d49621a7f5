"""What is counted is what happened (outcomes, requests, doubts, waits, calls) and what the database holds."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.klucznik.mishaps import FILING, LIMITS, Act, Mishap, Network, answer_lost, error_before, paced
from tests.klucznik.services.test_durable import ordered, work
from tests.klucznik.world import SandboxClock, company, context_of, installed, set_limits, some_nip

from klucznik.domain.certificates import CertificateType, Expiry
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.errors import SignatureNeeded
from klucznik.operations.metrics import Metrics
from klucznik.services.advance import advance, take_lease
from klucznik.services.census import Census, census
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.storage import certificates
from ksef_sandbox import Sandbox

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(metrics: Metrics, counted: Census | None = None) -> Samples:
    families = text_string_to_metric_families(metrics.page(counted).decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"klucznik_{name}", frozenset(labels.items())]


async def opened(home: Path, ksef: Sandbox, metrics: Metrics) -> Installation:
    return await Installation.open(home, ksef_url=ksef.base_url, clock=SandboxClock(ksef), watcher=metrics.watch)


async def test_a_pair_is_two_requests_one_end_and_calls_by_route(ksef: Sandbox, tmp_path: Path) -> None:
    metrics = Metrics()
    async with await opened(tmp_path, ksef, metrics) as klucznik:
        nip = some_nip()
        await issue(klucznik, context_of(nip), company(nip, ksef), listener=metrics.hear)
    found = scraped(metrics)
    assert value(found, "issuances_ended_total", outcome="done") == 1
    assert value(found, "issuances_ended_total", outcome="rejected") == 0
    for kind in CertificateType:
        assert value(found, "requests_spent_total", type=kind.value) == 1
    filing = {"method": "POST", "route": "/certificates/enrollments", "status": "2xx"}
    assert value(found, "ksef_call_duration_seconds_count", **filing) == 2
    assert value(found, "ksef_call_duration_seconds_sum", **filing) > 0
    calls = [number for (name, _), number in found.items() if name.endswith("duration_seconds_count")]
    assert sum(calls) == len(ksef.requests())


async def test_a_refusal_by_the_limits_spends_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    metrics, nip = Metrics(), some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), credential, listener=metrics.hear)
    found = scraped(metrics)
    assert value(found, "issuances_ended_total", outcome="refused") == 1
    assert value(found, "requests_spent_total", type="Authentication") == 0


@pytest.mark.parametrize(("mishap", "result"), [(answer_lost, "adopted"), (error_before, "never_arrived")])
async def test_a_doubt_is_counted_once_and_the_pair_is_still_two_requests(
    ksef: Sandbox, tmp_path: Path, mishap: Act, result: str
) -> None:
    metrics, nip = Metrics(), some_nip()
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, mishap))) as klucznik:
        await issue(klucznik, context_of(nip), company(nip, ksef), listener=metrics.hear)
    found = scraped(metrics)
    settled = {
        dict(labels)["result"]: number
        for (name, labels), number in found.items()
        if name == "klucznik_requests_reconciled_total"
    }
    assert settled == {"adopted": 0, "found_again": 0, "never_arrived": 0, "given_up": 0, result: 1}
    assert sum(value(found, "requests_spent_total", type=kind.value) for kind in CertificateType) == 2


async def test_waits_and_429s_are_counted_and_the_waiting_are_in_the_database(ksef: Sandbox, tmp_path: Path) -> None:
    metrics = Metrics()
    opened_ = await Installation.open(
        tmp_path,
        ksef_url=ksef.base_url,
        clock=SandboxClock(ksef),
        watcher=metrics.watch,
        transport=Network(Mishap(FILING, paced(60)), Mishap(LIMITS, error_before)),
    )
    async with opened_ as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        await advance(klucznik, issuance.id, listener=metrics.hear)
        found = scraped(metrics, await census(klucznik))
    route = {"method": "POST", "route": "/certificates/enrollments"}
    assert value(found, "ksef_rate_limited_total", **route) == 1
    assert value(found, "ksef_call_duration_seconds_count", status="4xx", **route) == 1
    limits = {"method": "GET", "route": "/certificates/limits"}
    assert value(found, "ksef_call_duration_seconds_count", status="5xx", **limits) == 1
    assert value(found, "waits_total", kind="paced") == 1
    assert value(found, "issuances_waiting", kind="paced") == 1
    assert value(found, "issuances_waiting", kind="limits") == 0
    assert value(found, "issuances_running", state="underway") == 1


async def test_a_takeover_is_counted(ksef: Sandbox, tmp_path: Path) -> None:
    metrics = Metrics()
    async with installed(tmp_path, ksef) as dead, installed(tmp_path, ksef) as alive:
        issuance = await ordered(dead, some_nip(), ksef)
        await take_lease(dead, issuance.subject)
        ksef.advance(seconds=60)
        await advance(alive, issuance.id, listener=metrics.hear)
    assert value(scraped(metrics), "lease_takeovers_total") == 1


async def test_the_census_counts_what_runs_waits_and_is_in_doubt(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, error_before))) as klucznik:
        doubtful, planned = await ordered(klucznik, some_nip(), ksef), await ordered(klucznik, some_nip(), ksef)
        await advance(klucznik, doubtful.id)
        counted = await census(klucznik)
        assert counted.running == {IssuanceState.PLANNED: 1, IssuanceState.UNDERWAY: 1}
        assert counted.waiting == {WaitKind.UNSETTLED: 1}
        assert counted.unknown == 1
        for one in (doubtful, planned):
            await work(klucznik, one)
        assert await census(klucznik) == Census({}, {}, 0, {(kind, Expiry.LATER): 2 for kind in CertificateType})


async def test_whoever_must_sign_is_counted(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded):
            await advance(klucznik, issuance.id)
        assert (await census(klucznik)).waiting == {WaitKind.NEEDS_SIGNATURE: 1}


async def test_certificates_are_counted_by_how_soon_they_run_out_until_another_replaces_them(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        credential = company(nip, ksef)
        await issue(klucznik, context_of(nip), credential)
        subject = credential.holder.signs_in_as
        ends = max(  # they may have been issued on both sides of a second
            held.valid_to
            for held in await klucznik.database.read(
                lambda connection: certificates.of_subject(connection, klucznik.environment, subject)
            )
        )

        async def at(left: timedelta) -> set[Expiry]:
            counted = await klucznik.database.read(
                lambda connection: certificates.count_expiring(connection, klucznik.environment, now=ends - left)
            )
            assert all(number == 1 for number in counted.values())
            return {expiry for _, expiry in counted}

        day = timedelta(days=1)
        assert await at(100 * day) == {Expiry.LATER}
        assert await at(60 * day) == {Expiry.WITHIN_90_DAYS}
        assert await at(20 * day) == {Expiry.WITHIN_30_DAYS}
        assert await at(3 * day) == {Expiry.WITHIN_7_DAYS}
        assert await at(timedelta()) == {Expiry.EXPIRED}

        ksef.advance(days=300)
        again = await order(klucznik, context_of(nip), None, another_pair=True)
        assert isinstance(again, Issuance)
        await work(klucznik, again)
        assert (await census(klucznik)).expiring == {(kind, Expiry.LATER): 1 for kind in CertificateType}


def test_without_the_database_what_was_counted_here_is_still_told() -> None:
    found = scraped(Metrics(), None)
    assert value(found, "database_up") == 0
    assert value(found, "issuances_ended_total", outcome="done") == 0
    assert not any(name == "klucznik_issuances_running" for name, _ in found)
