"""The one road of every /v2 request: find the route, know the caller, apply, commit, answer, log.
Rules of KSeF are in handlers; what concerns all requests (rate limits, faults) hooks in here.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ksef_sandbox import access_tokens
from ksef_sandbox.access_tokens import ReadToken, TokenKind
from ksef_sandbox.errors import BadRequest, ErrorFrame, Forbidden, HttpProblem, KsefError, Unauthorized, Unexpected
from ksef_sandbox.faults.connection import ConnectionDropped, NoAnswer
from ksef_sandbox.paths import Paths
from ksef_sandbox.records import ORDINARY, Fate, SignIn
from ksef_sandbox.requestlog import LoggedRequest
from ksef_sandbox.state import World
from ksef_sandbox.wire import timestamp

PREFIX = "/v2"
MAX_BODY_BYTES = 4_000_000

ACCESS = frozenset({TokenKind.ACCESS})
PUBLIC: frozenset[TokenKind] = frozenset()

logger = logging.getLogger("ksef_sandbox")


@dataclass(slots=True)
class Call:
    """One request on its way: what it is, whose it is."""

    world: World
    request: Request
    route: "Route | None"
    now: datetime
    client_ip: str
    number: int  # in the request log
    body: bytes = b""
    token: ReadToken | None = None
    caller: SignIn | None = None
    refused: KsefError | None = None
    fate: Fate = ORDINARY
    page_limit: int | None = None
    faults: tuple[str, ...] = ()  # names of what was done to it on purpose
    disturbed: bool = False  # one of them leaves room for no other

    @property
    def session(self) -> SignIn:
        """The caller of a route that needs a token."""
        if self.caller is None:
            raise Unauthorized
        return self.caller

    @property
    def permissions(self) -> frozenset[str]:
        """What the access token carries: rights of the moment it was made, not of now (facts.md §2.8)."""
        return self.token.permissions if self.token else frozenset()

    def path_parameter(self, name: str) -> str:
        return str(self.request.path_params[name])


Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the specification; `path` in its own words, without /v2."""

    method: str
    path: str
    handler: Handler | None  # None: KSeF does this, the sandbox does not
    tokens: frozenset[TokenKind] = ACCESS
    media_type: str | None = None  # of the request body; None: a body is not looked at
    body_optional: bool = False
    rate_group: str | None = "other"  # None: counted per IP only (facts.md §1.4)


class Hook:
    """Something that concerns all requests; override what is needed. Raise KsefError to refuse."""

    async def before_apply(self, call: Call) -> None:
        """The caller is known and nothing has happened yet."""

    async def after_commit(self, call: Call, response: Response) -> Response:
        """Everything has happened and is safe on disk; the answer may still be changed, delayed or replaced."""
        return response

    async def on_answer(self, call: Call, response: Response) -> Response:
        """Any answer, also a refusal, about to be sent."""
        return response


class Pipeline:
    """The application of /v2: takes requests to the handlers of their routes; `hooks` are asked in order."""

    def __init__(self, world: World, routes: Iterable[Route], hooks: tuple[Hook, ...] = ()) -> None:
        self.world = world
        self.hooks = hooks
        self._paths = Paths(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._paths.find(scope["path"].removeprefix(PREFIX))
        scope["path_params"] = found.parameters
        response = await self._serve(Request(scope, receive, send), found.by_method)
        await response(scope, receive, send)

    async def _serve(self, request: Request, by_method: Mapping[str, Route]) -> Response:
        world = self.world
        client_ip = request.client.host if request.client else "127.0.0.1"
        number = world.log.next_number()
        call = Call(world, request, by_method.get(request.method), world.clock.now(), client_ip, number)
        try:
            response = await self._apply(call, by_method)
            for hook in self.hooks:
                response = await hook.after_commit(call, response)
        except KsefError as refusal:
            response = self._refusal(call, refusal)
        except ConnectionDropped:
            response = NoAnswer()
        except ClientDisconnect:
            response = self._refusal(call, HttpProblem(400, "The client went away before its request was complete."))
        except Exception:
            logger.exception("unexpected error in %s %s", request.method, request.url.path)
            response = self._refusal(call, Unexpected())
        for hook in self.hooks:
            response = await hook.on_answer(call, response)
        self._log(call, by_method, response)
        return response

    async def _apply(self, call: Call, by_method: Mapping[str, Route]) -> Response:
        route = call.route
        if route is None:
            raise _no_route(by_method)
        if call.world.switches.env_profile != "test" and route.path.startswith("/testdata/"):
            raise _no_route({})
        if route.handler is None:
            raise HttpProblem(501, _NOT_PLAYED)
        self._identify(call, route)
        await self._read_body(call, route)
        for hook in self.hooks:
            await hook.before_apply(call)
        # From here on nothing waits: a request is applied and committed as one, whoever else is being served.
        call.now = call.world.clock.now()
        try:
            response = route.handler(call)
        finally:
            call.world.commit()
        warning = call.request.headers.get("X-Test-System-Warning")
        if warning and call.world.switches.env_profile == "test":
            response.headers.setdefault("X-System-Warning", warning)
        return response

    def _identify(self, call: Call, route: Route) -> None:
        if not route.tokens:
            return
        scheme, _, text = call.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized
        call.token = access_tokens.read(call.world.token_key, text.strip(), route.tokens, call.now)
        call.caller = call.world.sign_ins.get(call.token.reference)
        if call.token.kind is not TokenKind.ACCESS:
            return
        if call.caller is None:
            raise Unauthorized
        policy = call.caller.ip_policy
        if policy is not None and not policy.allows(call.client_ip):
            raise Forbidden("ip-not-allowed", clientIp=call.client_ip)

    async def _read_body(self, call: Call, route: Route) -> None:
        chunks: list[bytes] = []
        size = 0
        async for chunk in call.request.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise HttpProblem(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
            chunks.append(chunk)
        call.body = b"".join(chunks)
        if route.media_type is None or (route.body_optional and not call.body):
            return
        sent = call.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if sent != route.media_type:
            raise HttpProblem(415, f"The body must be {route.media_type}, not {sent or 'without a type'}.")

    def _refusal(self, call: Call, refusal: KsefError) -> Response:
        call.refused = refusal
        asked = call.request.headers.get("X-Error-Format", "").strip().lower()
        by_default = call.world.switches.error_format_default == "problem"
        frame = ErrorFrame(
            instance=call.request.url.path,
            timestamp=timestamp(call.now),
            trace_id=call.world.randomness.hex(32).lower(),
            span_id=call.world.randomness.hex(16).lower(),
            problem_details=asked == "problem-details" or (not asked and by_default),
        )
        answer = refusal.render(frame)
        return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)

    def _log(self, call: Call, by_method: Mapping[str, Route], response: Response) -> None:
        route = call.route or next(iter(by_method.values()), None)
        entry = LoggedRequest(
            number=call.number,
            at=call.now,
            method=call.request.method,
            path=call.request.url.path.removeprefix(PREFIX),
            route=route.path if route else None,
            status=None if isinstance(response, NoAnswer) else response.status_code,
            code=call.refused.code if isinstance(call.refused, BadRequest) else None,
            client_ip=call.client_ip,
            context=call.caller.context if call.caller else None,
            identity=call.caller.identity if call.caller else None,
            fault="+".join(call.faults) or None,
        )
        call.world.log.add(entry)


_NOT_PLAYED = (
    "This sandbox does not send, find or export invoices, nor does it know Peppol providers or collective identifiers. "
    "It plays sign-in, certificates, limits, permissions, KSeF tokens and test data."
)


def _no_route(by_method: Mapping[str, Route]) -> HttpProblem:
    if not by_method:
        return HttpProblem(404, "There is no such path in the KSeF API that this sandbox plays.")
    allowed = ", ".join(sorted(by_method))
    return HttpProblem(405, f"This path takes {allowed} only.", (("Allow", allowed),))
