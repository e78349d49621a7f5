"""Where each issuance is, what it waits for and until when, and what has been spent on it. Asks KSeF for nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context
from klucznik.domain.issuance import Enrollment, Issuance
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.services.outcomes import certificates_of
from klucznik.storage import issuances

PAGE = 50
# Six digits are enough to name one of a few thousand; fewer might mean another one tomorrow.
_PREFIX = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True)
class IssuanceStatus:
    """An issuance and its enrollments, as their rows say."""

    issuance: Issuance
    enrollments: tuple[Enrollment, ...]

    @property
    def spent(self) -> int:
        """Requests spent on it, as far as we know; one whose answer is unknown counts."""
        return sum(enrollment.may_have_spent for enrollment in self.enrollments)


async def all_issuances(
    installation: Installation,
    *,
    running_only: bool = False,
    before: Issuance | None = None,
    size: int = PAGE,
    only: Context | None = None,
) -> list[IssuanceStatus]:
    """A page of issuances, newest first.

    Args:
        before: the last one of the page before.
        only: those for this company.
    """

    def read(connection: Connection) -> list[IssuanceStatus]:
        found = issuances.page(
            connection, installation.environment, running_only=running_only, before=before, size=size, only=only
        )
        rows = issuances.enrollments_of_many(connection, [issuance.id for issuance in found])
        return [IssuanceStatus(issuance, tuple(rows.get(issuance.id, ()))) for issuance in found]

    return await installation.database.read(read)


async def one_issuance(installation: Installation, id_or_prefix: str) -> IssuanceStatus:
    """The issuance of that id, or of the only id that begins so.

    Raises:
        InputError: ``issuance_unknown``, ``issuance_ambiguous``.
    """
    if not _PREFIX.fullmatch(id_or_prefix.lower()):
        raise InputError("issuance_unknown", issuance=id_or_prefix[:40])

    def read(connection: Connection) -> tuple[list[Issuance], list[Enrollment]]:
        found = issuances.by_prefix(connection, installation.environment, id_or_prefix.lower(), most=2)
        return found, issuances.enrollments_of(connection, found[0].id) if found else []

    found, rows = await installation.database.read(read)
    if not found:
        raise InputError("issuance_unknown", issuance=id_or_prefix[:40])
    if len(found) > 1:
        raise InputError("issuance_ambiguous", issuance=id_or_prefix[:40])
    return IssuanceStatus(found[0], tuple(rows))


async def issued_by(installation: Installation, status: IssuanceStatus) -> list[HeldCertificate]:
    """The certificates that have come of it so far."""
    return await installation.database.read(
        lambda connection: certificates_of(connection, status.issuance, status.enrollments)
    )
