"""How far it is, from the rows alone: for pages that are looked at often and for streams of events."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection as Transaction

from klucznik.domain.onboarding import Onboarding
from klucznik.domain.road_steps import RoadStep, steps_of
from klucznik.domain.roles import Principal
from klucznik.services.installation import Installation
from klucznik.services.onboarding import rights, rows
from klucznik.services.status import IssuanceStatus
from klucznik.storage import issuances


@dataclass(frozen=True)
class Progress:
    """An onboarding and its order, at one moment.

    Attributes:
        issuance: the last one that was ordered, with its requests; what it waits for and until when is in it.
        steps: its road, drawn (`domain.road_steps`); empty before anything was ordered.
    """

    onboarding: Onboarding
    issuance: IssuanceStatus | None
    steps: tuple[RoadStep, ...]


async def progress(installation: Installation, onboarding_id: str, by: Principal) -> Progress:
    """How far an onboarding is. Asks KSeF nothing; refused and done are in `onboarding.state`.

    Raises:
        InputError: ``onboarding_unknown``.
    """

    def read(transaction: Transaction) -> Progress:
        found = rows.reload(installation, transaction, onboarding_id)
        if not rights.may_see(by, found):
            raise rights.unknown(onboarding_id)
        issuance = None if found.issuance_id is None else issuances.load(transaction, found.issuance_id)
        if issuance is None:
            return Progress(found, None, ())
        enrollments = issuances.enrollments_of(transaction, issuance.id)
        return Progress(found, IssuanceStatus(issuance, tuple(enrollments)), steps_of(issuance, enrollments))

    return await installation.database.read(read)
