"""Proves a new certificate before anybody is told of it: is it ours, is it what was asked for, does it work?

Rule 6 of the design: first the certificate itself, then a real login with the one and a KOD II check with the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from cryptography import x509

from klucznik.domain.certificates import CertificateType, HeldCertificate, Origin
from klucznik.domain.identifiers import Context
from klucznik.domain.issuance import Enrollment, Issuance
from klucznik.errors import KsefUnavailable, VerificationFailed
from klucznik.keys.csr import data_in
from klucznik.ksef.answers import RetrievedCertificate
from klucznik.ksef.kod2 import VerifyingKey, sign_link, verify_link
from klucznik.ksef.profile import check_issued
from klucznik.services.installation import Installation
from klucznik.services.sign_in import signer_with_key, unsealed
from klucznik.storage import certificates

# Signed by a new Offline certificate to prove its key; no invoice, and it never leaves this machine.
_SPECIMEN = b"Klucznik: proof of a new Offline certificate"


@dataclass(frozen=True)
class Proof:
    """What a new certificate has just done.

    Attributes:
        reference_number: of the login with it, for an Authentication certificate.
        link: a KOD II link signed with it and verified, for an Offline certificate.
    """

    serial_number: str
    reference_number: str | None = None
    link: str | None = None


def find_ours(
    issuance: Issuance, enrollment: Enrollment, given: Mapping[str, RetrievedCertificate], *, now: datetime
) -> HeldCertificate:
    """The certificate of `enrollment` among those that KSeF gave, as it goes into the vault.

    The certificate itself says which it is: its label is looked at first, but the labels of two may be swapped.

    Raises:
        VerificationFailed: another public key, type, subject, serial number or validity than asked for.
        KsefUnavailable: ``certificate_not_handed_out``.
    """
    serial_number = enrollment.certificate_serial_number or ""
    labelled = given.get(serial_number)
    others = [other for other in given.values() if other is not labelled]
    wrong: VerificationFailed | None = None
    for candidate in [*([] if labelled is None else [labelled]), *others]:
        try:
            return _checked(issuance, enrollment, candidate.der, now=now)
        except VerificationFailed as error:
            wrong = wrong or error
    if labelled is None or wrong is None:
        raise KsefUnavailable("certificate_not_handed_out", serial=serial_number)
    raise wrong


def _checked(issuance: Issuance, enrollment: Enrollment, der: bytes, *, now: datetime) -> HeldCertificate:
    facts = check_issued(
        der,
        type=enrollment.type,
        serial_number=enrollment.certificate_serial_number or "",
        public_key=x509.load_der_x509_csr(enrollment.csr).public_key(),
        data=data_in(enrollment.csr),
        environment=issuance.environment,
        now=now,
    )
    return HeldCertificate(
        environment=issuance.environment,
        serial_number=facts.serial_number,
        subject=issuance.subject,
        type=enrollment.type,
        name=enrollment.name,
        common_name=facts.common_name,
        valid_from=facts.valid_from,
        valid_to=facts.valid_to,
        der=der,
        key_id=enrollment.key_id,
        origin=Origin.ISSUED,
        key_on_token=issuance.keys_on_token,
    )


async def prove_all(installation: Installation, context: Context, those: Sequence[Enrollment]) -> list[Proof]:
    """`prove` each; the first failure ends it."""
    return [await prove(installation, context, enrollment) for enrollment in those]


async def prove(installation: Installation, context: Context, enrollment: Enrollment) -> Proof:
    """Use the certificate, with its key from the vault, as its owner will.

    Raises:
        SignInRefused: KSeF does not accept the login.
        VerificationFailed: the KOD II signature does not verify.
    """
    serial_number = enrollment.certificate_serial_number or ""
    held = await installation.database.read(
        lambda connection: certificates.by_serial(connection, installation.environment, serial_number)
    )
    if held is None:
        raise VerificationFailed("certificate_not_in_vault", serial=serial_number)
    if held.type is CertificateType.AUTHENTICATION:
        return await _log_in(installation, context, held)
    return Proof(held.serial_number, link=await specimen_link(installation, context, held))


async def _log_in(installation: Installation, context: Context, held: HeldCertificate) -> Proof:
    """As far as KSeF's yes: no session is left open."""
    certificate, key = x509.load_der_x509_certificate(held.der), await unsealed(installation, held.key_id)
    signer = signer_with_key(certificate, key, held.subject, installation.clock)
    reference_number = await installation.ksef.prove(context, signer.sign, identifier_type=signer.identifier_type)
    return Proof(held.serial_number, reference_number=reference_number)


async def specimen_link(installation: Installation, context: Context, held: HeldCertificate) -> str:
    """A KOD II link signed with an Offline certificate of the vault, and verified with it; it is of no invoice.

    Raises:
        VerificationFailed: the signature does not verify.
    """
    link = await asyncio.to_thread(
        sign_link,
        qr_host=installation.endpoint.qr_host,
        context=context,
        seller_nip=context.value[:10],
        serial_number=held.serial_number,
        invoice=_SPECIMEN,
        private_key=await unsealed(installation, held.key_id),
    )
    verify_link(link, cast("VerifyingKey", x509.load_der_x509_certificate(held.der).public_key()), invoice=_SPECIMEN)
    return link
