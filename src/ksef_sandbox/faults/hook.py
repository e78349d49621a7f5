"""Does to requests what the rules in force decide (`faults/in_force.py`): before they are applied, or to their answers.
The sandbox's own state stays true: whatever a fault shows or hides, what was applied was applied.
"""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta

from starlette.responses import Response

from ksef_sandbox import enrollments, permissions, sign_in
from ksef_sandbox.answers import json_answer
from ksef_sandbox.errors import (
    BadRequest,
    BareForbidden,
    GatewayFailure,
    KsefError,
    TooManyRequests,
    Unauthorized,
    Unexpected,
)
from ksef_sandbox.faults import rules as fault_rules
from ksef_sandbox.faults import wrong_certificates
from ksef_sandbox.faults.connection import ConnectionDropped, trickle
from ksef_sandbox.faults.in_force import Faults, Strike
from ksef_sandbox.faults.rules import ENROLL, SIGN_INS, Visit
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.pipeline import Call, Hook
from ksef_sandbox.records import CertificateType, Fate, Status, identity_key
from ksef_sandbox.wire import JsonValue, json_bytes

_LONGEST_RETRY_AFTER_S = 3600
_STATUS_PATHS = (
    "/auth/{referenceNumber}",
    "/certificates/enrollments/{referenceNumber}",
    "/permissions/operations/{referenceNumber}",
)
_FUTURE: dict[str, JsonValue] = {"sandboxFutureValue": "x", "sandboxFutureObject": {"list": [1, None, {"deep": True}]}}


class FaultHook(Hook):
    """The last hook: between its decision and the handler nothing else happens."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        # How an operation will end is done only when the request has been accepted.
        self._fated: dict[int, Strike] = {}

    async def before_apply(self, call: Call) -> None:
        if not self._faults.active or call.route is None:
            return
        visit = _visit(call)
        steady = self._faults.choose_steady(visit)
        if steady is not None and isinstance(steady.rule.act, fault_rules.SmallPages):
            self._record(call, steady)
            call.page_limit = steady.rule.act.size
        strike = self._faults.choose(visit, before=True)
        if strike is not None:
            await self._disturb(call, strike)

    async def after_commit(self, call: Call, response: Response) -> Response:
        if not self._faults.active or call.route is None:
            return response
        fated = self._fated.pop(call.number, None)
        if fated is not None:
            self._record(call, fated)
        if call.disturbed:
            return response
        strike = self._faults.choose(_visit(call, response), before=False)
        return response if strike is None else await self._spoil(call, response, strike)

    async def on_answer(self, call: Call, response: Response) -> Response:
        self._fated.pop(call.number, None)
        return response

    def _record(self, call: Call, strike: Strike) -> None:
        act = strike.rule.act
        call.faults += (act.name,)
        call.disturbed = call.disturbed or not act.steady
        self._faults.record(strike, call.number, call.now)

    async def _disturb(self, call: Call, strike: Strike) -> None:
        """What happens before the request is applied."""
        act = strike.rule.act
        fate = _fate(call, strike)
        if fate is not None:
            call.fate = fate
            self._fated[call.number] = strike
            return
        if isinstance(act, fault_rules.LimitEaten) and not _eat(call, act):
            return
        self._record(call, strike)
        if isinstance(act, fault_rules.ResetBefore):
            raise ConnectionDropped
        if isinstance(act, fault_rules.DelayBefore):
            await asyncio.sleep(act.seconds)
        refusal = _refusal(strike)
        if refusal is not None:
            raise refusal

    async def _spoil(self, call: Call, response: Response, strike: Strike) -> Response:
        """What happens to the answer of a request that was applied."""
        act = strike.rule.act
        self._record(call, strike)
        if isinstance(act, fault_rules.DropAnswer):
            raise ConnectionDropped
        if isinstance(act, fault_rules.ErrorAfter):
            raise _server_error(act.status)
        if isinstance(act, fault_rules.DelayAfter):
            await asyncio.sleep(act.seconds)
        if isinstance(act, fault_rules.SlowBytes):
            return trickle(response, seconds=act.seconds, pieces=act.pieces)
        if isinstance(act, fault_rules.WrongCertificate):
            value = wrong_certificates.swapped(call.world, json.loads(bytes(response.body)), act.wrong, strike.draw)
            return json_answer(value, response.status_code)
        spoil = _BODIES.get(act.name)
        return response if spoil is None else _with_body(response, spoil(bytes(response.body), strike))


def _visit(call: Call, response: Response | None = None) -> Visit:
    """The request as rules see it; with an answer once there is one."""
    assert call.route is not None  # noqa: S101  (hooks that ask have looked)
    operation = (call.route.method, call.route.path)
    public = not call.route.tokens
    announced = _announced_context(call) if public else None
    if public or call.caller is None:
        # Until its document is verified nobody knows whose sign-in it is; the context it asks for tells clients apart.
        client = identity_key(announced) if announced else call.client_ip
    else:
        client = f"{identity_key(call.caller.identity)} in {identity_key(call.caller.context)}"
    is_json = response is not None and response.media_type == "application/json" and len(response.body) > 0
    return Visit(
        operation=operation,
        client=client,
        identity=call.caller.identity if call.caller else None,
        context=call.caller.context if call.caller else announced,
        certificate_type=_certificate_type(call.body) if operation == ENROLL else None,
        code=_code(operation[1], response) if response is not None else None,
        is_json=is_json,
    )


_CONTEXT = re.compile(rb"<(?:\w+:)?(Nip|InternalId|NipVatUe|PeppolId)>\s*([\w-]{1,64})\s*</")
_CONTEXT_TYPES = {kind.value.lower(): kind for kind in ContextType}


def _announced_context(call: Call) -> ContextIdentifier | None:
    """The context that a sign-in asks for, read without trust: it only labels whose call this is."""
    route = call.route
    if route is None or (route.method, route.path) not in SIGN_INS:
        return None
    if route.path == "/auth/xades-signature":
        found = _CONTEXT.search(call.body)
        return ContextIdentifier(ContextType(found[1].decode()), found[2].decode()) if found else None
    named = _object(call.body).get("contextIdentifier")
    if not isinstance(named, dict):
        return None
    kind, value = _CONTEXT_TYPES.get(str(named.get("type")).lower()), named.get("value")
    return ContextIdentifier(kind, value) if kind and isinstance(value, str) else None


def _certificate_type(body: bytes) -> CertificateType | None:
    named = str(_object(body).get("certificateType")).lower()
    return next((kind for kind in CertificateType if kind.value.lower() == named), None)


def _object(body: bytes) -> dict[str, object]:
    """A JSON object, or an empty one where there is none."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _code(path: str, response: Response) -> int:
    status = _object(bytes(response.body)).get("status") if path in _STATUS_PATHS else None
    code = status.get("code") if isinstance(status, dict) else None
    return code if isinstance(code, int) else response.status_code


def _fate(call: Call, strike: Strike) -> Fate | None:
    """What the act does to an asynchronous operation that is about to be accepted."""
    act = strike.rule.act
    if isinstance(act, fault_rules.Pending):
        return Fate(delay=timedelta(seconds=act.seconds))
    if isinstance(act, fault_rules.Blocked):
        return Fate(sign_in.BLOCKED)
    if isinstance(act, fault_rules.Rejected):
        return Fate(_REJECTIONS[act.reason])
    if isinstance(act, fault_rules.Cancelled):
        operation = strike.visit.operation
        if operation == ENROLL:
            return Fate(enrollments.CANCELLED)
        return Fate(sign_in.CANCELLED if operation in SIGN_INS else permissions.CANCELLED)
    return None


_REJECTIONS: dict[str, Status] = {
    "key_of_another": enrollments.KEY_OF_ANOTHER,
    "too_many_certificates": enrollments.TOO_MANY_CERTIFICATES,
}


def _eat(call: Call, act: fault_rules.LimitEaten) -> bool:
    world, now = call.world, call.world.clock.now()
    done = enrollments.by_another_program(world, call.session, act.requests, act.certificates, now)
    world.commit()
    return done


def _refusal(strike: Strike) -> KsefError | None:
    """The refusal that stands in for applying the request, if the act is one."""
    act = strike.rule.act
    if isinstance(act, fault_rules.TooManyCalls):
        seconds = min(_LONGEST_RETRY_AFTER_S, int(act.retry_after_s * act.growth ** min(strike.earlier, 64)))
        return TooManyRequests(seconds, f"Przekroczono limit żądań. Spróbuj ponownie po {seconds} sekundach.")
    if isinstance(act, fault_rules.ErrorBefore):
        return _server_error(act.status)
    if isinstance(act, fault_rules.EmptyForbidden):
        return BareForbidden()
    if isinstance(act, fault_rules.Unauthorized):
        return Unauthorized()
    return BadRequest(act.code) if isinstance(act, fault_rules.Refused) else None


def _server_error(status: int) -> KsefError:
    return Unexpected() if status == 500 else GatewayFailure(status)


def _malformed(body: bytes, strike: Strike) -> bytes:
    return b"{" + body


def _truncated(body: bytes, strike: Strike) -> bytes:
    return body[: 1 + int.from_bytes(strike.draw) % (len(body) - 1)]


def _with_unknown_fields(body: bytes, strike: Strike) -> bytes:
    return json_bytes(_extended(json.loads(body)))


def _extended(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {**{name: _extended(inner) for name, inner in value.items()}, **_FUTURE}
    return [_extended(inner) for inner in value] if isinstance(value, list) else value


_BODIES: dict[str, Callable[[bytes, Strike], bytes]] = {
    "malformed_json": _malformed,
    "truncated_json": _truncated,
    "unknown_fields": _with_unknown_fields,
}


def _with_body(response: Response, body: bytes) -> Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers, response.media_type)
