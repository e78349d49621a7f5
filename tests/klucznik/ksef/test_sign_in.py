"""Signing in: the steps, the polling, what a refusal says, what is never done twice."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from lxml import etree
from tests.klucznik.ksef.worlds import (
    ACCESS_TOKEN,
    CHALLENGE,
    CONTEXT,
    NOW,
    REFERENCE,
    SIGN_IN_TOKEN,
    StillClock,
    answer,
    client,
    sign_in,
    signed_in_answers,
)

from klucznik.errors import AnswerLost, KsefError, KsefUnavailable, RateLimited, SignInRefused
from klucznik.ksef.auth_request import SubjectIdentifierType

STATUS = f"GET /auth/{REFERENCE}"
REDEEM = "POST /auth/token/redeem"
CHALLENGES = "POST /auth/challenge"
SUBMIT = "POST /auth/xades-signature"
PENDING = answer({"status": {"code": 100, "description": "Uwierzytelnianie w toku"}})
DONE = answer({"status": {"code": 200, "description": "ok"}})


async def test_a_sign_in_takes_four_calls_and_each_carries_its_own_token() -> None:
    ksef = signed_in_answers()
    clock = StillClock()
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        await session.limits()
    assert session.context == CONTEXT
    assert [(r.method, r.url.path, r.headers.get("Authorization")) for r in ksef.asked] == [
        ("POST", "/v2/auth/challenge", None),
        ("POST", "/v2/auth/xades-signature", None),
        ("GET", f"/v2/auth/{REFERENCE}", f"Bearer {SIGN_IN_TOKEN}"),
        ("POST", "/v2/auth/token/redeem", f"Bearer {SIGN_IN_TOKEN}"),
        ("GET", "/v2/certificates/limits", f"Bearer {ACCESS_TOKEN}"),
    ]
    assert clock.waits == []


@pytest.mark.parametrize("kind", SubjectIdentifierType)
async def test_the_signer_gets_the_challenge_and_what_it_gives_is_sent_untouched(kind: SubjectIdentifierType) -> None:
    ksef = signed_in_answers()
    seen: list[bytes] = []

    async def person(xml: bytes) -> bytes:
        """Signs at leisure, in another program."""
        seen.append(xml)
        await asyncio.sleep(0)
        return b"<signed>\xc5\xbc</signed>"

    async with client(ksef) as connection:
        await connection.sign_in(CONTEXT, person, identifier_type=kind)
    root = etree.fromstring(seen[0])
    assert [child.xpath("string()") for child in root] == [CHALLENGE, CONTEXT.value, kind.value]
    sent = ksef.asked[1]
    assert sent.content == b"<signed>\xc5\xbc</signed>"
    assert sent.headers["Content-Type"] == "application/xml"


async def test_a_challenge_lasts_ten_minutes_of_ksefs_clock() -> None:
    async with client(signed_in_answers()) as connection:
        challenge = await connection.challenge()
    assert (challenge.value, challenge.issued_at, challenge.client_ip) == (CHALLENGE, NOW, None)
    assert challenge.expires_at == NOW + timedelta(minutes=10)


async def test_polling_starts_at_once_and_slows_down() -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{STATUS: [*([PENDING] * 7), DONE]})
    async with client(ksef, clock) as connection:
        await sign_in(connection)
    assert clock.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert ksef.count(REDEEM) == 1


async def test_a_sign_in_that_stays_pending_can_be_taken_up_again() -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{STATUS: PENDING})
    async with client(ksef, clock) as connection:
        pending = await connection.submit_signed(b"<x/>")
        with pytest.raises(KsefUnavailable, match="sign_in_still_pending") as caught:
            await connection.finish_sign_in(pending, CONTEXT)
        assert caught.value.data["reference_number"] == REFERENCE
        assert 120 <= sum(clock.waits) <= 122
        assert ksef.count(REDEEM) == 0
        ksef.answers[STATUS] = DONE
        session = await connection.finish_sign_in(pending, CONTEXT)
    assert session.context == CONTEXT


@pytest.mark.parametrize("code", [300, 400, 415, 425, 450, 460, 470, 480, 999])
async def test_any_code_that_is_not_pending_or_done_is_a_final_refusal(code: int) -> None:
    refusing = answer({"status": {"code": code, "description": "Nie", "details": ["Brak przypisanych uprawnień"]}})
    ksef = signed_in_answers(**{STATUS: [PENDING, refusing]})
    async with client(ksef) as connection:
        with pytest.raises(SignInRefused) as caught:
            await sign_in(connection)
    error = caught.value
    assert (error.reason, error.status, error.code, error.text) == ("sign_in_refused", None, code, "Nie")
    assert error.details == ("Brak przypisanych uprawnień",)
    assert (ksef.count(STATUS), ksef.count(REDEEM)) == (2, 0)


@pytest.mark.parametrize("code", [0, 100, 101, 199])
async def test_an_unknown_code_below_200_is_still_pending(code: int) -> None:
    ksef = signed_in_answers(**{STATUS: [answer({"status": {"code": code}}), DONE]})
    async with client(ksef) as connection:
        await sign_in(connection)
    assert ksef.count(STATUS) == 2


@pytest.mark.parametrize("key", [SUBMIT, STATUS, REDEEM])
async def test_a_refusal_at_any_step_is_a_refused_sign_in(key: str) -> None:
    body = {"title": "Bad Request", "errors": [{"code": 21115, "description": "Nieprawidłowy certyfikat."}]}
    ksef = signed_in_answers(**{key: answer(body, 400)})
    async with client(ksef) as connection:
        with pytest.raises(SignInRefused) as caught:
            await sign_in(connection)
    assert (caught.value.reason, caught.value.status, caught.value.code) == ("sign_in_refused", 400, 21115)
    assert caught.value.text == "Nieprawidłowy certyfikat."
    assert ksef.count(key) == 1


LOST = [httpx.ReadError("x"), httpx.ReadTimeout("x"), answer({}, 503), answer(b"<html>"), answer(b"", 403)]
PASSING = [
    *((key, wrong) for key in (SUBMIT, REDEEM) for wrong in LOST),
    *((STATUS, answer({"status": {"code": code, "description": "Nie"}})) for code in (500, 550)),
    (STATUS, answer({"status": {"code": 450, "details": ["Nieprawidłowe wyzwanie autoryzacyjne"]}})),
    (STATUS, answer({}, 401)),
    (SUBMIT, answer({"errors": [{"code": 21111, "description": "Nieprawidłowe wyzwanie autoryzacyjne."}]}, 400)),
]


@pytest.mark.parametrize(("key", "wrong"), PASSING, ids=lambda value: repr(value)[:40])
async def test_a_sign_in_that_came_to_nothing_is_begun_anew_with_a_fresh_challenge(key: str, wrong: object) -> None:
    sound, clock = signed_in_answers().answers[key], StillClock()
    ksef = signed_in_answers(**{key: [wrong, wrong, sound]})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
    assert session.context == CONTEXT
    assert (ksef.count(CHALLENGES), ksef.count(SUBMIT), ksef.count(key)) == (3, 3, 3)
    assert clock.waits == [0.5, 1.0]


@pytest.mark.parametrize(("key", "wrong"), PASSING, ids=lambda value: repr(value)[:40])
async def test_a_sign_in_is_begun_anew_a_few_times_only_and_no_step_is_repeated(key: str, wrong: object) -> None:
    clock, ksef = StillClock(), signed_in_answers(**{key: wrong})
    async with client(ksef, clock) as connection:
        with pytest.raises(KsefError) as caught:
            await sign_in(connection)
    assert isinstance(caught.value, (KsefUnavailable, SignInRefused))
    assert isinstance(caught.value, AnswerLost) == (key == REDEEM)
    assert (ksef.count(CHALLENGES), ksef.count(SUBMIT), ksef.count(key)) == (6, 6, 6)
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 8.0]


async def test_a_sign_in_is_not_begun_anew_after_a_minute() -> None:
    clock = StillClock()

    def slow(_: httpx.Request) -> httpx.Response:
        clock.moment += timedelta(seconds=25)
        return httpx.Response(504)

    ksef = signed_in_answers(**{SUBMIT: slow})
    async with client(ksef, clock) as connection:
        with pytest.raises(KsefUnavailable):
            await sign_in(connection)
    assert ksef.count(SUBMIT) == 3


@pytest.mark.parametrize("key", [CHALLENGES, SUBMIT, STATUS, REDEEM])
async def test_a_short_pause_that_ksef_asks_for_is_waited_out_to_the_second(key: str) -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{key: [answer({}, 429, Retry_After="20"), signed_in_answers().answers[key]]})
    async with client(ksef, clock) as connection:
        await sign_in(connection)
    assert clock.moment - NOW == timedelta(seconds=20)
    assert ksef.count(key) == 2


@pytest.mark.parametrize("key", [CHALLENGES, SUBMIT, STATUS, REDEEM])
async def test_a_long_pause_that_ksef_asks_for_is_told(key: str) -> None:
    clock, ksef = StillClock(), signed_in_answers(**{key: answer({}, 429, Retry_After="61")})
    async with client(ksef, clock) as connection:
        with pytest.raises(RateLimited):
            await sign_in(connection)
    assert (clock.waits, ksef.count(key)) == ([], 1)


@pytest.mark.parametrize("wrong", LOST)
async def test_who_goes_step_by_step_decides_himself_whether_to_begin_anew(wrong: object) -> None:
    """A person who signs by hand is never asked again behind his back."""
    ksef = signed_in_answers(**{SUBMIT: wrong})
    async with client(ksef) as connection:
        with pytest.raises(KsefUnavailable) as caught:
            await connection.submit_signed(b"<x/>")
    assert not isinstance(caught.value, AnswerLost)
    assert (ksef.count(SUBMIT), ksef.count(CHALLENGES)) == (1, 0)


async def test_a_credential_can_be_proved_without_taking_the_tokens() -> None:
    ksef = signed_in_answers(**{STATUS: [PENDING, answer({"status": {"code": 550}}), PENDING, DONE]})
    async with client(ksef) as connection:
        assert await connection.prove(CONTEXT, lambda xml: xml) == REFERENCE
    assert (ksef.count(REDEEM), ksef.count(SUBMIT)) == (0, 2)


async def test_asking_for_the_status_survives_a_hiccup() -> None:
    ksef = signed_in_answers(**{STATUS: [answer({}, 502), httpx.ReadError("x"), DONE]})
    async with client(ksef) as connection:
        await sign_in(connection)
    assert ksef.count(STATUS) == 3
