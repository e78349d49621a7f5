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

from klucznik.errors import AnswerLost, KsefUnavailable, SignInRefused
from klucznik.ksef.auth_request import SubjectIdentifierType

STATUS = f"GET /auth/{REFERENCE}"
REDEEM = "POST /auth/token/redeem"
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


@pytest.mark.parametrize("code", [300, 400, 415, 425, 450, 460, 470, 480, 500, 550, 999])
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


@pytest.mark.parametrize("wrong", [httpx.ReadError("x"), httpx.ReadTimeout("x"), answer({}, 503), answer(b"<html>")])
async def test_tokens_that_do_not_arrive_are_not_asked_for_twice(wrong: object) -> None:
    ksef = signed_in_answers(**{REDEEM: wrong})
    async with client(ksef) as connection:
        with pytest.raises(AnswerLost):
            await sign_in(connection)
    assert ksef.count(REDEEM) == 1


@pytest.mark.parametrize("wrong", [httpx.ReadError("x"), answer({}, 503), answer(b"")])
async def test_a_signed_document_is_sent_once_and_losing_the_answer_costs_nothing(wrong: object) -> None:
    ksef = signed_in_answers(**{SUBMIT: wrong})
    async with client(ksef) as connection:
        with pytest.raises(KsefUnavailable) as caught:
            await sign_in(connection)
    assert not isinstance(caught.value, AnswerLost)
    assert ksef.count(SUBMIT) == 1


async def test_a_credential_can_be_proved_without_taking_the_tokens() -> None:
    ksef = signed_in_answers(**{STATUS: [PENDING, DONE]})
    async with client(ksef) as connection:
        await connection.processed(await connection.submit_signed(b"<x/>"))
    assert ksef.count(REDEEM) == 0


async def test_asking_for_the_status_survives_a_hiccup() -> None:
    ksef = signed_in_answers(**{STATUS: [answer({}, 502), httpx.ReadError("x"), DONE]})
    async with client(ksef) as connection:
        await sign_in(connection)
    assert ksef.count(STATUS) == 3
