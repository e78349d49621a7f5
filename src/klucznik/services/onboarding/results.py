"""What has come of an onboarding: the connection, its certificates, and what each of them has just shown it can do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event, chain_of
from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.connections import Method, Operator
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.renewal import due_at
from klucznik.errors import InputError, KlucznikError
from klucznik.services.connections import ConnectionStatus, one_connection
from klucznik.services.installation import Installation
from klucznik.services.proof import specimen_link
from klucznik.storage import audit, operators


@dataclass(frozen=True)
class Proved:
    """A certificate that the company is connected with.

    Attributes:
        renewal_at: from when it will be renewed.
        login: KSeF's reference of the sign-in that proved it, where it was issued here.
        kod2: a KOD II link signed with it just now and verified; of an Offline certificate.
    """

    certificate: HeldCertificate
    renewal_at: datetime
    login: str | None
    kod2: str | None


@dataclass(frozen=True)
class Results:
    """The end of an onboarding.

    Attributes:
        connection: None: it has been forgotten since.
        operator: who is let in, where that is how the company is connected.
    """

    connection: ConnectionStatus | None
    certificates: tuple[Proved, ...]
    operator: Operator | None


async def results_of(installation: Installation, onboarding: Onboarding) -> Results:
    """What an onboarding that is done has led to, as it is now. Asks KSeF nothing."""
    try:
        status = (await one_connection(installation, onboarding.context)).status
    except InputError:
        return Results(None, (), None)
    if not status.connection.method.is_by_certificate:
        operator = await installation.database.read(
            lambda transaction: operators.load(transaction, installation.environment)
        )
        return Results(status, (), operator if status.connection.subject is None else None)
    logins = await installation.database.read(lambda transaction: _logins(transaction, installation, onboarding))
    proved = [
        Proved(one, due_at(one), logins.get(one.serial_number), await _kod2(installation, onboarding, one))
        for one in status.certificates
        if _is_theirs(onboarding, one)
    ]
    return Results(status, tuple(proved), None)


def _is_theirs(onboarding: Onboarding, certificate: HeldCertificate) -> bool:
    """Whether it is of who has signed here, or was brought: since the end the company may be connected by others."""
    if onboarding.method is Method.CERTIFICATES:
        return certificate.subject == onboarding.subject
    return onboarding.method is Method.IMPORTED


def _logins(transaction: Transaction, installation: Installation, onboarding: Onboarding) -> dict[str, str]:
    """The references of the sign-ins that proved certificates of its issuance, by serial number."""
    if onboarding.issuance_id is None or onboarding.subject is None:
        return {}
    chain = chain_of(installation.environment, onboarding.subject)
    rows = audit.of_issuance(transaction, chain, onboarding.issuance_id, Event.CERTIFICATES_PROVED.value)
    proofs = [proof for row in rows for proof in json.loads(row.facts)["proofs"]]
    return {proof["serial"]: proof["login"] for proof in proofs if proof["login"] is not None}


async def _kod2(installation: Installation, onboarding: Onboarding, held: HeldCertificate) -> str | None:
    if held.type is not CertificateType.OFFLINE:
        return None
    try:
        return await specimen_link(installation, onboarding.context, held)
    except KlucznikError:
        return None  # its card is not at hand, for example: that takes nothing from what was proved before
