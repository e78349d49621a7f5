"""docs/operations.md says what a worker tells: every metric, type, label and value; its alerts name real ones."""

from __future__ import annotations

import re

from prometheus_client.metrics_core import Metric
from tests.project import pages

from klucznik.domain.certificates import CertificateType, Expiry
from klucznik.domain.issuance import IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.ksef.calls import Exchange
from klucznik.operations.metrics import Metrics
from klucznik.services.progress import Settled

PAGE = pages.page("docs/operations.md")


def _families() -> dict[str, Metric]:
    metrics = Metrics()
    metrics.watch(Exchange("GET", "/certificates/limits", 429, 0.1))  # so that metrics by route have a sample
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in metrics.families()}


def _labels(metric: Metric) -> set[str]:
    return {label for sample in metric.samples for label in sample.labels} - {"le"}


def test_every_metric_is_on_the_page_with_its_type_and_labels_and_nothing_else() -> None:
    documented = {
        pages.codes(name)[0]: (kind, frozenset(pages.codes(labels)))
        for name, kind, labels, _ in pages.rows(PAGE, "metric", "type", "labels")
    }
    assert documented == {
        name: (metric.type, frozenset(_labels(metric))) for name, metric in _families().items() if metric.samples
    }
    assert len(documented) == 14


def test_names_are_prometheuss_and_ours() -> None:
    for name, metric in _families().items():
        assert re.fullmatch(r"klucznik_[a-z0-9]+(_[a-z0-9]+)*", name)
        assert name.endswith("_total") == (metric.type == "counter")
        assert name.endswith("_seconds") == (metric.type == "histogram")
        assert metric.documentation.endswith(".")


def test_the_page_names_every_value_of_the_labels() -> None:
    ends = [state for state in IssuanceState if state.ended]
    named = {code for row in pages.rows(PAGE, "metric") for code in pages.codes(row[-1])}
    for value in (*WaitKind, *Settled, *Expiry, *ends):
        assert value.value in named
    assert {CertificateType.AUTHENTICATION, CertificateType.OFFLINE} == set(CertificateType)


def test_the_alerts_ask_for_metrics_and_values_that_there_are() -> None:
    families = _families()
    asked = re.findall(r"(klucznik_\w+)(?:\{(\w+)=~?\"([^\"]+)\"\})?", "\n".join(re.findall(r"expr: (.*)", PAGE)))
    assert len(asked) == 3
    for name, label, values in asked:
        there = {sample.labels.get(label) for sample in families[name].samples}
        assert set(values.split("|")) <= there if label else families[name].samples
