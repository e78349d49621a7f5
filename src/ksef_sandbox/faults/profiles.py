"""The named sets of faults: `mild` is a bad day, `hostile` is every trouble that a careful client can survive.
docs/sandbox.md shows them as tables. A profile never strikes more than twice in a row (`faults/in_force.py`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ksef_sandbox.faults.rules import (
    Cancelled,
    DelayAfter,
    DelayBefore,
    DropAnswer,
    EmptyForbidden,
    ErrorAfter,
    ErrorBefore,
    LimitEaten,
    MalformedJson,
    Pending,
    Rejected,
    ResetBefore,
    Rule,
    SlowBytes,
    SmallPages,
    TooManyCalls,
    TruncatedJson,
    Unauthorized,
    UnknownFields,
    WrongCertificate,
)

_SIGN_IN = "/auth/xades-signature"
_REDEEM = "/auth/token/redeem"
_ENROLL = "/certificates/enrollments"
_RETRIEVE = "/certificates/retrieve"

_MILD: dict[str, Rule] = {
    "mild.lost-request": Rule(DropAnswer(), "POST", _ENROLL, times=1, probability=0.02),
    "mild.busy": Rule(TooManyCalls(), route="/certificates/*", probability=0.01),
    "mild.gateway": Rule(ErrorBefore(502), probability=0.02),
    "mild.late": Rule(DelayAfter(0.2), probability=0.05),
    "mild.slow": Rule(SlowBytes(0.3), probability=0.02),
    "mild.new-fields": Rule(UnknownFields(), probability=0.2),
}

# Ordered from the particular to the general: of several that would strike, the first does.
_HOSTILE: dict[str, Rule] = {
    "hostile.sign-in-cancelled": Rule(Cancelled(), "POST", _SIGN_IN, times=1, probability=0.03),
    "hostile.sign-in-slow": Rule(Pending(3), "POST", _SIGN_IN, times=1, probability=0.03),
    "hostile.lost-redeem": Rule(DropAnswer(), "POST", _REDEEM, times=1, probability=0.05),
    "hostile.request-cancelled": Rule(Cancelled(), "POST", _ENROLL, times=1, probability=0.02),
    "hostile.key-of-another": Rule(Rejected("key_of_another"), "POST", _ENROLL, times=1, probability=0.01),
    "hostile.no-slot": Rule(Rejected("too_many_certificates"), "POST", _ENROLL, times=1, probability=0.01),
    "hostile.eaten": Rule(LimitEaten(2, 1), "POST", _ENROLL, times=1, probability=0.03),
    "hostile.request-slow": Rule(Pending(10), "POST", _ENROLL, times=1, probability=0.03),
    "hostile.lost-request": Rule(DropAnswer(), "POST", _ENROLL, times=2, probability=0.1),
    "hostile.wrong-key": Rule(WrongCertificate("key"), "POST", _RETRIEVE, times=1, probability=0.02),
    "hostile.wrong-subject": Rule(WrongCertificate("subject"), "POST", _RETRIEVE, times=1, probability=0.02),
    "hostile.wrong-type": Rule(WrongCertificate("type"), "POST", _RETRIEVE, times=1, probability=0.02),
    "hostile.empty-403": Rule(EmptyForbidden(), "GET", times=1, probability=0.01),
    "hostile.spurious-401": Rule(Unauthorized(), "GET", "/certificates/*", times=1, probability=0.01),
    "hostile.reset-before": Rule(ResetBefore(), probability=0.03),
    "hostile.gateway-before": Rule(ErrorBefore(502), probability=0.03),
    "hostile.error-before": Rule(ErrorBefore(500), probability=0.02),
    "hostile.busy": Rule(TooManyCalls(), probability=0.03),
    "hostile.late-request": Rule(DelayBefore(0.1), probability=0.03),
    "hostile.small-pages": Rule(SmallPages(2), probability=0.5),
    "hostile.gateway-after": Rule(ErrorAfter(504), probability=0.03),
    "hostile.error-after": Rule(ErrorAfter(500), probability=0.02),
    "hostile.malformed": Rule(MalformedJson(), probability=0.02),
    "hostile.truncated": Rule(TruncatedJson(), probability=0.02),
    "hostile.late-answer": Rule(DelayAfter(0.2), probability=0.03),
    "hostile.slow-bytes": Rule(SlowBytes(0.3), probability=0.03),
    "hostile.new-fields": Rule(UnknownFields(), probability=0.1),
}

PROFILES: Final[Mapping[str, Mapping[str, Rule]]] = MappingProxyType({"none": {}, "mild": _MILD, "hostile": _HOSTILE})
