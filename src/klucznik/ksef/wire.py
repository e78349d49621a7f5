"""KSeF's answers from JSON to values (openapi 2.7.0, schemas named below). Unknown fields are ignored.

What the fields must look like in general is `fields`; error answers are `refusals`.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta

from klucznik.domain.certificates import CertificateRecord, CertificateStatus, CertificateType
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.ksef_token import TokenRecord
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.values import InvalidValue
from klucznik.ksef.answers import (
    Challenge,
    EnrollmentStatus,
    EnrollmentTicket,
    OperationStatus,
    PendingSignIn,
    PublicKeyCertificate,
    RetrievedCertificate,
    SessionRecord,
    Token,
    TokenPair,
)
from klucznik.ksef.fields import Fields, Unreadable, plain

CHALLENGE_LIFETIME = timedelta(minutes=10)
CHALLENGE = re.compile(r"\d{8}-CR-[A-F0-9]{10}-[A-F0-9]{10}-[A-F0-9]{2}", re.ASCII)
# It goes into a header, where a line break or a letter beyond ASCII is an error that quotes the token.
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
# It goes into a path; its full shape is documentation only (facts.md §1.2).
_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,64}")
_SERIAL = re.compile(r"[0-9A-Fa-f]{16}")


def challenge(body: Fields) -> Challenge:
    """``AuthenticationChallengeResponse``."""
    issued_at = body.moment("timestamp")
    try:
        expires_at = issued_at + CHALLENGE_LIFETIME
    except OverflowError:
        raise Unreadable("timestamp") from None
    return Challenge(
        body.matching("challenge", CHALLENGE),
        issued_at,
        expires_at,
        body.maybe_text("clientIp"),
        # Required since 2.0; what it says is what `timestamp` says.
        body.integer("timestampMs") if body.has("timestampMs") else round(issued_at.timestamp() * 1000),
    )


def public_key_certificates(items: list[Fields]) -> list[PublicKeyCertificate]:
    """``PublicKeyCertificate``, the whole array."""
    return [
        PublicKeyCertificate(
            item.maybe_text("publicKeyId") or "",
            item.texts("usage"),
            item.moment("validFrom"),
            item.moment("validTo"),
            _base64(item, "certificate"),
        )
        for item in items
    ]


def token_record(body: Fields) -> TokenRecord:
    """``TokenStatusResponse``."""
    return TokenRecord(
        reference_number=reference_number(body),
        author=_subject(body.maybe_inner("authorIdentifier")),
        permissions=body.texts("requestedPermissions"),
        description=plain(body.maybe_text("description") or ""),
        created_at=body.moment("dateCreated"),
    )


def pending_sign_in(body: Fields) -> PendingSignIn:
    """``AuthenticationInitResponse``."""
    return PendingSignIn(reference_number(body), _token(body.inner("authenticationToken")))


def status(body: Fields) -> OperationStatus:
    """The ``StatusInfo`` inside an answer; nothing else of the answer is needed, and some of it may be gone."""
    info = body.inner("status")
    return OperationStatus(info.integer("code"), plain(info.maybe_text("description") or ""), info.texts("details"))


def token_pair(body: Fields) -> TokenPair:
    """``AuthenticationTokensResponse``."""
    return TokenPair(_token(body.inner("accessToken")), _token(body.inner("refreshToken")))


def access_token(body: Fields) -> Token:
    """``AuthenticationTokenRefreshResponse``."""
    return _token(body.inner("accessToken"))


def limits(body: Fields) -> Limits:
    """``CertificateLimitsResponse``."""
    return Limits(body.flag("canRequest"), _allowance(body.inner("enrollment")), _allowance(body.inner("certificate")))


def enrollment_data(body: Fields) -> EnrollmentData:
    """``CertificateEnrollmentDataResponse``: the texts stay exactly as they came, the request must repeat them."""
    return EnrollmentData(
        common_name=body.maybe_text("commonName"),
        country_name=body.maybe_text("countryName"),
        given_name=body.maybe_text("givenName"),
        surname=body.maybe_text("surname"),
        serial_number=body.maybe_text("serialNumber"),
        unique_identifier=body.maybe_text("uniqueIdentifier"),
        organization_name=body.maybe_text("organizationName"),
        organization_identifier=body.maybe_text("organizationIdentifier"),
    )


def enrollment_ticket(body: Fields) -> EnrollmentTicket:
    """``EnrollCertificateResponse``."""
    return EnrollmentTicket(reference_number(body), body.moment("timestamp"))


def enrollment_status(body: Fields) -> EnrollmentStatus:
    """``CertificateEnrollmentStatusResponse``."""
    found = status(body)
    serial = _serial(body, "certificateSerialNumber") if body.maybe_text("certificateSerialNumber") else None
    if found.done and serial is None:
        raise Unreadable("certificateSerialNumber")
    return EnrollmentStatus(found.code, found.text, found.details, serial, body.moment("requestDate"))


def retrieved_certificates(body: Fields) -> list[RetrievedCertificate]:
    """``RetrieveCertificatesResponse``, in KSeF's order."""
    return [
        RetrievedCertificate(
            _serial(item, "certificateSerialNumber"),
            item.maybe_text("certificateName") or "",
            item.choice("certificateType", CertificateType),
            _base64(item, "certificate"),
        )
        for item in body.each("certificates")
    ]


def certificate_page(body: Fields) -> tuple[list[CertificateRecord], bool]:
    """``QueryCertificatesResponse``: the records of one page and whether another follows."""
    return [_certificate_record(item) for item in body.each("certificates")], body.flag("hasMore")


def session_page(body: Fields) -> tuple[list[SessionRecord], str | None]:
    """``AuthenticationListResponse``: the sessions of one page and the token of the next one."""
    following = body.maybe_text("continuationToken")
    if following is not None and not _TOKEN.fullmatch(following):
        raise Unreadable("continuationToken")
    return [_session_record(item) for item in body.each("items")], following


def reference_number(body: Fields) -> str:
    return body.matching("referenceNumber", _REFERENCE)


def _certificate_record(item: Fields) -> CertificateRecord:
    """``CertificateListItem``."""
    return CertificateRecord(
        serial_number=_serial(item, "certificateSerialNumber"),
        name=item.maybe_text("name") or "",
        type=item.choice("type", CertificateType),
        status=item.choice("status", CertificateStatus),
        subject=_subject(item.maybe_inner("subjectIdentifier")),
        common_name=item.maybe_text("commonName") or "",
        valid_from=item.moment("validFrom"),
        valid_to=item.moment("validTo"),
        requested_at=item.moment("requestDate"),
        last_used_at=item.maybe_moment("lastUseDate"),
    )


def _session_record(item: Fields) -> SessionRecord:
    """``AuthenticationListItem``; `authenticationMethod` may be gone since November 2026 (facts.md §2.3)."""
    method = item.maybe_inner("authenticationMethodInfo")
    return SessionRecord(
        reference_number=reference_number(item),
        started_at=item.moment("startDate"),
        status=status(item),
        method=method.maybe_text("code") if method else item.maybe_text("authenticationMethod"),
        is_current=item.maybe_flag("isCurrent") or False,
        refresh_valid_until=item.maybe_moment("refreshTokenValidUntil"),
    )


def _subject(identifier: Fields | None) -> Subject | None:
    """None when KSeF names a kind of subject that we do not know: the record is still worth having."""
    if identifier is None:
        return None
    try:
        return Subject(identifier.choice("type", SubjectType), identifier.text("value"))
    except (Unreadable, InvalidValue):
        return None


def _allowance(body: Fields) -> Allowance:
    return Allowance(body.integer("remaining"), body.integer("limit"))


def _token(body: Fields) -> Token:
    """``TokenInfo``."""
    return Token(body.matching("token", _TOKEN), body.moment("validUntil"))


def _serial(body: Fields, name: str) -> str:
    return body.matching(name, _SERIAL).upper()


def _base64(body: Fields, name: str) -> bytes:
    text = "".join(body.text(name).split())
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable(name) from None
