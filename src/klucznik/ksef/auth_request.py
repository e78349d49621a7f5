"""The XML document that a person or a key signs to sign in (facts.md §2.2). Signing it is `xades`.

Schema 2.0: it has all that we say, and not every environment took 2.1 at once.
"""

from __future__ import annotations

from enum import StrEnum
from xml.sax.saxutils import escape

from klucznik.domain.identifiers import Context
from klucznik.domain.values import InvalidValue
from klucznik.ksef.wire import CHALLENGE

NAMESPACE = "http://ksef.mf.gov.pl/auth/token/2.0"


class SubjectIdentifierType(StrEnum):
    """How KSeF finds out who signed (facts.md §2.2)."""

    CERTIFICATE_SUBJECT = "certificateSubject"  # NIP or PESEL in the certificate's subject
    CERTIFICATE_FINGERPRINT = "certificateFingerprint"  # SHA-256 of a certificate that has neither


def auth_token_request(
    challenge: str,
    context: Context,
    identifier_type: SubjectIdentifierType = SubjectIdentifierType.CERTIFICATE_SUBJECT,
) -> bytes:
    """``AuthTokenRequest``, UTF-8, unsigned.

    Args:
        challenge: 36 characters of KSeF's challenge.
        context: whom the signer wants to act for.

    Raises:
        InvalidValue: ``challenge`` is not one of KSeF's (``challenge_malformed``).
    """
    if not CHALLENGE.fullmatch(challenge):
        raise InvalidValue("challenge_malformed")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<AuthTokenRequest xmlns="{NAMESPACE}">'
        f"<Challenge>{challenge}</Challenge>"
        f"<ContextIdentifier><{context.type.value}>{escape(context.value)}</{context.type.value}></ContextIdentifier>"
        f"<SubjectIdentifierType>{identifier_type.value}</SubjectIdentifierType>"
        "</AuthTokenRequest>"
    ).encode()


def identifier_type_of(document: bytes) -> SubjectIdentifierType:
    """How the signer of one of our documents is found out."""
    by_fingerprint = SubjectIdentifierType.CERTIFICATE_FINGERPRINT
    return by_fingerprint if by_fingerprint.value.encode() in document else SubjectIdentifierType.CERTIFICATE_SUBJECT
