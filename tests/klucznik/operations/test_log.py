"""A line for each thing that happens: an object, one issuance on each, no secret, no whole PESEL, no foreign words."""

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.klucznik.mishaps import FILING, Mishap, Network, answer_lost, paced, refused
from tests.klucznik.services.test_durable import ordered
from tests.klucznik.world import context_of, installed, owner, some_nip

from klucznik.errors import KsefRefused
from klucznik.ksef.calls import Exchange
from klucznik.operations import LogFormat, LogLevel
from klucznik.operations.log import logging_to
from klucznik.services.advance import advance
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import order
from klucznik.services.progress import Progress, Stage
from ksef_sandbox import Sandbox

PESEL = "80010112340"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def worked(klucznik: Installation, *, level: LogLevel = LogLevel.INFO) -> list[dict[str, Any]]:
    """What a worker logs until nothing is due."""
    stream = io.StringIO()
    with logging_to(stream, LogFormat.JSON, level) as log:
        await Engine(klucznik, listener=log.hear).run_until_idle()
    return lines(stream)


async def test_several_issuances_interleave_and_every_line_names_its_own(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuances = [await ordered(klucznik, some_nip(), ksef) for _ in range(4)]
        logged = await worked(klucznik)
    for issuance in issuances:
        told = [line for line in logged if line["issuance"] == issuance.id]
        assert [line["event"] for line in told].count("request_filed") == 2
        assert {line["subject"] for line in told} == {str(issuance.subject)}
        assert (told[-1]["event"], told[-1]["state"]) == ("ended", "done")
    assert len({line["issuance"] for line in logged}) == 4
    assert all(list(line)[:3] == ["timestamp", "level", "event"] for line in logged)


async def test_a_person_is_named_in_short(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        credential = owner(nip, ksef)
        await order(klucznik, context_of(nip), credential)
        logged = await worked(klucznik, level=LogLevel.DEBUG)
    subject = credential.holder.signs_in_as
    assert {line["subject"] for line in logged} == {str(subject)}
    assert subject.value not in json.dumps(logged, ensure_ascii=False)


async def test_a_wait_says_for_what_and_until_when(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, paced(60)))) as klucznik:
        await ordered(klucznik, some_nip(), ksef)
        logged = await worked(klucznik)
    (wait,) = [line for line in logged if line["event"] == "waiting"]
    assert (wait["waits_for"], wait["looks"], wait["reason"]) == ("paced", 1, "rate_limited")
    assert wait["until"].endswith("+00:00")


async def test_a_rejection_has_ksefs_code_and_its_issuance_ends_with_a_warning(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, refused(25001)))) as klucznik:
        await ordered(klucznik, some_nip(), ksef)
        logged = await worked(klucznik)
    (rejected,) = [line for line in logged if line["event"] == "rejected"]
    assert (rejected["level"], rejected["code"]) == ("warning", 25001)
    assert (logged[-1]["level"], logged[-1]["state"]) == ("warning", "rejected")


async def test_what_stops_an_issuance_is_told_as_data_with_its_issuance(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, paced(3000)))) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        logged = await worked(klucznik)
    (stopped,) = [line for line in logged if line["event"].startswith("issuance ")]
    assert (stopped["issuance"], stopped["reason"], stopped["retry_after"]) == (issuance.id, "rate_limited", 3000)
    assert stopped["route"] == "/certificates/enrollments"


async def test_a_lost_answer_is_a_warning_and_its_end_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, answer_lost))) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        stream = io.StringIO()
        with logging_to(stream, LogFormat.JSON, LogLevel.INFO) as log:
            await advance(klucznik, issuance.id, listener=log.hear)
    levels = {line["event"]: line["level"] for line in lines(stream)}
    assert levels["answer_lost"] == "warning"
    assert [line["settled"] for line in lines(stream) if line["event"] == "reconciled"] == ["adopted"]


def said(level: LogLevel = LogLevel.DEBUG, shape: LogFormat = LogFormat.JSON, colours: bool = False) -> io.StringIO:
    """A little of everything, logged."""
    stream = io.StringIO()
    with logging_to(stream, shape, level, colours) as log:
        log.watch(Exchange("GET", "/certificates/limits", 200, 0.0123))
        log.watch(Exchange("GET", "/certificates/limits", 503, 0.5))
        log.watch(Exchange("GET", "/certificates/limits", None, 12))
        log.hear(Progress(Stage.SIGNED_IN))
        logging.getLogger("klucznik.ksef").warning("KSeF warns: %s", f"of PESEL {PESEL}, not of 99999999999")
        logging.getLogger("httpcore.connection").debug("Authorization: Bearer abc")
        logging.getLogger("sqlalchemy").warning("a warning of a library")
        unforeseen = ValueError("a text with a secret in it")
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=unforeseen)
    return stream


def test_every_line_is_one_object_whoever_logs() -> None:
    logged = lines(said())
    assert [(line["level"], line["event"]) for line in logged] == [
        ("debug", "ksef_call"),
        ("warning", "ksef_call"),
        ("warning", "ksef_call"),
        ("info", "signed_in"),
        ("warning", "KSeF warns: of PESEL 8•••••••340, not of 99999999999"),
        ("warning", "a warning of a library"),
        ("error", "Task exception was never retrieved"),
    ]
    assert [line.get("status") for line in logged[:3]] == [200, 503, None]
    assert logged[-1]["exception"] == "ValueError"


@pytest.mark.parametrize("shape", list(LogFormat))
def test_neither_a_foreign_errors_text_nor_a_librarys_chatter_is_written(shape: LogFormat) -> None:
    text = said(shape=shape).getvalue()
    assert "secret" not in text
    assert "Bearer" not in text
    assert PESEL not in text


def test_the_level_leaves_out_what_is_less_important() -> None:
    assert {line["level"] for line in lines(said(LogLevel.WARNING))} == {"warning", "error"}
    assert {line["level"] for line in lines(said(LogLevel.ERROR))} >= {"error"}
    assert len(said(LogLevel.INFO).getvalue().splitlines()) == 6


def test_text_is_for_people_and_coloured_on_a_terminal_alone() -> None:
    plain = said(shape=LogFormat.TEXT).getvalue()
    assert "signed_in" in plain
    assert "\x1b" not in plain
    assert "\x1b" in said(shape=LogFormat.TEXT, colours=True).getvalue()


@pytest.mark.parametrize(
    "number", ["e10eb31323127637bcb5a4c8fef462fe", "01F80010112340AB", "20261124-EH-1234567890-AB"]
)
def test_numbers_that_only_look_like_a_pesel_inside_stay_whole(number: str) -> None:
    stream = io.StringIO()
    with logging_to(stream, LogFormat.JSON, LogLevel.INFO) as log:
        log.say("said", number=number)
    assert lines(stream)[0]["number"] == number


def test_errors_are_told_as_data() -> None:
    stream = io.StringIO()
    with logging_to(stream, LogFormat.JSON, LogLevel.INFO):
        error = KsefRefused(code=25006, text="limit", trace_id="00-abc")
        logging.getLogger("klucznik.engine").warning("stopped: %s", error)
    (line,) = lines(stream)
    assert (line["reason"], line["code"], line["text"], line["trace_id"]) == ("ksef_refused", 25006, "limit", "00-abc")


def test_nothing_is_logged_after_it_is_left_and_the_levels_are_as_before() -> None:
    ours = logging.getLogger("klucznik")
    before = (ours.level, list(logging.getLogger().handlers))
    stream = said()
    length = len(stream.getvalue())
    logging.getLogger("klucznik.ksef").warning("later")
    assert len(stream.getvalue()) == length
    assert (ours.level, logging.getLogger().handlers) == before


async def test_tasks_keep_their_issuances_apart(ksef: Sandbox, tmp_path: Path) -> None:
    """What a task binds is not seen by its neighbours."""
    stream = io.StringIO()
    async with installed(tmp_path, ksef) as klucznik:
        issuances = [await ordered(klucznik, some_nip(), ksef) for _ in range(2)]
        with logging_to(stream, LogFormat.JSON, LogLevel.INFO) as log:

            async def one(number: int) -> None:
                log.hear(Progress(Stage.TAKEN_ON, issuance=issuances[number]))
                await asyncio.sleep(0)
                log.say("said", number=number)

            await asyncio.gather(one(0), one(1))
            log.say("outside")
    told = {line.get("number"): line.get("issuance") for line in lines(stream) if line["event"] in ("said", "outside")}
    assert told == {0: issuances[0].id, 1: issuances[1].id, None: None}
