"""HTTP face of test data: /testdata/* (specification 2.7.0, facts.md §4.5, §7).
It reads requests; the changes are made in `testdata.py` and `certificates.py`. Every answer is 200 without a body.
"""

from starlette.responses import Response

from ksef_sandbox import bodies, certificates, testdata
from ksef_sandbox.answers import empty_answer
from ksef_sandbox.errors import InvalidInput
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.limits import COLLECTIVE_DEFAULT, PRODUCTION_RATES, RATE_BOUND
from ksef_sandbox.pipeline import PUBLIC, Call, Route
from ksef_sandbox.records import (
    AttachmentConsent,
    ContextLimits,
    ContextRates,
    DeclaredSubject,
    RateValues,
    Subunit,
    identity_key,
)
from ksef_sandbox.routes.certificates import JSON
from ksef_sandbox.routes.testdata_bodies import (
    AttachmentRevokeBody,
    AuthorizedBody,
    BlockBody,
    CertificateBody,
    ContextBody,
    ContextLimitsBody,
    NipBody,
    PermissionsBody,
    PermissionsRevokeBody,
    PersonBody,
    RatesBody,
    RateValuesBody,
    SubjectBody,
    SubjectLimitsBody,
    SubjectRemoveBody,
)


def _add_subject(call: Call) -> Response:
    body = bodies.read(SubjectBody, call.body)
    units = tuple(Subunit(unit.subject_nip, unit.description) for unit in body.subunits or [])
    created = body.created_date or call.now
    subject = DeclaredSubject(body.subject_nip, body.subject_type.value, body.description, units, created)
    testdata.add_subject(call.world, subject)
    return empty_answer()


def _remove_subject(call: Call) -> Response:
    call.world.subjects.delete(bodies.read(SubjectRemoveBody, call.body).subject_nip)
    return empty_answer()


def _add_person(call: Call) -> Response:
    body = bodies.read(PersonBody, call.body)
    person = testdata.NewPerson(
        nip=body.nip,
        pesel=body.pesel,
        description=body.description,
        is_bailiff=body.is_bailiff,
        is_deceased=body.is_deceased,
        created_at=body.created_date,
    )
    testdata.add_person(call.world, person, call.now)
    return empty_answer()


def _remove_person(call: Call) -> Response:
    testdata.remove_person(call.world, bodies.read(NipBody, call.body).nip)
    return empty_answer()


def _grant(call: Call) -> Response:
    body = bodies.read(PermissionsBody, call.body)
    context, identity = _pair(body.context_identifier, body.authorized_identifier)
    for permission in body.permissions:
        kind = permission.permission_type.value
        testdata.grant(call.world, context, identity, testdata.NewGrant(kind, permission.description), call.now)
    return empty_answer()


def _revoke_grants(call: Call) -> Response:
    body = bodies.read(PermissionsRevokeBody, call.body)
    testdata.revoke_grants(call.world, *_pair(body.context_identifier, body.authorized_identifier))
    return empty_answer()


def _pair(context: ContextBody, authorized: AuthorizedBody) -> tuple[ContextIdentifier, Identity]:
    identity = Identity(IdentityType(authorized.type.value), authorized.value)
    return ContextIdentifier(ContextType.NIP, context.value), identity


def _add_attachment(call: Call) -> Response:
    call.world.attachments.put(AttachmentConsent(bodies.read(NipBody, call.body).nip, None))
    return empty_answer()


def _revoke_attachment(call: Call) -> Response:
    body = bodies.read(AttachmentRevokeBody, call.body)
    if body.expected_end_date is None:
        call.world.attachments.delete(body.nip)
    elif body.nip in call.world.attachments:
        call.world.attachments.put(AttachmentConsent(body.nip, body.expected_end_date))
    return empty_answer()


def _block(call: Call) -> Response:
    if context := _context_to_block(call):
        testdata.block(call.world, context)
    return empty_answer()


def _unblock(call: Call) -> Response:
    if context := _context_to_block(call):
        testdata.unblock(call.world, context)
    return empty_answer()


def _context_to_block(call: Call) -> ContextIdentifier | None:
    """The specification lets the context be left out; then there is nothing to do."""
    named = bodies.read(BlockBody, call.body).context_identifier
    return ContextIdentifier(named.type, named.value) if named else None


def _set_subject_limits(call: Call) -> Response:
    body = bodies.read(SubjectLimitsBody, call.body)
    identity = call.session.identity
    # A type other than the caller's changes nothing (ASSUME of facts.md §4.5); left out, it is not meant to differ.
    named = "subject_identifier_type" in body.model_fields_set
    if named and body.subject_identifier_type.value != identity.type.value:
        return empty_answer()
    testdata.set_limits(
        call.world,
        identity,
        enrollment=body.enrollment.max_enrollments if body.enrollment else None,
        certificate=body.certificate.max_certificates if body.certificate else None,
    )
    return empty_answer()


def _restore_subject_limits(call: Call) -> Response:
    testdata.restore_limits(call.world, call.session.identity)
    return empty_answer()


def _set_context_limits(call: Call) -> Response:
    body = bodies.read(ContextLimitsBody, call.body)
    collective = body.collective_identifier.max_invoices if body.collective_identifier else COLLECTIVE_DEFAULT
    online, batch = body.online_session.values(), body.batch_session.values()
    call.world.context_limits.put(ContextLimits(call.session.context, online, batch, collective))
    return empty_answer()


def _restore_context_limits(call: Call) -> Response:
    call.world.context_limits.delete(identity_key(call.session.context))
    return empty_answer()


def _set_rates(call: Call) -> Response:
    sent = bodies.read(RatesBody, call.body).rate_limits
    broken = [f"'rateLimits.{group}' must not be empty." for group in PRODUCTION_RATES if group not in sent]
    for group, production in PRODUCTION_RATES.items():
        if group in sent:
            broken += _out_of_bounds(group, sent[group], production)
    if broken:
        raise InvalidInput(*broken)
    groups = {name: RateValues(v.per_second, v.per_minute, v.per_hour) for name, v in sent.items()}
    known = {name: groups[name] for name in PRODUCTION_RATES}
    call.world.context_rates.put(ContextRates(call.session.context, known))
    return empty_answer()


def _out_of_bounds(group: str, sent: RateValuesBody, production: RateValues) -> list[str]:
    checks = (
        ("perSecond", sent.per_second, production.per_second),
        ("perMinute", sent.per_minute, production.per_minute),
        ("perHour", sent.per_hour, production.per_hour),
    )
    return [
        f"'rateLimits.{group}.{name}' must be between 1 and {bound * RATE_BOUND}. You entered {value}."
        for name, value, bound in checks
        if not 1 <= value <= bound * RATE_BOUND
    ]


def _production_rates(call: Call) -> Response:
    call.world.context_rates.put(ContextRates(call.session.context, dict(PRODUCTION_RATES)))
    return empty_answer()


def _restore_rates(call: Call) -> Response:
    call.world.context_rates.delete(identity_key(call.session.context))
    return empty_answer()


def _shorten_certificate(call: Call) -> Response:
    body = bodies.read(CertificateBody, call.body)
    serial = call.path_parameter("serialNumber")
    certificates.shorten(call.world, call.session.identity, serial, body.valid_to)
    return empty_answer()


ROUTES = (
    Route("POST", "/testdata/subject", _add_subject, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/subject/remove", _remove_subject, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/person", _add_person, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/person/remove", _remove_person, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/permissions", _grant, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/permissions/revoke", _revoke_grants, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/attachment", _add_attachment, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/attachment/revoke", _revoke_attachment, PUBLIC, JSON, rate_group=None),
    Route("POST", "/testdata/context/block", _block, PUBLIC, JSON),
    Route("POST", "/testdata/context/unblock", _unblock, PUBLIC, JSON),
    Route("POST", "/testdata/limits/subject/certificate", _set_subject_limits, media_type=JSON),
    Route("DELETE", "/testdata/limits/subject/certificate", _restore_subject_limits),
    Route("POST", "/testdata/limits/context/session", _set_context_limits, media_type=JSON),
    Route("DELETE", "/testdata/limits/context/session", _restore_context_limits),
    Route("POST", "/testdata/rate-limits", _set_rates, media_type=JSON),
    Route("DELETE", "/testdata/rate-limits", _restore_rates),
    Route("POST", "/testdata/rate-limits/production", _production_rates),
    Route("PUT", "/testdata/certificates/{serialNumber}", _shorten_certificate, media_type=JSON),
)
