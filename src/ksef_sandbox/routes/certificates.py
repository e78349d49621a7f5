"""HTTP face of certificates: /certificates/* (specification 2.7.0, facts.md §3).
It reads requests and writes answers; the rules are in `enrollments.py`, `certificates.py` and `limits.py`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.responses import Response

from ksef_sandbox import bodies, certificates, enrollments, limits, paging
from ksef_sandbox.answers import empty_answer, json_answer, status_value
from ksef_sandbox.bodies import Body, Moment, any_case
from ksef_sandbox.certificates import CertificateState, Filters
from ksef_sandbox.errors import BadRequest, Forbidden, Gone
from ksef_sandbox.limits import Allowance
from ksef_sandbox.pipeline import Call, Route
from ksef_sandbox.records import Certificate, CertificateType, SignInMethod
from ksef_sandbox.wire import JsonValue, optional_timestamp, timestamp

JSON = "application/json"


Type = Annotated[CertificateType, any_case(CertificateType)]
Name = Annotated[str, StringConstraints(min_length=5, max_length=100, pattern=r"^[a-zA-Z0-9_\- ąćęłńóśźżĄĆĘŁŃÓŚŹŻ]+$")]


class RevocationReason(StrEnum):
    UNSPECIFIED = "Unspecified"
    SUPERSEDED = "Superseded"
    KEY_COMPROMISE = "KeyCompromise"


class EnrollBody(Body):
    certificate_name: Name
    certificate_type: Type
    csr: Annotated[str, StringConstraints(min_length=1)]
    valid_from: Moment | None = None


class RetrieveBody(Body):
    # The pattern of serials is documentation only (changelog 2.5.0): a strange one is simply unknown.
    certificate_serial_numbers: Annotated[list[str], Field(min_length=1, max_length=10)]


class QueryBody(Body):
    certificate_serial_number: str | None = None
    name: str | None = None
    type: Type | None = None
    status: Annotated[CertificateState, any_case(CertificateState)] | None = None
    expires_after: Moment | None = None


class RevokeBody(Body):
    revocation_reason: Annotated[RevocationReason, any_case(RevocationReason)] | None = None


def _limits(call: Call) -> Response:
    enrollments.process_due(call.world, call.now)
    found = limits.certificate_limits(call.world, call.session.identity, call.now)
    return json_answer(
        {
            "canRequest": found.can_request,
            "enrollment": _allowance(found.enrollment),
            "certificate": _allowance(found.certificate),
        }
    )


def _allowance(allowance: Allowance) -> JsonValue:
    return {"remaining": allowance.remaining, "limit": allowance.limit}


def _data(call: Call) -> Response:
    _forbid_token_session(call, unless="codes")
    holder = enrollments.enrollment_data(call.world, call.session)
    if holder is None:
        raise BadRequest(25001)
    return json_answer(
        {
            "commonName": holder.common_name,
            "countryName": holder.country_name,
            "givenName": holder.given_name,
            "surname": holder.surname,
            "serialNumber": holder.serial_number,
            "uniqueIdentifier": holder.unique_identifier,
            "organizationName": holder.organization_name,
            "organizationIdentifier": holder.organization_identifier,
        }
    )


def _enroll(call: Call) -> Response:
    _forbid_token_session(call, unless="codes")
    body = bodies.read(EnrollBody, call.body)
    request = enrollments.Request(body.certificate_name, body.certificate_type, body.csr, body.valid_from)
    enrollment = enrollments.enroll(call.world, call.session, request, call.now, fate=call.fate)
    return json_answer({"referenceNumber": enrollment.reference, "timestamp": timestamp(call.now)}, 202)


def _enrollment_status(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    enrollments.process_due(call.world, call.now)
    enrollment = call.world.enrollments.get(reference)
    if enrollment is None or enrollment.identity != call.session.identity:
        raise BadRequest(25005)
    if call.now >= enrollment.requested_at + enrollments.RETENTION:
        raise Gone
    serial: dict[str, JsonValue] = {"certificateSerialNumber": enrollment.certificate_serial}
    return json_answer(
        {
            "requestDate": timestamp(enrollment.requested_at),
            "status": status_value(enrollment.outcome or enrollments.IN_PROGRESS),
            **(serial if enrollment.certificate_serial else {}),
        }
    )


def _retrieve(call: Call) -> Response:
    body = bodies.read(RetrieveBody, call.body)
    enrollments.process_due(call.world, call.now)
    found: list[JsonValue] = []
    for serial in dict.fromkeys(body.certificate_serial_numbers):
        certificate = certificates.find_own(call.world, call.session.identity, serial, call.now)
        if certificate is not None:
            found.append(_retrieved(certificate))
        elif call.world.switches.retrieve_unknown == "error":
            raise BadRequest(25008)
    return json_answer({"certificates": found})


def _retrieved(certificate: Certificate) -> JsonValue:
    return {
        "certificate": certificate.der,
        "certificateName": certificate.name,
        "certificateSerialNumber": certificate.serial,
        "certificateType": certificate.type.value,
    }


def _query(call: Call) -> Response:
    body = bodies.read(QueryBody, _object_or_nothing(call.body))
    enrollments.process_due(call.world, call.now)
    filters = Filters(body.certificate_serial_number, body.name, body.type, body.status, body.expires_after)
    found = certificates.query(call.world, call.session.identity, filters, call.now)
    page, has_more = paging.numbered_page(call, found, high=50)
    items: list[JsonValue] = [_listed(certificate, call.now) for certificate in page]
    return json_answer({"certificates": items, "hasMore": has_more})


def _object_or_nothing(body: bytes) -> bytes:
    """An optional body may be empty or `null` (facts.md §3.9)."""
    return b"{}" if body.strip() in (b"", b"null") else body


def _listed(certificate: Certificate, now: datetime) -> JsonValue:
    return {
        "certificateSerialNumber": certificate.serial,
        "name": certificate.name,
        "type": certificate.type.value,
        "commonName": certificate.common_name,
        "status": certificates.state_of(certificate, now).value,
        "subjectIdentifier": {"type": certificate.identity.type.value, "value": certificate.identity.value},
        "validFrom": timestamp(certificate.valid_from),
        "validTo": timestamp(certificate.valid_to),
        "lastUseDate": optional_timestamp(certificate.last_use_at),
        "requestDate": timestamp(certificate.requested_at),
    }


def _revoke(call: Call) -> Response:
    _forbid_token_session(call, unless=None)
    body = bodies.read(RevokeBody, _object_or_nothing(call.body))
    enrollments.process_due(call.world, call.now)
    reason = body.revocation_reason or RevocationReason.UNSPECIFIED
    serial = call.path_parameter("certificateSerialNumber")
    certificates.revoke(call.world, call.session.identity, serial, reason.value, call.now)
    return empty_answer(204)


def _forbid_token_session(call: Call, *, unless: str | None) -> None:
    """403 for a KSeF token session, unless the switch has the named value (ASSUME of facts.md §3.1)."""
    choice = call.world.switches.token_session_on_certificates
    if call.session.method is SignInMethod.TOKEN and choice != unless:
        raise Forbidden("auth-method-not-allowed", authenticationMethodCategory="Token")


ROUTES = (
    Route("GET", "/certificates/limits", _limits),
    Route("GET", "/certificates/enrollments/data", _data),
    Route("POST", "/certificates/enrollments", _enroll, media_type=JSON),
    Route("GET", "/certificates/enrollments/{referenceNumber}", _enrollment_status),
    Route("POST", "/certificates/retrieve", _retrieve, media_type=JSON),
    Route("POST", "/certificates/query", _query, media_type=JSON, body_optional=True),
    Route("POST", "/certificates/{certificateSerialNumber}/revoke", _revoke, media_type=JSON, body_optional=True),
)
