"""Which words belong to a refusal of KSeF, and who can do something about it. The words are in the catalogue.

The same number means different things: as the status of a sign-in, of a request, of a change of permissions, or in an
answer of HTTP. So each has its own family of keys, and where a detail decides, a key of its own below the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from klucznik.errors import Datum, KlucznikError, KsefRefused, RateLimited


class Who(StrEnum):
    """Who can change what KSeF has said no to."""

    YOU = "you"
    RIGHTS = "rights"  # whoever may grant permissions in the company
    ISSUER = "issuer"
    MINISTRY = "ministry"
    TAX_OFFICE = "tax_office"
    OPERATOR = "operator"
    AUTHORS = "authors"
    NOBODY = "nobody"


_CODES = {
    "sign_in.415": Who.RIGHTS,
    "sign_in.425": Who.YOU,
    "sign_in.450": Who.YOU,
    "sign_in.450.challenge": Who.YOU,
    "sign_in.450.token": Who.YOU,
    "sign_in.450.token_time": Who.AUTHORS,
    "sign_in.450.token_revoked": Who.YOU,
    "sign_in.450.token_inactive": Who.YOU,
    "sign_in.450.token_encryption": Who.AUTHORS,
    "sign_in.450.token_encoding": Who.YOU,
    "sign_in.450.token_context": Who.YOU,
    "sign_in.460": Who.YOU,
    "sign_in.460.not_valid": Who.YOU,
    "sign_in.460.chain_not_verified": Who.ISSUER,
    "sign_in.460.chain_not_trusted": Who.YOU,
    "sign_in.460.revoked": Who.YOU,
    "sign_in.460.suspended": Who.ISSUER,
    "sign_in.460.not_correct": Who.YOU,
    "sign_in.470": Who.TAX_OFFICE,
    "sign_in.480": Who.MINISTRY,
    "sign_in.500": Who.NOBODY,
    "sign_in.550": Who.NOBODY,
    "sign_in.other": Who.MINISTRY,
    "ksef.9101": Who.YOU,
    "ksef.9102": Who.YOU,
    "ksef.9103": Who.YOU,
    "ksef.9105": Who.YOU,
    "ksef.21001": Who.YOU,
    "ksef.21111": Who.YOU,
    "ksef.21115": Who.YOU,
    "ksef.21117": Who.YOU,
    "ksef.21217": Who.YOU,
    "ksef.21301": Who.YOU,
    "ksef.21304": Who.YOU,
    "ksef.21308": Who.TAX_OFFICE,
    "ksef.21401": Who.YOU,
    "ksef.21405": Who.AUTHORS,
    "ksef.21406": Who.YOU,
    "ksef.21418": Who.AUTHORS,
    "ksef.21470": Who.NOBODY,
    "ksef.25001": Who.YOU,
    "ksef.25002": Who.YOU,
    "ksef.25003": Who.AUTHORS,
    "ksef.25004": Who.AUTHORS,
    "ksef.25005": Who.YOU,
    "ksef.25006": Who.YOU,
    "ksef.25007": Who.YOU,
    "ksef.25008": Who.YOU,
    "ksef.25009": Who.NOBODY,
    "ksef.25010": Who.YOU,
    "ksef.25011": Who.AUTHORS,
    "ksef.26001": Who.RIGHTS,
    "ksef.26002": Who.YOU,
    "ksef.other": Who.MINISTRY,
    "enrollment.400": Who.YOU,
    "enrollment.400.key_of_another": Who.YOU,
    "enrollment.400.too_many_certificates": Who.YOU,
    "enrollment.500": Who.NOBODY,
    "enrollment.550": Who.NOBODY,
    "enrollment.other": Who.MINISTRY,
    "permission_operation.400": Who.MINISTRY,
    "permission_operation.410": Who.YOU,
    "permission_operation.420": Who.RIGHTS,
    "permission_operation.430": Who.YOU,
    "permission_operation.440": Who.YOU,
    "permission_operation.450": Who.YOU,
    "permission_operation.500": Who.NOBODY,
    "permission_operation.550": Who.NOBODY,
    "permission_operation.other": Who.MINISTRY,
    "forbidden.missing-permissions": Who.RIGHTS,
    "forbidden.ip-not-allowed": Who.OPERATOR,
    "forbidden.insufficient-resource-access": Who.YOU,
    "forbidden.auth-method-not-allowed": Who.YOU,
    "forbidden.security-service-blocked": Who.MINISTRY,
    "forbidden.context-type-not-allowed": Who.YOU,
    "forbidden.other": Who.MINISTRY,
    "http.401": Who.YOU,
    "http.403": Who.OPERATOR,
    "http.410": Who.YOU,
    "http.415": Who.AUTHORS,
    "http.429": Who.NOBODY,
    "http.5xx": Who.NOBODY,
    "http.other": Who.OPERATOR,
}
CODES: Final[Mapping[str, Who]] = MappingProxyType(_CODES)

# KSeF's details that decide, without case and without the dot at the end (facts.md §2.7, §3.7). One that goes on with
# a value of its own is given up to there, with a space.
DETAILS: Final[Mapping[str, Mapping[str, str]]] = {
    "sign_in.450": {
        "nieprawidłowe wyzwanie autoryzacyjne": "challenge",
        "nieprawidłowy token": "token",
        "nieprawidłowy czas tokena": "token_time",
        "token unieważniony": "token_revoked",
        "token nieaktywny": "token_inactive",
        "nieprawidłowe szyfrowanie tokena": "token_encryption",
        "nieprawidłowe kodowanie tokena": "token_encoding",
        "token nie może być użyty w kontekście ": "token_context",
    },
    "sign_in.460": {
        "nieważny certyfikat": "not_valid",
        "błąd weryfikacji łańcucha certyfikatów": "chain_not_verified",
        "niezaufany łańcuch certyfikatów": "chain_not_trusted",
        "certyfikat odwołany": "revoked",
        "certyfikat zawieszony": "suspended",
        "niepoprawny certyfikat": "not_correct",
    },
    "enrollment.400": {
        "klucz publiczny został już certyfikowany przez inny podmiot": "key_of_another",
        "osiągnięto dopuszczalny limit posiadanych certyfikatów": "too_many_certificates",
    },
}
# Errors that bring the status of an operation; with an HTTP status, or five digits, the code is that of an answer.
_OPERATIONS = {
    "sign_in_refused": "sign_in",
    "enrollment_rejected": "enrollment",
    "permission_refused": "permission_operation",
}
_ANSWERS = frozenset({"sign_in_refused", "ksef_refused", "ksef_unauthorized", "ksef_forbidden", "ksef_gone"})


def key_of(error: KlucznikError) -> str | None:
    """The key of KSeF's refusal in `CODES`; None where it was not KSeF, or where somebody has put it otherwise."""
    if isinstance(error, RateLimited):
        return "http.429"
    if isinstance(error, KsefRefused):
        if error.code is not None:
            return _key_of_code(error, error.code)
        return _key_of_answer(error) if error.reason in _ANSWERS else None
    if error.reason == "ksef_error_answer":
        return _first(f"http.{error.data.get('status')}", "http.5xx")
    return None


def key_of_login(code: Datum) -> str:
    """The key of the refusal of a login that was tried in the background; the code alone is known of it."""
    return _first(f"sign_in.{code}", f"ksef.{code}", "sign_in.other")


def _key_of_code(error: KsefRefused, code: int) -> str:
    family = _OPERATIONS.get(error.reason, "ksef") if error.status is None else "ksef"
    key = f"{family}.{code}"
    known = DETAILS.get(key, {})
    detailed = (f"{key}.{known[phrase]}" for detail in error.details for phrase in known if _matches(detail, phrase))
    return _first(*detailed, key, f"ksef.{code}", f"{family}.other", "ksef.other")


def _key_of_answer(error: KsefRefused) -> str:
    if error.status == 403:
        return _first(f"forbidden.{error.data.get('reason_code')}", "forbidden.other")
    return _first(f"http.{error.status}", "http.other")


def _matches(detail: str, phrase: str) -> bool:
    said = " ".join(detail.split()).rstrip(". ").casefold()
    return said.startswith(phrase) if phrase.endswith(" ") else said == phrase


def _first(*keys: str) -> str:
    """The first of these that there are words for; the last is always one of them."""
    return next(key for key in keys if key in CODES)


def quoted_number(error: KsefRefused) -> Datum:
    """The number that KSeF's own words are quoted under."""
    return error.code if error.code is not None else error.status
