"""Klucznik: keeper of KSeF connections and certificates.

The library in one breath::

    async with await Klucznik.open(home, environment=Environment.TEST) as klucznik:
        credential = load_credential(p12=path, password=password, now=klucznik.clock.now())
        outcome = await issue(klucznik, Context.of_nip("5265877635"), credential)

An outcome is `Issued`, `AlreadyHeld` or a `Refusal`; whatever goes wrong is a `KlucznikError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klucznik.domain.environments import Environment
    from klucznik.domain.identifiers import Context, Subject
    from klucznik.domain.keytype import KeyType
    from klucznik.domain.limits import Allowance, Limits
    from klucznik.domain.preflight import Refusal, preflight
    from klucznik.errors import KlucznikError
    from klucznik.keys.credential import Credential, load_credential
    from klucznik.ksef.client import KsefClient
    from klucznik.ksef.kod2 import sign_link, verify_link
    from klucznik.services.installation import Installation as Klucznik
    from klucznik.services.issue import AlreadyHeld, Issued, issue
    from klucznik.services.limits import SubjectLimits, read_limits

# Name → where it lives. Looked up at first use: importing the package must not load what a caller does not need.
_HOMES = {
    "AlreadyHeld": "klucznik.services.issue",
    "Allowance": "klucznik.domain.limits",
    "Context": "klucznik.domain.identifiers",
    "Credential": "klucznik.keys.credential",
    "Environment": "klucznik.domain.environments",
    "Issued": "klucznik.services.issue",
    "KeyType": "klucznik.domain.keytype",
    "KlucznikError": "klucznik.errors",
    "KsefClient": "klucznik.ksef.client",
    "Limits": "klucznik.domain.limits",
    "Refusal": "klucznik.domain.preflight",
    "Subject": "klucznik.domain.identifiers",
    "SubjectLimits": "klucznik.services.limits",
    "issue": "klucznik.services.issue",
    "load_credential": "klucznik.keys.credential",
    "preflight": "klucznik.domain.preflight",
    "read_limits": "klucznik.services.limits",
    "sign_link": "klucznik.ksef.kod2",
    "verify_link": "klucznik.ksef.kod2",
}

__all__ = [
    "Allowance",
    "AlreadyHeld",
    "Context",
    "Credential",
    "Environment",
    "Issued",
    "KeyType",
    "Klucznik",
    "KlucznikError",
    "KsefClient",
    "Limits",
    "Refusal",
    "Subject",
    "SubjectLimits",
    "issue",
    "load_credential",
    "preflight",
    "read_limits",
    "sign_link",
    "verify_link",
]


def __getattr__(name: str) -> object:
    if name == "Klucznik":
        return import_module("klucznik.services.installation").Installation
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'klucznik' has no attribute {name!r}")
