"""The log of a process that works on many issuances at once: one line for each thing that happens.

The library logs by `logging` alone; what becomes of it is decided here, for one process and as long as it asks for it.
No line holds a secret or a whole PESEL, and errors that nobody foresaw are told by their type alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, TypeAlias

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor

from klucznik.domain.deployment import Deployment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.values import InvalidValue
from klucznik.domain.waits import WaitKind
from klucznik.errors import KlucznikError
from klucznik.ksef.calls import Exchange
from klucznik.operations import LogFormat, LogLevel
from klucznik.services.progress import Progress, Settled, Stage

Fact: TypeAlias = str | int | float | bool | None


_OURS = "klucznik"
_LEVELS = {
    Stage.TAKEN_ON: logging.DEBUG,
    Stage.ANSWER_LOST: logging.WARNING,
    Stage.REJECTED: logging.WARNING,
}
_FIRST = ("timestamp", "level", "event", "issuance", "subject", "context")
_SHORT_ID = 8
_SELDOM_OF_INTEREST = ("/static",)
# Not inside the hexadecimal numbers of ours and KSeF's.
_ELEVEN_DIGITS = re.compile(r"(?<![0-9A-Fa-f])\d{11}(?![0-9A-Fa-f])")


class Log:
    """Writes lines. A listener of services and a watcher of calls, beside what the library logs itself."""

    def __init__(self) -> None:
        self._log = logging.getLogger(f"{_OURS}.work")

    def say(self, event: str, **facts: Fact) -> None:
        self._write(logging.INFO, event, facts)

    def hear(self, progress: Progress) -> None:
        """A line about what an issuance is at; all that follow in the same task name the same issuance."""
        issuance = progress.issuance
        if progress.stage is Stage.TAKEN_ON and issuance is not None:
            clear_contextvars()
            bind_contextvars(issuance=issuance.id, subject=str(issuance.subject), context=str(issuance.context))
        self._write(_level(progress), progress.stage.value, _facts(progress))

    def watch(self, exchange: Exchange) -> None:
        """A line about one call to KSeF; only those that failed are worth one in everyday life."""
        status = exchange.status
        failed = status is None or status == 429 or status >= 500
        facts: dict[str, Fact] = {"method": exchange.method, "route": exchange.route, "status": status}
        facts["seconds"] = round(exchange.seconds, 3)
        self._write(logging.WARNING if failed else logging.DEBUG, "ksef_call", facts)

    def request(
        self,
        method: str,
        route: str | None,
        status: int | None,
        seconds: float,
        *,
        request_id: str | None = None,
        caller: str | None = None,
    ) -> None:
        """A line about a request to this process; the browser's own errands and what it was never answered included.

        Args:
            request_id: as its answer tells it in ``X-Request-Id``.
            caller: id of the API key that came with it.
        """
        level = logging.ERROR if status is None or status >= 500 else logging.INFO
        if route in _SELDOM_OF_INTEREST and level is logging.INFO:
            level = logging.DEBUG
        facts: dict[str, Fact] = {"method": method, "route": route, "status": status, "seconds": round(seconds, 3)}
        self._write(level, "request", {**facts, "request": request_id, "caller": caller})

    def _write(self, level: int, event: str, facts: dict[str, Fact]) -> None:
        told = {name: value for name, value in facts.items() if value is not None}
        self._log.log(level, event, extra={"facts": told})


@contextmanager
def logging_to(stream: TextIO, log_format: LogFormat, level: LogLevel, colours: bool = False) -> Iterator[Log]:
    """Write everything that is logged to `stream`, until this is left."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(_worth_a_line)
    handler.setFormatter(_formatter(log_format, colours=colours))
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    before = ours.level
    ours.setLevel(level.value.upper())
    root.addHandler(handler)
    try:
        yield Log()
    finally:
        root.removeHandler(handler)
        ours.setLevel(before)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """What libraries say below a warning is for their authors, and holds what we would not write."""
    return record.name.partition(".")[0] == _OURS or record.levelno >= logging.WARNING


def _formatter(log_format: LogFormat, *, colours: bool) -> logging.Formatter:
    last: list[Processor] = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    if log_format is LogFormat.TEXT:
        last = [_in_short, structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=18, sort_keys=False)]
        stamp = structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            structlog.stdlib.add_log_level,
            stamp,
            _with_facts,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _in_order, _no_whole_pesel, *last],
        pass_foreign_args=True,
    )


def _with_facts(_: object, __: str, event: EventDict) -> EventDict:
    """What was logged beside the words: our own facts, the data of an error, the type of a foreign one."""
    record: logging.LogRecord = event["_record"]
    event.update(getattr(record, "facts", {}))
    for argument in event.pop("positional_args", None) or ():
        if isinstance(argument, KlucznikError):
            data = {name: value for name, value in argument.data.items() if value not in (None, "")}
            event.update({**data, "reason": argument.reason})
    if record.exc_info and record.exc_info[0] is not None:
        event["exception"] = record.exc_info[0].__name__
    event.pop("exc_info", None)
    return event


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    first = {name: event[name] for name in _FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


def _in_short(_: object, __: str, event: EventDict) -> EventDict:
    """A person reads the beginning of an id, and seldom needs the company beside the subject."""
    if "issuance" in event:
        event["issuance"] = event["issuance"][:_SHORT_ID]
    if event.get("context") == event.get("subject"):
        event.pop("context", None)
    return event


def _no_whole_pesel(_: object, __: str, event: EventDict) -> EventDict:
    """KSeF's own texts may name the person."""
    return {
        name: _ELEVEN_DIGITS.sub(_shown, value) if isinstance(value, str) else value for name, value in event.items()
    }


def _shown(digits: re.Match[str]) -> str:
    try:
        return Subject(SubjectType.PESEL, digits.group()).shown()
    except InvalidValue:
        return digits.group()


def _level(progress: Progress) -> int:
    wait = progress.issuance.wait if progress.issuance is not None else None
    if progress.taken_over or progress.settled is Settled.GIVEN_UP:
        return logging.WARNING
    if progress.stage is Stage.WAITING and wait is not None and wait.kind is WaitKind.NEEDS_SIGNATURE:
        return logging.WARNING
    if progress.deployment is not None:
        return logging.INFO if progress.deployment.state.settled else logging.WARNING
    if progress.stage is Stage.ENDED and progress.issuance is not None:
        return logging.WARNING if progress.issuance.state is IssuanceState.REJECTED else logging.INFO
    return _LEVELS.get(progress.stage, logging.INFO)


def _facts(progress: Progress) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "type": None if progress.type is None else progress.type.value,
        "seconds": None if progress.seconds is None else round(progress.seconds, 3),
        "settled": None if progress.settled is None else progress.settled.value,
        "taken_over": progress.taken_over or None,
    }
    if progress.limits is not None:
        facts["requests_remaining"] = progress.limits.enrollment.remaining
        facts["certificates_remaining"] = progress.limits.certificate.remaining
    if progress.failure is not None:
        failure = progress.failure
        facts |= {"code": failure.code, "text": failure.text or None, "details": failure.details or None}
        facts |= {"trace_id": failure.trace_id, "reason": failure.reason}
    if progress.deployment is not None and progress.issuance is not None:
        facts |= _hook(progress.deployment, progress.issuance, progress.output)
    elif progress.issuance is not None:
        facts |= _state(progress.stage, progress.issuance)
    return facts


def _hook(deployment: Deployment, issuance: Issuance, output: str) -> dict[str, Fact]:
    """Hooks run also where nobody has just worked on the issuance, so the line names it itself."""
    return {
        "issuance": issuance.id,
        "subject": str(issuance.subject),
        "context": str(issuance.context),
        "hook": deployment.hook,
        "state": deployment.state.value,
        "attempt": deployment.attempts,
        "exit_code": deployment.exit_code,
        "output": output or None,
    }


def _state(stage: Stage, issuance: Issuance) -> dict[str, Fact]:
    wait = issuance.wait
    if stage is Stage.ENDED:
        renews = None if issuance.replaces is None else len(issuance.replaces)
        return {"issuance": issuance.id, "state": issuance.state.value, "renews": renews}
    if stage is Stage.WAITING and wait is not None:
        until = None if wait.until is None else wait.until.isoformat(timespec="milliseconds")
        return {"waits_for": wait.kind.value, "until": until, "looks": wait.looks, "reason": wait.reason}
    return {}
