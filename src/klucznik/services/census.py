"""How many there are of each, counted in the database at the moment of asking. Asks KSeF for nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from klucznik.domain.certificates import CertificateType, Expiry
from klucznik.domain.issuance import IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.errors import StorageError
from klucznik.services.installation import Installation
from klucznik.storage import certificates, issuances


@dataclass(frozen=True)
class Census:
    """Of one environment, as the database says.

    Attributes:
        running: issuances that have not ended.
        waiting: those of them that wait, by what for.
        unknown: requests whose answer was lost and that are not reconciled yet.
        expiring: certificates that are not revoked and that no later one of the same subject and type replaces.
    """

    running: dict[IssuanceState, int]
    waiting: dict[WaitKind, int]
    unknown: int
    expiring: dict[tuple[CertificateType, Expiry], int]


async def census(installation: Installation) -> Census:
    """Count. One grouped query for each kind of row, all of the same moment."""
    environment, now = installation.environment, installation.clock.now()

    def read(connection: Connection) -> Census:
        running, waiting = issuances.count_running(connection, environment)
        unknown = issuances.count_unknown(connection, environment)
        return Census(running, waiting, unknown, certificates.count_expiring(connection, environment, now=now))

    return await installation.database.read(read)


async def database_answers(installation: Installation) -> bool:
    try:
        await installation.database.read(lambda connection: connection.execute(text("SELECT 1")))
    except StorageError:
        return False
    return True
