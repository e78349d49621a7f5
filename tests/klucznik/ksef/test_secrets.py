"""No token, key or signed document in any repr, error, chain of errors or log, however KSeF misbehaves."""

import logging
import traceback
from collections.abc import Iterator

import httpx
import pytest
from tests.klucznik.ksef.worlds import (
    ACCESS_TOKEN,
    CONTEXT,
    REFERENCE,
    REFRESH_TOKEN,
    SIGN_IN_TOKEN,
    StillClock,
    answer,
    client,
    signed_in_answers,
)

from klucznik.domain.certificates import CertificateType
from klucznik.errors import KlucznikError
from klucznik.ksef import wire
from klucznik.ksef.answers import RetrievedCertificate
from klucznik.ksef.fields import Fields

SIGNED = b"<signed>canary-signed-document</signed>"
CSR = b"canary-csr"
CANARIES = ("canary", "Bearer", SIGN_IN_TOKEN, ACCESS_TOKEN, REFRESH_TOKEN, "Y2FuYXJ5")
KEYS = [
    "POST /auth/challenge",
    "POST /auth/xades-signature",
    f"GET /auth/{REFERENCE}",
    "POST /auth/token/redeem",
    "GET /certificates/limits",
    "POST /certificates/enrollments",
    "POST /auth/token/refresh",
    "DELETE /auth/sessions/current",
]


def echo(request: httpx.Request) -> str:
    """What a debugging proxy would say: the whole request."""
    return f"{dict(request.headers)} {request.content.decode()}"


def network_error(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError(f"while sending {echo(request)}", request=request)


def no_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"while sending {echo(request)}", request=request) from OSError(echo(request))


def system_error(request: httpx.Request) -> httpx.Response:
    raise ConnectionResetError(echo(request))


def token_only(request: httpx.Request) -> str:
    return str(request.headers.get("Authorization", "")).removeprefix("Bearer ")


MISBEHAVIOURS = {
    "network error": network_error,
    "no connection": no_connection,
    "system error": system_error,
    "server error": lambda request: answer({"errors": [{"code": 1, "description": echo(request)}]}, 500),
    "garbage": lambda request: answer(echo(request).encode()),
    "wrong kinds": lambda request: answer({"token": [echo(request)], "status": {"code": token_only(request)}}),
    "long refusal": lambda request: answer(
        {"errors": [{"code": 1, "description": "x" * 490 + token_only(request), "details": [token_only(request)]}]}, 400
    ),
    "legacy refusal": lambda request: answer(
        {"exception": {"exceptionDetailList": [{"exceptionCode": 1, "details": [token_only(request)]}]}}, 400
    ),
    "forbidden": lambda request: answer(
        {"title": token_only(request), "reasonCode": token_only(request), "traceId": token_only(request)}, 403
    ),
    "unauthorized": lambda request: answer({"title": token_only(request)}, 401),
    "warning": lambda request: answer({}, 200, X_System_Warning=f"sig-001 {token_only(request)}"),
    "redirect": lambda request: answer({}, 307, Location=f"https://evil.example/?{token_only(request) or 'x'}"),
    "rate limit": lambda request: answer({"detail": token_only(request)}, 429, Retry_After=token_only(request) or "x"),
}


def everything(error: BaseException | None) -> Iterator[str]:
    """All texts of an error and of every error it remembers, shown or not."""
    while error is not None:
        yield f"{error!r} {error} {error.args!r} {vars(error)!r}"
        if error.__cause__ is not None:
            yield from everything(error.__cause__)
        error = error.__context__


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
async def test_no_misbehaviour_makes_a_secret_visible(
    key: str, misbehaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{"POST /auth/token/refresh": answer({}, 400), KEYS[-1]: httpx.Response(204)})
    ksef.answers[key] = MISBEHAVIOURS[misbehaviour]
    caught: list[KlucznikError] = []
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        async with client(ksef, clock) as connection:
            try:
                session = await connection.sign_in(CONTEXT, lambda xml: SIGNED)
                shown.append(repr((session, vars(session))))
                if "refresh" in key:
                    clock.moment = clock.moment.replace(year=2027)
                if "DELETE" in key:
                    await session.end()
                elif "enrollments" in key:
                    await session.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=CSR)
                else:
                    await session.limits()
            except KlucznikError as error:
                caught.append(error)
    assert ksef.count(key) >= 1
    assert caught or misbehaviour == "warning" or "DELETE" in key
    shown += [text for error in caught for text in everything(error)]
    shown += ["".join(traceback.format_exception(error)) for error in caught]
    shown += [record.getMessage() for record in caplog.records]
    for text in shown:
        for canary in CANARIES:
            assert canary not in code_free(text), (canary, text)


def code_free(text: str) -> str:
    """A traceback quotes lines of source, where a constant's name may stand; its values are what counts."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def test_values_with_secrets_do_not_show_them() -> None:
    at = "2026-11-23T09:00:00Z"
    fields = Fields(
        {
            "referenceNumber": REFERENCE,
            "authenticationToken": {"token": SIGN_IN_TOKEN, "validUntil": at},
            "accessToken": {"token": ACCESS_TOKEN, "validUntil": at},
            "refreshToken": {"token": REFRESH_TOKEN, "validUntil": at},
        }
    )
    certificate = RetrievedCertificate("01F20A5D352AE590", "Klucznik", CertificateType.OFFLINE, b"canary")
    shown = repr(
        (wire.pending_sign_in(fields), wire.token_pair(fields), wire.access_token(fields), certificate, fields)
    )
    assert "canary" not in shown
