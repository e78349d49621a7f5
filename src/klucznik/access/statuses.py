"""Which HTTP status an error has, on pages and in the API alike."""

from __future__ import annotations

from pathlib import PurePosixPath
from types import UnionType

from klucznik.errors import (
    AccessDenied,
    InputError,
    KlucznikError,
    KsefRefused,
    KsefUnavailable,
    Paced,
    Pkcs11Error,
    RateLimited,
    SignatureNeeded,
    StorageError,
    SubjectBusy,
    TooManyAttempts,
    VerificationFailed,
)

_ACCESS = {
    "not_signed_in": 401,
    "sign_in_wrong": 401,
    "second_factor_wrong": 401,
    "passkey_refused": 401,
    "second_factor_needed": 401,
    "key_missing": 401,
    "key_unknown": 401,
    "key_expired": 401,
    "key_revoked": 401,
    "key_replaced": 401,
    "page_unknown": 404,
    "route_unknown": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "too_many_attempts": 429,
}
# What was asked for is not there; every other input error is about what was given.
_ABSENT = ("_unknown", "not_connected", "certificate_not_listed", "certificate_not_held")
# What was asked for is right in itself, and does not fit how things stand.
_STANDS_OTHERWISE = {
    **dict.fromkeys(("no_credential", "permission_cannot_do_this", "token_cannot_do_this"), 409),
    **dict.fromkeys(("operator_not_set", "operator_without_credential", "operator_is_the_company"), 409),
    **dict.fromkeys(("issuance_ended", "issuance_not_refused", "credential_of_other_subject"), 409),
    **dict.fromkeys(("certificate_serves_others", "idempotency_key_in_use"), 409),
    **dict.fromkeys(("onboarding_elsewhere", "onboarding_no_way_back", "issuance_has_spent", "not_confirmed"), 409),
    **dict.fromkeys(("control_needs_signature", "control_not_proved", "control_by_operator"), 409),
    **dict.fromkeys(("certificate_not_offered", "operator_not_let_in", "signature_request_used"), 409),
    **dict.fromkeys(("signature_being_checked", "onboarding_act_under_way"), 409),
    **dict.fromkeys(("invitation_there", "invitation_done", "invitation_revoked", "company_connected"), 409),
    **dict.fromkeys(("invitation_link_used", "invitation_expired", "mail_not_set_up"), 409),
    **dict.fromkeys(("api_key_is_revoked", "api_key_end_needed"), 409),
    "changed_meanwhile": 412,
}
_OF_STORAGE = {
    "state_moved_on": 409,
    "text_with_nul": 422,
    **dict.fromkeys(("database_unreachable", "database_busy", "database_not_reached", "database_connection_lost"), 503),
    "database_connections_used_up": 503,
}
_BY_KIND: tuple[tuple[type[KlucznikError] | UnionType, int], ...] = (
    (KsefRefused | SubjectBusy | SignatureNeeded, 409),
    (KsefUnavailable, 503),
    (VerificationFailed, 502),
)


def status_of(error: KlucznikError) -> int:
    """400 to 599. What KSeF refuses is 409: the request was good, KSeF's state says no."""
    if isinstance(error, AccessDenied):
        return _ACCESS.get(error.reason, 403)
    if isinstance(error, Pkcs11Error) and error.passing:
        return 503
    if isinstance(error, InputError):
        return _STANDS_OTHERWISE.get(error.reason) or (404 if error.reason.endswith(_ABSENT) else 422)
    if isinstance(error, StorageError) and error.reason in _OF_STORAGE:
        return _OF_STORAGE[error.reason]
    return next((status for kinds, status in _BY_KIND if isinstance(error, kinds)), 500)


def outward(error: KlucznikError) -> KlucznikError:
    """As it is told to whoever asks over the network, signed in or not: of a file or a database its bare name."""
    file = error.data.get("file")
    if not isinstance(error, StorageError) or not isinstance(file, str):
        return error
    return StorageError(error.reason, **{**error.data, "file": PurePosixPath(file).name})


def retry_after(error: KlucznikError, now_s: float) -> int | None:
    """Seconds to wait before coming back, where they are known; `now_s`: the present moment, in seconds since 1970."""
    if isinstance(error, RateLimited | Paced | SubjectBusy | TooManyAttempts):
        return max(1, int(error.until.timestamp() - now_s) + 1)
    return None
