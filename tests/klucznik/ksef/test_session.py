"""What a session sends and how it keeps its tokens, against scripted answers."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from tests.klucznik.ksef.worlds import (
    ACCESS_TOKEN,
    NIP,
    NOW,
    REFERENCE,
    REFRESH_TOKEN,
    StillClock,
    answer,
    client,
    sign_in,
    signed_in_answers,
    token,
)

from klucznik.domain.certificates import CertificateStatus, CertificateType
from klucznik.domain.values import InvalidValue
from klucznik.errors import KsefRefused, KsefUnavailable, SignatureNeeded
from klucznik.ksef.session import Session

LIMITS = "GET /certificates/limits"
REFRESH = "POST /auth/token/refresh"
ENROLL = "POST /certificates/enrollments"
QUERY = "POST /certificates/query"
RETRIEVE = "POST /certificates/retrieve"
SESSIONS = "GET /auth/sessions"
END = "DELETE /auth/sessions/current"
RENEWED = answer({"accessToken": token("renewed-token", NOW + timedelta(hours=1))})
UNAUTHORIZED = answer({"title": "Unauthorized", "status": 401, "detail": "Wymagane jest uwierzytelnienie."}, 401)
SERIALS = [f"01{number:014X}" for number in range(25)]
AT = "2026-11-23T09:00:00Z"


def bearer(request: httpx.Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")


async def test_the_access_token_is_used_until_a_minute_before_its_end() -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{REFRESH: RENEWED})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        clock.moment = NOW + timedelta(minutes=13, seconds=59)
        await session.limits()
        assert ksef.count(REFRESH) == 0
        clock.moment = NOW + timedelta(minutes=14)
        await session.limits()
        await session.limits()
    assert ksef.count(REFRESH) == 1
    tokens = [bearer(request) for request in ksef.asked[4:]]
    assert tokens == [ACCESS_TOKEN, REFRESH_TOKEN, "renewed-token", "renewed-token"]


async def test_parallel_calls_renew_the_token_once() -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{REFRESH: RENEWED})

    async def slow(request: httpx.Request) -> httpx.Response:
        """Lets all the other calls begin before the first one is answered."""
        for _ in range(20):
            await asyncio.sleep(0)
        return ksef(request)

    async with client(slow, clock) as connection:
        session = await sign_in(connection)
        clock.moment = NOW + timedelta(days=1)
        # A renewed token that looks old too (our clock is a day ahead) must not make every waiting call renew it again.
        await asyncio.gather(*(session.limits() for _ in range(8)))
    assert ksef.count(REFRESH) == 1
    assert {bearer(r) for r in ksef.asked if r.url.path.endswith("limits")} == {"renewed-token"}


async def test_a_question_refused_with_401_is_asked_again_with_a_renewed_token() -> None:
    """Our clock may be behind: the token looks valid only to us."""
    ksef = signed_in_answers(**{REFRESH: RENEWED})
    ksef.answers[LIMITS] = [UNAUTHORIZED, ksef.answers[LIMITS]]
    async with client(ksef) as connection:
        await (await sign_in(connection)).limits()
    assert [bearer(r) for r in ksef.asked[4:]] == [ACCESS_TOKEN, REFRESH_TOKEN, "renewed-token"]


async def test_a_second_401_is_not_answered_by_a_third_attempt() -> None:
    ksef = signed_in_answers(**{REFRESH: RENEWED, LIMITS: UNAUTHORIZED})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(KsefRefused, match="ksef_unauthorized"):
            await session.limits()
    assert (ksef.count(LIMITS), ksef.count(REFRESH)) == (2, 1)


async def test_a_call_that_spends_is_not_sent_again_after_a_401() -> None:
    ksef = signed_in_answers(**{REFRESH: RENEWED, ENROLL: UNAUTHORIZED})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(SignatureNeeded, match="access_token_refused"):
            await session.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=b"0")
    assert (ksef.count(ENROLL), ksef.count(REFRESH)) == (1, 0)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_renewal_means_that_the_user_must_sign(status: int) -> None:
    clock = StillClock()
    body = {"title": "x", "errors": [{"code": 21301, "description": "Brak autoryzacji."}]}
    ksef = signed_in_answers(**{REFRESH: answer(body, status)})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        clock.moment += timedelta(hours=1)
        with pytest.raises(SignatureNeeded, match="session_over") as caught:
            await session.limits()
    assert caught.value.data["code"] == 21301
    assert ksef.count(LIMITS) == 0


async def test_a_renewal_that_fails_for_now_can_be_tried_later() -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{REFRESH: [*([answer({}, 503)] * 3), RENEWED]})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        clock.moment += timedelta(hours=1)
        with pytest.raises(KsefUnavailable):
            await session.limits()
        assert (await session.limits()).can_request


async def test_an_ended_session_sends_nothing_more() -> None:
    ksef = signed_in_answers(**{END: httpx.Response(204)})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        await session.end()
        await session.end()
        with pytest.raises(SignatureNeeded, match="session_ended"):
            await session.limits()
    assert ksef.count(END) == 1
    assert bearer(ksef.asked[-1]) == REFRESH_TOKEN


async def test_a_request_says_exactly_what_was_asked_for() -> None:
    ksef = signed_in_answers(**{ENROLL: answer({"referenceNumber": REFERENCE, "timestamp": AT}, 202)})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        ticket = await session.enroll(
            name="Zażółć gęślą_1-a",
            type=CertificateType.AUTHENTICATION,
            csr=b"0\x82",
            valid_from=datetime(2026, 12, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        )
        await session.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=b"0")
    assert (ticket.reference_number, ticket.timestamp) == (REFERENCE, NOW)
    first, second = (json.loads(request.content) for request in ksef.asked[-2:])
    assert first == {
        "certificateName": "Zażółć gęślą_1-a",
        "certificateType": "Authentication",
        "csr": "MII=",
        "validFrom": "2026-12-01T00:00:00+00:00",
    }
    assert second == {"certificateName": "Klucznik", "certificateType": "Offline", "csr": "MA=="}


@pytest.mark.parametrize("name", ["", "abcd", "a" * 101, "nazwa.z.kropką", "a/b/c/d"])
async def test_a_name_that_ksef_would_refuse_is_not_sent(name: str) -> None:
    ksef = signed_in_answers()
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(InvalidValue):
            await session.enroll(name=name, type=CertificateType.OFFLINE, csr=b"0")
    assert ksef.count(ENROLL) == 0


def retrieved(request: httpx.Request) -> httpx.Response:
    """Answers in reverse order, with one that was not asked for and without the last."""
    asked = json.loads(request.content)["certificateSerialNumbers"]
    return answer(
        {
            "certificates": [
                {"certificateSerialNumber": serial, "certificateType": "Offline", "certificate": "MIIB"}
                for serial in ["01FFFFFFFFFFFFFF", *reversed(asked)]
                if serial != SERIALS[24]
            ]
        }
    )


async def test_certificates_are_retrieved_ten_at_a_time_and_matched_by_serial_number() -> None:
    ksef = signed_in_answers(**{RETRIEVE: retrieved})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        found = await session.retrieve([*SERIALS, SERIALS[0].lower()])
        assert await session.retrieve([]) == {}
    assert found.keys() == set(SERIALS[:24])
    assert all(found[serial].serial_number == serial for serial in found)
    sizes = [len(json.loads(r.content)["certificateSerialNumbers"]) for r in ksef.asked if "retrieve" in r.url.path]
    assert sizes == [10, 10, 5]


def listed(*serials: str) -> list[dict[str, object]]:
    return [
        {
            "certificateSerialNumber": serial,
            "name": "Klucznik",
            "type": "Offline",
            "commonName": "x",
            "status": "Active",
            "subjectIdentifier": {"type": "Nip", "value": NIP},
            "validFrom": AT,
            "validTo": AT,
            "requestDate": AT,
        }
        for serial in serials
    ]


async def serials_of(session: Session) -> list[str]:
    return [record.serial_number async for record in session.certificates()]


async def test_a_listing_follows_the_pages_and_names_none_twice() -> None:
    pages = [listed(*SERIALS[0:3]), listed(*SERIALS[2:5]), listed(SERIALS[5])]
    ksef = signed_in_answers(
        **{QUERY: [answer({"certificates": page, "hasMore": page is not pages[-1]}) for page in pages]}
    )
    async with client(ksef) as connection:
        assert await serials_of(await sign_in(connection)) == SERIALS[:6]
    queries = [dict(request.url.params) for request in ksef.asked if request.url.path.endswith("query")]
    assert queries == [{"pageSize": "50", "pageOffset": str(page)} for page in range(3)]


async def test_the_filters_are_sent_and_only_those_that_are_set() -> None:
    ksef = signed_in_answers(**{QUERY: answer({"certificates": [], "hasMore": False})})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        filtered = session.certificates(
            name="Klucznik",
            type=CertificateType.OFFLINE,
            status=CertificateStatus.ACTIVE,
            serial_number=SERIALS[10].lower(),
            expires_after=NOW,
        )
        assert [record async for record in filtered] == []
        await serials_of(session)
    first, second = (json.loads(request.content) for request in ksef.asked[-2:])
    assert first == {
        "name": "Klucznik",
        "type": "Offline",
        "status": "Active",
        "certificateSerialNumber": SERIALS[10],
        "expiresAfter": NOW.astimezone(UTC).isoformat(),
    }
    assert second == {}


async def test_a_listing_without_an_end_is_given_up() -> None:
    ksef = signed_in_answers(
        **{
            QUERY: answer({"certificates": listed(SERIALS[0]), "hasMore": True}),
            SESSIONS: answer({"items": [], "continuationToken": "again"}),
        }
    )
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(KsefUnavailable) as caught:
            await serials_of(session)
        assert caught.value.data["cause"] == "endless_listing"
        with pytest.raises(KsefUnavailable):
            await session.sessions()
    assert ksef.count(QUERY) == ksef.count(SESSIONS) == 30


async def test_sessions_are_followed_by_the_continuation_header() -> None:
    item = {"referenceNumber": REFERENCE, "startDate": AT, "status": {"code": 200}, "isCurrent": True}
    pages = [answer({"items": [item], "continuationToken": "next-1"}), answer({"items": [item]})]
    ksef = signed_in_answers(**{SESSIONS: pages})
    async with client(ksef) as connection:
        records = await (await sign_in(connection)).sessions()
    assert [record.is_current for record in records] == [True, True]
    assert [r.headers.get("x-continuation-token") for r in ksef.asked[-2:]] == [None, "next-1"]


async def test_identifiers_cannot_leave_their_place_in_the_path() -> None:
    ksef = signed_in_answers()
    ksef.answers = {**ksef.answers, "GET /certificates/enrollments/../data?x": answer({}, 404)}
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(KsefRefused):
            await session.enrollment_status("../data?x")
        with pytest.raises(InvalidValue):
            await session.revoke("../../auth/sessions")
    assert ksef.asked[-1].url.raw_path == b"/v2/certificates/enrollments/..%2Fdata%3Fx"


async def test_a_moment_without_a_time_zone_is_a_mistake_of_the_caller() -> None:
    async with client(signed_in_answers()) as connection:
        session = await sign_in(connection)
        with pytest.raises(ValueError, match="time zone"):
            await session.enroll(
                name="Klucznik",
                type=CertificateType.OFFLINE,
                csr=b"0",
                valid_from=datetime(2026, 12, 1),  # noqa: DTZ001
            )
