"""HTTP face of signing in: /auth/* without KSeF tokens (specification 2.7.0, facts.md §2).
It reads requests and writes answers; the rules are in `sign_in.py` and `auth.py`.
"""

from starlette.responses import Response

from ksef_sandbox import auth, bodies, paging, sign_in
from ksef_sandbox.access_tokens import IssuedToken, TokenKind
from ksef_sandbox.answers import empty_answer, json_answer, status_value
from ksef_sandbox.pipeline import PUBLIC, Call, Route
from ksef_sandbox.records import SignIn, SignInMethod
from ksef_sandbox.wire import JsonValue, optional_timestamp, timestamp

_SIGNATURE = "XadesSignature"
_METHOD_INFO: dict[SignInMethod, tuple[str, str, str]] = {  # category, code, display name (facts.md §2.3)
    SignInMethod.QUALIFIED_SIGNATURE: (_SIGNATURE, "xades.qualified-signature", "Podpis kwalifikowany"),
    SignInMethod.QUALIFIED_SEAL: (_SIGNATURE, "xades.qualified-seal", "Pieczęć kwalifikowana"),
    SignInMethod.INTERNAL_CERTIFICATE: (_SIGNATURE, "xades.internal-certificate", "Certyfikat KSeF"),
    SignInMethod.PEPPOL_SIGNATURE: (_SIGNATURE, "xades.peppol", "Podpis dostawcy usług Peppol"),
    SignInMethod.TOKEN: ("Token", "token.ksef", "Token KSeF"),
}


def _challenge(call: Call) -> Response:
    challenge = sign_in.new_challenge(call.world, call.now)
    return json_answer(
        {
            "challenge": challenge.value,
            "timestamp": timestamp(call.now),
            "timestampMs": int(call.now.timestamp() * 1000),
            "clientIp": call.client_ip,
        }
    )


def _xades_signature(call: Call) -> Response:
    enforced = "enforce-xades-compliance" in call.request.headers.get("X-KSeF-Feature", "")
    session, warnings = sign_in.sign_in(
        call.world,
        call.body,
        call.now,
        compliance="enforce" if enforced else call.world.switches.xades_compliance,
        verify_chain=bodies.query_boolean(call.request, "verifyCertificateChain") or False,
        fate=call.fate,
    )
    response = initiated(call, session)
    if warnings:
        response.headers["X-System-Warning"] = " | ".join(warnings)
    return response


def initiated(call: Call, session: SignIn) -> Response:
    """202 of a sign-in that has begun, with its authentication token."""
    call.caller = session
    token = auth.authentication_token(call.world, session, call.now)
    return json_answer({"referenceNumber": session.reference, "authenticationToken": _token(token)}, 202)


def _status(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    token_reference = call.token.reference if call.token else ""
    session = auth.find_for_status(call.world, reference, token_reference, call.now)
    return json_answer(_session(call, session))


def _redeem(call: Call) -> Response:
    pair = auth.redeem(call.world, call.token.reference if call.token else "", call.now)
    return json_answer({"accessToken": _token(pair.access), "refreshToken": _token(pair.refresh)})


def _refresh(call: Call) -> Response:
    token = auth.refresh(call.world, call.token.reference if call.token else "", call.now)
    return json_answer({"accessToken": _token(token)})


def _sessions(call: Call) -> Response:
    active = auth.active_sessions(call.world, call.session, call.now)
    page, next_token = paging.continued_page(call, active)
    items: list[JsonValue] = [_session_item(call, session) for session in page]
    continuation: dict[str, JsonValue] = {"continuationToken": next_token} if next_token else {}
    return json_answer({**continuation, "items": items})


def _end_current_session(call: Call) -> Response:
    auth.end_session(call.world, call.session, call.session.reference, call.now)
    return empty_answer(204)


def _end_session(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    auth.end_session(call.world, call.session, reference, call.now)
    return empty_answer(204)


def _token(token: IssuedToken) -> JsonValue:
    return {"token": token.text, "validUntil": timestamp(token.valid_until)}


def _session(call: Call, session: SignIn) -> dict[str, JsonValue]:
    category, code, name = _METHOD_INFO[session.method]
    deprecated: dict[str, JsonValue] = {"authenticationMethod": session.method.value}
    return {
        "startDate": timestamp(session.started_at),
        **(deprecated if call.world.switches.send_authentication_method else {}),
        "authenticationMethodInfo": {"category": category, "code": code, "displayName": name},
        "status": status_value(auth.status_of(session, call.now)),
        "isTokenRedeemed": session.redeemed_at is not None,
        "lastTokenRefreshDate": optional_timestamp(session.last_refresh_at),
        "refreshTokenValidUntil": optional_timestamp(session.refresh_valid_until),
    }


def _session_item(call: Call, session: SignIn) -> JsonValue:
    is_current = session.reference == call.session.reference
    return {"referenceNumber": session.reference, "isCurrent": is_current, **_session(call, session)}


_AUTHENTICATION = frozenset({TokenKind.AUTHENTICATION})
_REFRESH = frozenset({TokenKind.REFRESH})
_ACCESS_OR_REFRESH = frozenset({TokenKind.ACCESS, TokenKind.REFRESH})

ROUTES = (
    Route("POST", "/auth/challenge", _challenge, PUBLIC, rate_group=None),
    Route("POST", "/auth/xades-signature", _xades_signature, PUBLIC, "application/xml", rate_group=None),
    Route("POST", "/auth/token/redeem", _redeem, _AUTHENTICATION, rate_group=None),
    Route("POST", "/auth/token/refresh", _refresh, _REFRESH, rate_group=None),
    Route("GET", "/auth/sessions", _sessions),
    Route("DELETE", "/auth/sessions/current", _end_current_session, _ACCESS_OR_REFRESH),
    Route("DELETE", "/auth/sessions/{referenceNumber}", _end_session),
    Route("GET", "/auth/{referenceNumber}", _status, _AUTHENTICATION, rate_group=None),
)
