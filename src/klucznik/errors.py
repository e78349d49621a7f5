"""Every error of Klucznik, data first: `reason` names it, `data` holds the numbers, words are made at the edge.

The tree::

    KlucznikError
    ├── InputError                 what was given cannot be used; nothing was sent, nothing changed
    │   ├── CredentialError        certificate, key or password: which file, what is wrong with it
    │   │   └── Pkcs11Error        card or HSM: not there, its PIN refused, no such key on it
    │   └── SignedDocumentError    what somebody signed elsewhere cannot be handed in
    ├── KsefError                  between us and KSeF
    │   ├── KsefRefused            KSeF said no (code, its text, details, trace id)
    │   │   └── SignInRefused      the sign-in was refused
    │   └── KsefUnavailable        no usable answer (time-out, reset, 5xx, garbage)
    │       ├── RateLimited        429: come back after `retry_after`
    │       ├── Paced              we keep KSeF's limits on calls: come back at `until`; nothing was sent
    │       ├── SentTooLate        the moment for sending had passed; it was not sent
    │       └── AnswerLost         the request may or may not have been applied
    ├── AccessDenied               who asks is not signed in here, or may not do that
    │   └── TooManyAttempts        too many wrong guesses: the next one at `until`
    ├── SignatureNeeded            the login is over and only the user can sign a new one
    ├── VerificationFailed         what KSeF gave is not what was asked for
    ├── SubjectBusy                another issuance of the same subject is running
    └── StorageError               our own database, vault or disk

A refusal by KSeF's limits is no error: it is an outcome (`domain.preflight.Refusal`).
No error ever carries a key, a token, a password or a signed document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from klucznik.domain.identifiers import Subject

Datum = str | int | None


class KlucznikError(Exception):
    """The root.

    Attributes:
        reason: stable name of what happened; key of the message catalogue.
        data: what the message needs; never a secret.
    """

    def __init__(self, reason: str, **data: Datum) -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = data

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.data.items() if value is not None)
        return f"{self.reason} ({facts})" if facts else self.reason


class InputError(KlucznikError):
    """What was given cannot be used. Nothing was sent, nothing changed."""


class CredentialError(InputError):
    """A certificate, key or password cannot be used; ``data["file"]`` names the file where one is at fault."""


class SignedDocumentError(InputError):
    """A document that somebody signed in another program cannot be handed in. It was not sent to KSeF."""


class Pkcs11Error(CredentialError):
    """A card or an HSM, its PIN or a key on it cannot be used; ``data`` has the URIs of ``token`` and ``key``."""

    @property
    def passing(self) -> bool:
        """It may work again without anybody doing anything about the PIN or the settings."""
        return self.reason in ("pkcs11_failed", "pkcs11_token_gone", "pkcs11_token_missing")


class KsefError(KlucznikError):
    """Something between us and KSeF."""


class KsefRefused(KsefError):
    """KSeF said no.

    Attributes:
        status: HTTP status of the answer, or None when the refusal is the status of an operation.
        code: KSeF's code (21111, 25006 …) or the status code of an operation (415, 450 …).
        text: KSeF's short text.
        details: KSeF's details, as they came.
        trace_id: what the Ministry asks for in a report.
        facts: the rest of `data`: of a 403, why (``reason_code``), and what it is about.
    """

    def __init__(
        self,
        reason: str = "ksef_refused",
        *,
        status: int | None = None,
        code: int | None = None,
        text: str = "",
        details: tuple[str, ...] = (),
        trace_id: str | None = None,
        **data: Datum,
    ) -> None:
        super().__init__(
            reason, status=status, code=code, text=text, details=" ".join(details), trace_id=trace_id, **data
        )
        self.status = status
        self.code = code
        self.text = text
        self.details = details
        self.trace_id = trace_id
        self.facts = data

    @property
    def passing(self) -> bool:
        """KSeF's own status codes 500 and 550: something went wrong there, "try again"."""
        return self.code is not None and 500 <= self.code < 600


class SignInRefused(KsefRefused):
    """The sign-in was refused, at once (HTTP 400) or when it was processed (status 415, 450, 460, 470, 480 …)."""


class KsefUnavailable(KsefError):
    """No usable answer. Whatever was asked can be asked again later."""


class RateLimited(KsefUnavailable):
    """HTTP 429.

    Attributes:
        retry_after: seconds to wait, exactly as KSeF said.
        until: the moment (UTC) to come back at: that of `retry_after`, or seconds later where others wait for it too.
    """

    def __init__(self, *, retry_after: int, until: datetime, route: str) -> None:
        super().__init__("rate_limited", retry_after=retry_after, route=route)
        self.retry_after = retry_after
        self.until = until


class Paced(KsefUnavailable):
    """One more call now would break KSeF's limits on calls, or a pause that KSeF has asked for. Certainly not sent.

    Attributes:
        until: the moment (UTC) to come back at; those who wait get different ones.
        route: path template of the call.
    """

    def __init__(self, *, until: datetime, route: str) -> None:
        super().__init__("paced", until=until.isoformat(timespec="seconds"), route=route)
        self.until = until
        self.route = route


class SentTooLate(KsefUnavailable):
    """The process was held up (frozen, asleep, starved) until what it was about to send had become stale. Not sent."""


class AnswerLost(KsefUnavailable):
    """The request left, the answer did not come: it may have been applied. Never send it again without looking."""


class AccessDenied(KlucznikError):
    """Whoever asks is not signed in here, or may not do that, or it is not theirs to see. Nothing was done."""


class TooManyAttempts(AccessDenied):
    """Too many wrong guesses of a password or code; this one was not looked at.

    Attributes:
        until: the moment (UTC) from which the next one is.
    """

    def __init__(self, *, until: datetime) -> None:
        super().__init__("too_many_attempts", until=until.isoformat(timespec="seconds"))
        self.until = until


class SignatureNeeded(KlucznikError):
    """The login is over and only the user can sign a new one."""


class VerificationFailed(KlucznikError):
    """A certificate that KSeF issued is not what was asked for."""


class SubjectBusy(KlucznikError):
    """Another issuance of the same subject is running, here or on another machine."""

    def __init__(self, subject: Subject, *, until: datetime) -> None:
        super().__init__("subject_busy", subject=str(subject), until=until.isoformat(timespec="seconds"))
        self.subject = subject
        self.until = until


class StorageError(KlucznikError):
    """Our own database, vault or disk."""
