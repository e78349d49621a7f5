"""Gathers the evidence of a refusal: what the subject holds, what it has requested, which ways out remain."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain import remedies
from klucznik.domain.certificates import CertificateRecord, CertificateType
from klucznik.domain.issuance import Issuance
from klucznik.domain.limits import Limits
from klucznik.domain.permissions import lacking
from klucznik.domain.preflight import Finding, Refusal, likely_causes
from klucznik.domain.remedies import Situation, Standing
from klucznik.domain.renewal_window import REQUEST_WINDOW
from klucznik.errors import InputError, KsefError, KsefRefused
from klucznik.services.grant import listed as permissions_of
from klucznik.services.grant import ready_operator
from klucznik.services.installation import Installation
from klucznik.services.progress import unheard
from klucznik.services.reserve import kept_back
from klucznik.services.sign_in import SignedIn
from klucznik.storage import certificates, issuances

_NOT_READY = {
    "operator_not_set": Standing.NOT_SET,
    "operator_without_credential": Standing.CANNOT_SIGN_IN,
    "operator_is_the_company": Standing.IS_THE_COMPANY,
}


async def explain(
    installation: Installation,
    signed_in: SignedIn,
    issuance: Issuance,
    limits: Limits,
    findings: tuple[Finding, ...],
    missing: Sequence[CertificateType],
) -> Refusal:
    """The refusal with causes and ways out. Only reads; where KSeF does not list the certificates, says less.

    Args:
        missing: what the issuance still had to request.
    """
    subject, now = issuance.subject, installation.clock.now()
    listed = await _listed(signed_in)
    held, requested_at = await installation.database.read(
        lambda connection: (
            certificates.of_subject(connection, issuance.environment, subject),
            issuances.requests_since(
                connection,
                issuance.environment,
                subject,
                now - REQUEST_WINDOW,
                apart_from={record.serial_number for record in listed or ()},
            ),
        )
    )
    situation = Situation(
        limits=limits,
        missing=tuple(missing),
        subject=subject,
        listed=listed,
        held=tuple(held),
        requested_at=tuple(requested_at),
        operator=await _standing(installation, signed_in),
        now=now,
        reserved=await kept_back(installation, issuance),
        renewal=issuance.replaces is not None,
    )
    return Refusal(
        subject=subject,
        context=signed_in.context,
        limits=limits,
        needed=situation.needed,
        reasons=findings,
        causes=likely_causes(limits, findings),
        remedies=remedies.plan(situation),
    )


async def _listed(signed_in: SignedIn) -> tuple[CertificateRecord, ...] | None:
    try:
        return tuple([record async for record in signed_in.session.certificates()])
    except KsefError:
        return None


async def _standing(installation: Installation, signed_in: SignedIn) -> Standing:
    """How the operator stands to the company; where KSeF does not say, whoever grants looks once more anyway."""
    try:
        operator = await ready_operator(installation, signed_in.context)
    except InputError as error:
        return _NOT_READY[error.reason]
    if signed_in.subject == operator.subject:
        return Standing.GRANTED
    try:
        granted = await permissions_of(installation, signed_in, operator, unheard)
    except KsefRefused as error:
        return Standing.NOT_BY_SIGNER if error.status == 403 else Standing.MAY_BE_GRANTED
    except KsefError:
        return Standing.MAY_BE_GRANTED
    return Standing.MAY_BE_GRANTED if lacking(granted, operator.subject, delegable=False) else Standing.GRANTED
