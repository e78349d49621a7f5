"""What is counted and measured for Prometheus: what this process did, and what the database holds when it is asked.

Labels come from fixed lists: no company, person, number or name is ever one. The table is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from klucznik.domain.certificates import CertificateType, Expiry
from klucznik.domain.deployment import DeploymentState
from klucznik.domain.issuance import IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.ksef.calls import Exchange
from klucznik.services.census import Census
from klucznik.services.progress import Progress, Settled, Stage

# Seconds. KSeF answers in tenths; we give an answer up after twelve.
_CALL_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 12)
_NO_END = (DeploymentState.PLANNED, DeploymentState.STARTED)


class Metrics:
    """The counters of one process. A listener of services and a watcher of calls."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, text: str, **labels: list[str]) -> Counter:
            made = Counter(f"klucznik_{name}", text, list(labels), registry=self._registry)
            for label, values in labels.items():
                for value in values:  # so that each is there from the first scrape on, as 0
                    made.labels(**{label: value})
            return made

        ends = [state.value for state in IssuanceState if state.ended]
        self._ended = counter("issuances_ended", "Issuances that ended here, by how.", outcome=ends)
        self._spent = counter(
            "requests_spent", "Requests that KSeF accepted, also those found afterwards.", type=list(CertificateType)
        )
        self._settled = counter(
            "requests_reconciled", "Requests whose answer was lost, by what became of them.", result=list(Settled)
        )
        self._waits = counter("waits", "Waits begun or gone on with, by what is waited for.", kind=list(WaitKind))
        self._renewals = counter("renewals_ended", "Issuances among those that renewed, by how.", outcome=ends)
        hooks = [state.value for state in DeploymentState if state not in _NO_END]
        self._hooks = counter("hooks_ended", "Runs of hooks after renewals, by how.", state=hooks)
        self._takeovers = counter("lease_takeovers", "Subjects taken over from a worker that died or froze.")
        self._calls = Histogram(
            "klucznik_ksef_call_duration_seconds",
            "Time of calls to KSeF, by route and class of the answer's status; none: no answer.",
            ["method", "route", "status"],
            buckets=_CALL_BUCKETS,
            registry=self._registry,
        )
        self._limited = Counter(
            "klucznik_ksef_rate_limited",
            "Calls that KSeF refused with 429, by route.",
            ["method", "route"],
            registry=self._registry,
        )

    def hear(self, progress: Progress) -> None:
        issuance, kind = progress.issuance, progress.type
        if progress.stage is Stage.TAKEN_ON and progress.taken_over:
            self._takeovers.inc()
        elif progress.stage is Stage.ENDED and issuance is not None:
            self._ended.labels(outcome=issuance.state.value).inc()
            if issuance.replaces is not None:
                self._renewals.labels(outcome=issuance.state.value).inc()
        elif progress.deployment is not None:
            self._hooks.labels(state=progress.deployment.state.value).inc()
        elif progress.stage is Stage.WAITING and issuance is not None and issuance.wait is not None:
            self._waits.labels(kind=issuance.wait.kind.value).inc()
        elif progress.stage is Stage.REQUEST_FILED and kind is not None:
            self._spent.labels(type=kind.value).inc()
        elif progress.settled is not None and kind is not None:
            self._settled.labels(result=progress.settled.value).inc()
            if progress.settled is Settled.ADOPTED:
                self._spent.labels(type=kind.value).inc()

    def watch(self, exchange: Exchange) -> None:
        status = "none" if exchange.status is None else f"{exchange.status // 100}xx"
        self._calls.labels(exchange.method, exchange.route, status).observe(exchange.seconds)
        if exchange.status == 429:
            self._limited.labels(exchange.method, exchange.route).inc()

    def page(self, counted: Census | None) -> bytes:
        """Everything in Prometheus' text format.

        Args:
            counted: what the database holds; None: it does not answer, and only what this process counted is told.
        """
        return generate_latest(self._registry) + generate_latest(_of_the_database(counted))

    def families(self) -> Iterator[Metric]:
        """Every metric, with an empty database."""
        yield from self._registry.collect()
        yield from _of_the_database(Census({}, {}, 0, {})).collect()


def _of_the_database(counted: Census | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Counted(counted))
    return registry


class _Counted(Collector):
    """One scrape's view of the database. Every worker tells the same: take the maximum, not the sum."""

    def __init__(self, counted: Census | None) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        counted = self._counted
        answers = 0 if counted is None else 1
        yield GaugeMetricFamily("klucznik_database_up", "Whether the database answered this scrape.", answers)
        if counted is None:
            return
        running = _gauge("issuances_running", "Issuances that have not ended, by state.", "state")
        for state in (IssuanceState.PLANNED, IssuanceState.UNDERWAY):
            running.add_metric([state.value], counted.running.get(state, 0))
        yield running
        waiting = _gauge("issuances_waiting", "Running issuances that wait, by what for.", "kind")
        for kind in WaitKind:
            waiting.add_metric([kind.value], counted.waiting.get(kind, 0))
        yield waiting
        unknown = _gauge("requests_unknown", "Requests whose answer was lost and that are not reconciled yet.")
        unknown.add_metric([], counted.unknown)
        yield unknown
        expiring = _gauge(
            "certificates", "Certificates that none replaces yet, by how soon they run out.", "type", "expiry"
        )
        for type_ in CertificateType:
            for expiry in Expiry:
                expiring.add_metric([type_.value, expiry.value], counted.expiring.get((type_, expiry), 0))
        yield expiring


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"klucznik_{name}", text, labels=labels)
