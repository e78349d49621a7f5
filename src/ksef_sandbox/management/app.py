"""The management face under /sandbox: clock, request log, switches, limits, reset, CA (never reachable through /v2).
It is for tests and people; nothing here belongs to KSeF. What it only shows is `management/views.py`.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from ksef_sandbox import enrollments, limits, testdata
from ksef_sandbox.answers import empty_answer, json_answer
from ksef_sandbox.certificates import CertificateState, state_of
from ksef_sandbox.clock import ClockError
from ksef_sandbox.identity import Identity, IdentityType
from ksef_sandbox.management import faults as management_faults
from ksef_sandbox.management import live_page, quick_sessions
from ksef_sandbox.management import views as management_views
from ksef_sandbox.management.guard import Guarded
from ksef_sandbox.management.problems import problem
from ksef_sandbox.requestlog import LoggedRequest
from ksef_sandbox.state import World
from ksef_sandbox.switches import SwitchError, registry
from ksef_sandbox.wire import JsonValue, timestamp

PREFIX = "/sandbox"
_FARTHEST = timedelta(days=365 * 50)


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockInput(Input):
    """One of the two: seconds to advance by, or the moment that becomes the present."""

    advance_seconds: Annotated[float, Field(ge=-_FARTHEST.total_seconds(), le=_FARTHEST.total_seconds())] | None = None
    now: AwareDatetime | None = None

    @model_validator(mode="after")
    def one_of_two(self) -> "ClockInput":
        if (self.advance_seconds is None) == (self.now is None):
            raise ValueError("give either advance_seconds or now")
        return self


class LimitsInput(Input):
    """Maxima of a subject; what is left out stays as it is."""

    type: IdentityType
    value: str
    enrollment: Annotated[int, Field(ge=0)] | None = None
    certificate: Annotated[int, Field(ge=0)] | None = None


class SessionInput(Input):
    """A company by its NIP, or a person by PESEL in the context of that company."""

    nip: Annotated[str, Field(pattern=r"^[0-9]{10}$")]
    pesel: Annotated[str, Field(pattern=r"^[0-9]{11}$")] | None = None


SwitchesInput = dict[str, StrictBool | StrictInt | StrictStr]


def create_app(world: World) -> FastAPI:
    """Put the face under its prefix, and lead people there who open the address in a browser."""
    app = FastAPI(title="ksef-sandbox", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    async def to_the_page(request: Request) -> Response:
        return RedirectResponse(f"{PREFIX}/")

    app.router.add_route("/", to_the_page)
    app.router.add_route(PREFIX, to_the_page)
    app.mount(PREFIX, Guarded(lambda: create(world), world.commit))
    app.add_exception_handler(HTTPException, _http_error)
    return app


def create(world: World) -> FastAPI:
    """Build the face; its paths are without the prefix."""
    face = FastAPI(title="ksef-sandbox", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    _clock_routes(face.router, world)
    _log_routes(face.router, world)
    management_faults.install(face.router, world)
    _switch_routes(face.router, world)
    _subject_routes(face.router, world)
    _information_routes(face.router, world)
    management_views.add_routes(face.router, world)
    live_page.add_routes(face.router)
    face.add_exception_handler(RequestValidationError, _invalid)
    face.add_exception_handler(HTTPException, _http_error)
    return face


def _clock_routes(router: APIRouter, world: World) -> None:
    @router.get("/clock")
    async def read() -> Response:
        return json_answer({"now": timestamp(world.clock.now())})

    @router.post("/clock")
    async def move(body: ClockInput) -> Response:
        try:
            world.move_clock(body.now or world.clock.now() + timedelta(seconds=body.advance_seconds or 0))
        except ClockError as error:
            return problem(400, str(error))
        return json_answer({"now": timestamp(world.clock.now())})


def _log_routes(router: APIRouter, world: World) -> None:
    @router.get("/requests")
    async def read(
        method: str | None = None,
        path: str | None = None,
        newest: Annotated[int | None, Query(ge=1, le=1000)] = None,
        before: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        if newest is None and before is None:
            found = world.log.find(method, path)
        else:
            found = world.log.newest(newest or 100, method=method, path=path, before=before)
        return json_answer({"count": len(found), "requests": [_logged(entry) for entry in found]})

    @router.delete("/requests")
    async def clear() -> Response:
        world.log.clear()
        return empty_answer(204)


def _logged(entry: LoggedRequest) -> JsonValue:
    return {
        "number": entry.number,
        "at": timestamp(entry.at),
        "method": entry.method,
        "path": entry.path,
        "route": entry.route,
        "status": entry.status,
        "code": entry.code,
        "clientIp": entry.client_ip,
        "context": {"type": entry.context.type.value, "value": entry.context.value} if entry.context else None,
        "identity": {"type": entry.identity.type.value, "value": entry.identity.value} if entry.identity else None,
        "fault": entry.fault,
    }


def _switch_routes(router: APIRouter, world: World) -> None:
    @router.get("/switches")
    async def read() -> Response:
        return json_answer(_switches(world))

    @router.patch("/switches")
    async def change(body: SwitchesInput) -> Response:
        try:
            world.switches.set_all(body)
        except SwitchError as error:
            return problem(400, str(error))
        return json_answer(_switches(world))


def _switches(world: World) -> JsonValue:
    values = world.switches.as_dict()
    return {
        info.name: {
            "value": values[info.name],
            "default": info.default,
            "alternatives": list(info.alternatives),
            "meaning": info.meaning,
            "source": info.source,
        }
        for info in registry()
    }


def _subject_routes(router: APIRouter, world: World) -> None:
    @router.put("/limits")
    async def set_limits(body: LimitsInput) -> Response:
        identity = Identity(body.type, body.value)
        testdata.set_limits(world, identity, enrollment=body.enrollment, certificate=body.certificate)
        now = world.clock.now()
        enrollments.process_due(world, now)
        found = limits.certificate_limits(world, identity, now)
        world.commit()
        return json_answer(
            {
                "enrollment": {"remaining": found.enrollment.remaining, "limit": found.enrollment.limit},
                "certificate": {"remaining": found.certificate.remaining, "limit": found.certificate.limit},
            }
        )

    @router.post("/session")
    async def session(body: SessionInput) -> Response:
        try:
            pair = quick_sessions.open_session(world, body.nip, body.pesel, world.clock.now())
        except quick_sessions.NoSession as refusal:
            return problem(400, str(refusal))
        return json_answer(
            {
                "accessToken": {"token": pair.access.text, "validUntil": timestamp(pair.access.valid_until)},
                "refreshToken": {"token": pair.refresh.text, "validUntil": timestamp(pair.refresh.valid_until)},
            }
        )

    @router.post("/reset")
    async def reset() -> Response:
        world.reset()
        return empty_answer(204)


def _information_routes(router: APIRouter, world: World) -> None:
    @router.get("/info")
    async def info(request: Request) -> Response:
        base = str(request.base_url)
        return json_answer(
            {
                "name": "ksef-sandbox",
                "api": "2.7.0",
                "base_url": f"{base}v2",
                "management_url": f"{base}sandbox",
                "now": timestamp(world.clock.now()),
                "seed": world.seed,
                "revision": world.revision,
                "requests": world.log.count,
                "sign_ins": len(world.sign_ins),
                "enrollments": len(world.enrollments),
                "certificates": len(world.certificates),
            }
        )

    @router.get("/ca.pem")
    async def authority() -> Response:
        return Response(world.ca.certificate_pem(), media_type="application/x-pem-file")

    @router.get("/ca.crl")
    async def revoked() -> Response:
        now = world.clock.now()
        found = [c for c in world.certificates if state_of(c, now) is CertificateState.REVOKED]
        return Response(world.ca.revocation_list(now, found), media_type="application/pkix-crl")


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    sentences = [f"{'.'.join(map(str, item['loc'][1:])) or 'body'}: {item['msg']}" for item in error.errors()]
    return problem(400, "; ".join(sentences))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    response = problem(error.status_code, f"{error.detail}: {request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    return response
