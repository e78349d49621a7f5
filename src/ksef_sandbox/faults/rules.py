"""Faults as data: what can be done to a request (acts), and to which requests (rules).
Whether a rule strikes is decided in `faults/in_force.py`; the acts are done in `faults/hook.py`.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field

from ksef_sandbox.codes import DESCRIPTIONS
from ksef_sandbox.identity import ContextIdentifier, Identity
from ksef_sandbox.records import CertificateType

Operation: TypeAlias = tuple[str, str]  # method and path as in the specification, without /v2

ENROLL: Operation = ("POST", "/certificates/enrollments")
RETRIEVE: Operation = ("POST", "/certificates/retrieve")
SIGN_INS: frozenset[Operation] = frozenset({("POST", "/auth/xades-signature"), ("POST", "/auth/ksef-token")})
LISTS: frozenset[Operation] = frozenset(
    {("POST", "/certificates/query"), ("GET", "/auth/sessions"), ("GET", "/tokens")}
)


class FaultError(ValueError):
    """A rule that makes no sense; the message is a whole sentence."""


Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class ActBase:
    """What is done to a request. `before` acts are done before it is applied, the others to its answer.

    A `steady` act holds for every call of a client or for none, because single calls of a list must agree.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    __slots__ = ()

    before: ClassVar[bool] = True
    steady: ClassVar[bool] = False
    needs_json: ClassVar[bool] = False

    def fits(self, operation: Operation) -> bool:
        """Whether the act means anything there."""
        return True


class AnswerAct(ActBase):
    """Done after the request was applied and committed."""

    __slots__ = ()
    before: ClassVar[bool] = False


class BodyAct(AnswerAct):
    """Done to an answer that has a JSON body."""

    __slots__ = ()
    needs_json: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ResetBefore(ActBase):
    """The connection is reset and nothing was applied."""

    name: Literal["reset_before"] = "reset_before"


@dataclass(frozen=True, slots=True)
class DelayBefore(ActBase):
    """The request is applied only after this time."""

    seconds: Seconds = 1.0
    name: Literal["delay_before"] = "delay_before"


@dataclass(frozen=True, slots=True)
class TooManyCalls(ActBase):
    """429, not applied; `Retry-After` grows by `growth` with each time the same client meets it there."""

    retry_after_s: Annotated[int, Field(ge=1, le=3600)] = 1
    growth: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 2.0
    name: Literal["too_many_calls"] = "too_many_calls"


@dataclass(frozen=True, slots=True)
class ErrorBefore(ActBase):
    """500 in KSeF's form, 502 or 504 as the page of a gateway; not applied."""

    status: Literal[500, 502, 504] = 502
    name: Literal["error_before"] = "error_before"


@dataclass(frozen=True, slots=True)
class EmptyForbidden(ActBase):
    """403 without a body, not applied (facts.md §1.3)."""

    name: Literal["empty_forbidden"] = "empty_forbidden"


@dataclass(frozen=True, slots=True)
class Unauthorized(ActBase):
    """401 although the token is good; not applied."""

    name: Literal["unauthorized"] = "unauthorized"


@dataclass(frozen=True, slots=True)
class Refused(ActBase):
    """400 with one of KSeF's codes, e.g. 25006 or 25007 for the second half of a pair; not applied, nothing spent."""

    code: int = 25006
    name: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class LimitEaten(ActBase):
    """Just before the request is applied, another program of the same identity files `requests` requests and keeps
    `certificates` of what it gets; never more of either than remains."""

    requests: Annotated[int, Field(ge=1, le=1000)] = 1
    certificates: Annotated[int, Field(ge=0, le=1000)] = 0
    name: Literal["limit_eaten"] = "limit_eaten"

    def fits(self, operation: Operation) -> bool:
        return operation == ENROLL


@dataclass(frozen=True, slots=True)
class Cancelled(ActBase):
    """The operation is accepted and ends in status 550: a sign-in, a certificate request or a permission operation."""

    name: Literal["cancelled"] = "cancelled"

    def fits(self, operation: Operation) -> bool:
        return operation == ENROLL or operation in SIGN_INS or is_permission_change(operation)


@dataclass(frozen=True, slots=True)
class Rejected(ActBase):
    """A certificate request is accepted and ends in status 400, with either official reason (facts.md §3.7)."""

    reason: Literal["key_of_another", "too_many_certificates"] = "key_of_another"
    name: Literal["rejected"] = "rejected"

    def fits(self, operation: Operation) -> bool:
        return operation == ENROLL


@dataclass(frozen=True, slots=True)
class Blocked(ActBase):
    """A sign-in is accepted and ends in status 480, the security block."""

    name: Literal["blocked"] = "blocked"

    def fits(self, operation: Operation) -> bool:
        return operation in SIGN_INS


@dataclass(frozen=True, slots=True)
class Pending(ActBase):
    """The operation is accepted and stays in progress longer, by the sandbox's clock."""

    seconds: Annotated[float, Field(gt=0, le=86400 * 365, allow_inf_nan=False)] = 60.0
    name: Literal["pending"] = "pending"

    def fits(self, operation: Operation) -> bool:
        return operation == ENROLL or operation in SIGN_INS or is_permission_change(operation)


@dataclass(frozen=True, slots=True)
class SmallPages(ActBase):
    """Pages of lists hold at most this many entries, whatever size was asked for."""

    steady: ClassVar[bool] = True

    size: Annotated[int, Field(ge=1, le=100)] = 1
    name: Literal["small_pages"] = "small_pages"

    def fits(self, operation: Operation) -> bool:
        return operation in LISTS or operation[1].startswith("/permissions/query/")


@dataclass(frozen=True, slots=True)
class DropAnswer(AnswerAct):
    """Everything is applied and committed, then the connection is reset instead of an answer."""

    name: Literal["drop_answer"] = "drop_answer"


@dataclass(frozen=True, slots=True)
class DelayAfter(AnswerAct):
    """The answer comes only after this time."""

    seconds: Seconds = 1.0
    name: Literal["delay_after"] = "delay_after"


@dataclass(frozen=True, slots=True)
class SlowBytes(AnswerAct):
    """The body of the answer comes in pieces spread over this time."""

    seconds: Seconds = 1.0
    pieces: Annotated[int, Field(ge=1, le=1000)] = 10
    name: Literal["slow_bytes"] = "slow_bytes"


@dataclass(frozen=True, slots=True)
class ErrorAfter(AnswerAct):
    """Everything is applied and committed, then the answer is 500 in KSeF's form, 502 or 504 as a gateway's page."""

    status: Literal[500, 502, 504] = 502
    name: Literal["error_after"] = "error_after"


@dataclass(frozen=True, slots=True)
class WrongCertificate(BodyAct):
    """This one answer to /certificates/retrieve holds certificates with another key, of another subject, or of the
    other type; asked again, KSeF gives the right ones."""

    wrong: Literal["key", "subject", "type"] = "key"
    name: Literal["wrong_certificate"] = "wrong_certificate"

    def fits(self, operation: Operation) -> bool:
        return operation == RETRIEVE


@dataclass(frozen=True, slots=True)
class MalformedJson(BodyAct):
    """The answer says JSON and is none."""

    name: Literal["malformed_json"] = "malformed_json"


@dataclass(frozen=True, slots=True)
class TruncatedJson(BodyAct):
    """The JSON ends early, though HTTP is sound."""

    name: Literal["truncated_json"] = "truncated_json"


@dataclass(frozen=True, slots=True)
class UnknownFields(BodyAct):
    """Every object of the answer has properties of an API that is yet to come."""

    name: Literal["unknown_fields"] = "unknown_fields"


Act: TypeAlias = (
    ResetBefore
    | DelayBefore
    | TooManyCalls
    | ErrorBefore
    | EmptyForbidden
    | Unauthorized
    | Refused
    | LimitEaten
    | Cancelled
    | Rejected
    | Blocked
    | Pending
    | SmallPages
    | DropAnswer
    | DelayAfter
    | SlowBytes
    | ErrorAfter
    | WrongCertificate
    | MalformedJson
    | TruncatedJson
    | UnknownFields
)
ACTS: tuple[type[Act], ...] = get_args(Act)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request as rules see it; `code` and `is_json` are known only once there is an answer."""

    operation: Operation
    client: str  # whose calls are counted together
    identity: Identity | None = None
    context: ContextIdentifier | None = None
    certificate_type: CertificateType | None = None  # of a certificate request
    code: int | None = None  # of the asynchronous status that is answered, else of HTTP
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """An act and the requests it is for; what is None matches all. Calls are counted for each client and operation.

    Args:
        act: what is done.
        method, route: as in the specification, without /v2; a route ending in `*` means all that begin like it.
            Test data are disturbed only by a rule that names their route.
        identity, context: of the caller.
        certificate_type: only certificate requests of that type.
        after_code: only an answer with that code: the code of the asynchronous status if one is answered, else HTTP's.
        skip: this many matching calls of each client are let through first.
        times: at most so many faults for each client and operation; None for no bound.
        probability: of each matching call, 0 to 1.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    act: Annotated[Act, Field(discriminator="name")]
    method: str | None = None
    route: str | None = None
    identity: Identity | None = None
    context: ContextIdentifier | None = None
    certificate_type: CertificateType | None = None
    after_code: Annotated[int, Field(ge=100, le=999)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0

    def matches(self, visit: Visit) -> bool:
        """Whether the rule is for this request; how often it was already is not looked at."""
        return (
            self.covers(visit.operation)
            and self.identity in (None, visit.identity)
            and self.context in (None, visit.context)
            and self.certificate_type in (None, visit.certificate_type)
            and self.after_code in (None, visit.code)
            and (visit.is_json or not self.act.needs_json)
        )

    def covers(self, operation: Operation) -> bool:
        """Whether the rule is for this operation and its act means anything there."""
        method, route = operation
        if self.method not in (None, method) or not self.act.fits(operation):
            return False
        if self.route is None:
            return not route.startswith("/testdata/")
        return _leads_to(self.route, route)


def is_permission_change(operation: Operation) -> bool:
    """Granting or revoking, which becomes an operation with a status."""
    method, route = operation
    if not route.startswith("/permissions/") or route.startswith("/permissions/query/"):
        return False
    return method in ("POST", "DELETE") and "/grants" in route


def check(rule: Rule, operations: Iterable[Operation]) -> None:
    """Raise FaultError when the rule could never strike; `operations` are those that the sandbox serves."""
    served = list(operations)
    if not any(rule.covers(operation) for operation in served):
        raise FaultError(_nowhere(rule, served))
    act = rule.act
    if rule.after_code is not None and act.before:
        raise FaultError(f"after_code is for acts on an answer; {act.name} is done before there is one.")
    if act.steady and (rule.skip or rule.times is not None):
        raise FaultError(f"{act.name} holds for every call of a client, so it takes no skip and no times.")
    if rule.certificate_type is not None and not rule.covers(ENROLL):
        raise FaultError("certificate_type is for POST /certificates/enrollments only.")
    if isinstance(act, Refused) and (act.code not in DESCRIPTIONS or act.code == 500):
        raise FaultError(f"KSeF has no code {act.code}.")
    if isinstance(act, LimitEaten) and act.certificates > act.requests:
        raise FaultError("limit_eaten cannot keep more certificates than it files requests.")


def _leads_to(pattern: str, route: str) -> bool:
    return route.startswith(pattern[:-1]) if pattern.endswith("*") else route == pattern


def _nowhere(rule: Rule, served: list[Operation]) -> str:
    method, route = rule.method, rule.route
    if method is not None and method not in {known for known, _ in served}:
        return f"There is no method {method!r} in the KSeF API that this sandbox plays."
    paths = sorted({path for _, path in served})
    if not any(route is None or _leads_to(route, path) for path in paths):
        close = difflib.get_close_matches(str(route), paths, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else " Routes are those of the specification, without /v2."
        return f"There is no route {route!r}.{hint}"
    return f"{rule.act.name} means nothing on {method or 'any method'} {route or 'of any route'}."
