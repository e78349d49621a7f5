"""KSeF's error answers in both formats, and how long it asks us to wait."""

from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.klucznik.ksef.worlds import NOW, StillClock, answer, client, sign_in, signed_in_answers

from klucznik.errors import KsefRefused, RateLimited, SignInRefused
from klucznik.ksef.refusals import Complaint, read_complaint, retry_after

TRACE = "00-bceaf48af84cdbc96da54f47df5f1b08-eb331995bb4acc0d-00"
LEGACY = {
    "exception": {
        "exceptionDetailList": [
            {"exceptionCode": 25007, "exceptionDescription": "Osiągnięto limit.", "details": ["pierwszy", "drugi"]},
            {"exceptionCode": 21405, "exceptionDescription": "Błąd walidacji.", "details": ["pole x"]},
        ],
        "serviceCode": TRACE,
        "timestamp": "2025-10-06T15:10:37.9002184Z",
    }
}
PROBLEM = {
    "title": "Bad Request",
    "status": 400,
    "instance": "/v2/certificates/limits",
    "detail": "Żądanie jest nieprawidłowe.",
    "errors": [
        {"code": 25007, "description": "Osiągnięto limit.", "details": ["pierwszy", "drugi"]},
        {"code": 21405, "description": "Błąd walidacji.", "details": ["pole x"]},
    ],
    "timestamp": "2026-11-23T09:00:00Z",
    "traceId": TRACE,
    "somethingNew": [1, 2],
}


async def refused(status: int, body: object) -> KsefRefused:
    """The error that an answer to the limits gives."""
    ksef = signed_in_answers(**{"GET /certificates/limits": answer(body, status)})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(KsefRefused) as caught:
            await session.limits()
    return caught.value


@pytest.mark.parametrize("body", [LEGACY, PROBLEM], ids=["legacy", "problem details"])
async def test_both_formats_tell_the_same(body: object) -> None:
    error = await refused(400, body)
    assert (error.reason, error.status, error.code) == ("ksef_refused", 400, 25007)
    assert error.text == "Osiągnięto limit."
    assert error.details == ("pierwszy", "drugi", "21405 Błąd walidacji. pole x")
    assert error.trace_id == TRACE


async def test_every_request_asks_for_problem_details() -> None:
    ksef = signed_in_answers()
    async with client(ksef) as connection:
        await (await sign_in(connection)).limits()
    assert len(ksef.asked) == 5
    assert {request.headers["X-Error-Format"] for request in ksef.asked} == {"problem-details"}


async def test_a_forbidden_call_names_the_permissions() -> None:
    error = await refused(
        403,
        {
            "title": "Forbidden",
            "status": 403,
            "detail": "Brak wymaganych uprawnień.",
            "reasonCode": "missing-permissions",
            "security": {"requiredAnyOfPermissions": ["CredentialsManage"], "presentPermissions": ["InvoiceRead"]},
            "timestamp": "2026-11-23T09:00:00Z",
        },
    )
    assert error.reason == "ksef_forbidden"
    assert error.data["reason_code"] == "missing-permissions"
    assert error.data["required_permissions"] == "CredentialsManage"
    assert error.data["present_permissions"] == "InvoiceRead"


@pytest.mark.parametrize(
    ("theirs", "ours", "value", "kept"),
    [
        ("clientIp", "client_ip", "2001:db8::1", "2001:db8::1"),
        ("incidentId", "incident_id", "a1b2-c3d4", "a1b2-c3d4"),
        ("authenticationMethodCategory", "authentication_method", "Token", "Token"),
        ("contextIdentifierType", "context_type", "PeppolId", "PeppolId"),
        ("presentPermissions", "present_permissions", [], ""),
        ("presentPermissions", "present_permissions", ["InvoiceRead", "call 0700 123", 7], "InvoiceRead"),
        ("clientIp", "client_ip", "10.0.0.1. Call 0700 123", ""),
        ("incidentId", "incident_id", "\x1b[2J", ""),
        ("incidentId", "incident_id", "9" * 81, ""),
        ("clientIp", "client_ip", {"text": "x"}, None),
    ],
)
async def test_what_a_403_adds_is_a_name_or_a_number(theirs: str, ours: str, value: object, kept: str | None) -> None:
    error = await refused(403, {"detail": "x", "reasonCode": "ip-not-allowed", "security": {theirs: value}})
    assert error.data.get(ours) == kept
    assert error.facts["reason_code"] == "ip-not-allowed"


@pytest.mark.parametrize("reason_code", ["", "Zadzwoń 0700", "a" * 61, "{subject}", "missing-permissions\n", "a.now"])
async def test_a_reason_that_is_no_name_is_none(reason_code: str) -> None:
    assert (await refused(403, {"detail": "x", "reasonCode": reason_code})).data["reason_code"] is None


async def test_a_sign_in_that_is_forbidden_tells_why() -> None:
    body = {"detail": "x", "reasonCode": "security-service-blocked", "security": {"incidentId": "7-a"}}
    ksef = signed_in_answers(**{"POST /auth/xades-signature": answer(body, 403)})
    async with client(ksef) as connection:
        with pytest.raises(SignInRefused) as caught:
            await sign_in(connection)
    assert caught.value.facts == {"reason_code": "security-service-blocked", "incident_id": "7-a"}


async def test_an_operation_that_is_gone_has_its_own_reason() -> None:
    error = await refused(410, {"title": "Gone", "status": 410, "detail": "Operacja wygasła."})
    assert (error.reason, error.text) == ("ksef_gone", "Operacja wygasła.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Access denied</html>",
        b'{"exception": {"exceptionDetail',
        b"[]",
        b"null",
        b"\xff\xfe",
        {"exception": None},
        {"exception": {"exceptionDetailList": []}},
        {"errors": [{"code": "25007"}]},
        {"errors": [], "status": {"code": True}},
    ],
    ids=str,
)
async def test_a_refusal_without_a_readable_body_is_still_a_refusal(body: object) -> None:
    error = await refused(410, body)
    assert (error.reason, error.status, error.code, error.text) == ("ksef_gone", 410, None, "")


@given(st.binary(max_size=400))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    assert isinstance(read_complaint(body), Complaint)


FIELD_NAMES = [
    *("exception", "exceptionDetailList", "exceptionCode", "exceptionDescription", "details", "serviceCode"),
    *("status", "code", "description", "title", "detail", "errors", "traceId", "security", "reasonCode"),
    *("requiredAnyOfPermissions", "clientIp"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELD_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_the_reader(document: object) -> None:
    assert isinstance(read_complaint(answer(document).content), Complaint)


async def test_a_text_of_ksef_cannot_drive_a_terminal() -> None:
    body = {"errors": [{"code": 1, "description": "\x1b[2Jczysto\u202e\n", "details": ["a\x07b"]}], "title": "x"}
    error = await refused(400, body)
    assert (error.text, error.details) == ("[2Jczysto", ("a b",))


async def limited(headers: dict[str, str], body: object = None) -> RateLimited:
    ksef = signed_in_answers(**{"GET /certificates/limits": httpx.Response(429, headers=headers, json=body)})
    clock = StillClock()
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        with pytest.raises(RateLimited) as caught:
            await session.limits()
    assert ksef.count("GET /certificates/limits") == 1, "a pause of more than seconds is told, not waited out"
    assert clock.waits == []
    return caught.value


@pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("3", 3), ("7200", 7200), (" 5 ", 5)])
async def test_retry_after_is_kept_to_the_second(header: str, seconds: int) -> None:
    error = await limited({"Retry-After": header})
    assert error.retry_after == seconds
    assert error.until == NOW + timedelta(seconds=seconds)
    assert error.data["route"] == "/certificates/limits"


async def test_retry_after_may_be_a_date() -> None:
    assert (await limited({"Retry-After": "Mon, 23 Nov 2026 09:01:30 GMT"})).retry_after == 90


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "99999999999999999999", "٣٠", "Mon, 99 Nov 2026"])
def test_a_malformed_retry_after_is_no_time(header: str) -> None:
    assert retry_after(header, NOW) is None


async def test_a_429_that_names_no_time_waits_a_minute() -> None:
    assert (await limited({})).retry_after == 60


def test_a_date_in_the_past_is_no_wait_and_a_part_of_a_second_is_waited_for() -> None:
    assert retry_after("Mon, 23 Nov 2026 08:00:00 GMT", NOW) == 0
    assert retry_after("Mon, 23 Nov 2026 09:00:10 GMT", NOW + timedelta(milliseconds=1)) == 10


@given(st.text(max_size=40))
def test_no_header_breaks_the_waiting_time(header: str) -> None:
    seconds = retry_after(header, NOW)
    assert seconds is None or seconds >= 0
