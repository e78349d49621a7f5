"""Rules 9 and 10, as far as the code itself shows them: one clock, and words for every decision.

That the catalogue is whole is proved in `tests/project/test_catalogue.py`.
"""

import ast
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

import klucznik
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.preflight import Finding, LikelyCause
from klucznik.domain.reasons import Cause, Reason, RemedyKind, Risk, Task
from klucznik.domain.remedies import Remedy
from klucznik.messages.catalogue import LANGUAGES, words_in
from klucznik.messages.refusal import cause_text, effect_text, reason_text, remedy_text, remedy_title, risk_text

pytestmark = pytest.mark.sqlite

SOURCE = Path(klucznik.__file__).parent
# Asking the machine for the time or making it wait; `klucznik.clock` is where that is done.
CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "time.sleep",
    "asyncio.sleep",
}


def clocks_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKS:
            yield f"{file.relative_to(SOURCE)}:{node.lineno}: {ast.unparse(node.func)}"


def test_rule_9_only_the_clock_and_the_command_line_ask_the_machine_for_the_time() -> None:
    files = [file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] not in ("clock.py", "cli")]
    assert [found for file in files for found in clocks_in(file)] == []
    assert list(clocks_in(SOURCE / "clock.py"))  # so that the search is known to find


@pytest.mark.parametrize("language", LANGUAGES)
def test_rule_10_every_decision_is_data_that_can_be_said(language: str) -> None:
    words = words_in(language)
    limits = Limits(False, Allowance(1, 12), Allowance(0, 6))
    subject = Subject(SubjectType.PESEL, "80010112340")
    for reason in Reason:
        assert_said(reason_text(Finding(reason, needed=2, remaining=1, limit=12), words))
    for cause in Cause:
        count = None if cause is Cause.EARLIER_TESTS_OR_ATTEMPTS else 5
        assert_said(cause_text(LikelyCause(cause, count), limits, words))
    for kind, task in zip_longest(RemedyKind, Task, fillvalue=None):
        remedy = Remedy(kind or RemedyKind.REUSE, task or Task.COME_BACK)
        for text in (remedy_title(remedy, words), remedy_text(remedy, subject, words), effect_text(remedy, words)):
            assert_said(text)
    for risk in Risk:
        assert_said(risk_text(risk, words))


def assert_said(text: str) -> None:
    """Words, and not the key that stands for them."""
    assert " " in text
    assert "{" not in text
