"""How far it is, from the rows alone: for pages that are looked at often and for streams of events."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Wanted, company_of, moment
from klucznik.domain.onboarding import Act, Onboarding, UnderWay
from klucznik.domain.road_steps import RoadStep, steps_of, steps_of_grant, steps_of_revocation
from klucznik.domain.roles import Principal
from klucznik.services.installation import Installation
from klucznik.services.onboarding import rights, rows
from klucznik.services.status import IssuanceStatus
from klucznik.storage import audit, issuances

# A grant tells of itself in a handful; others may be at work for the company at the same time.
_ROWS_OF_AN_ACT = 20


@dataclass(frozen=True)
class Progress:
    """An onboarding and its order, at one moment.

    Attributes:
        issuance: the last one that was ordered, with its requests; what it waits for and until when is in it.
        steps: its road, drawn (`domain.road_steps`), or that of what is under way; empty before anything was ordered.
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
        enrollments = [] if issuance is None else issuances.enrollments_of(transaction, issuance.id)
        ordered = None if issuance is None else IssuanceStatus(issuance, tuple(enrollments))
        if found.under_way is not None:
            return Progress(found, ordered, _steps_of_act(installation, transaction, found, found.under_way))
        return Progress(found, ordered, () if issuance is None else steps_of(issuance, enrollments))

    return await installation.database.read(read)


def _steps_of_act(
    installation: Installation, transaction: Transaction, onboarding: Onboarding, under_way: UnderWay
) -> tuple[RoadStep, ...]:
    if under_way.act is Act.REVOKE:
        return steps_of_revocation()
    company = company_of(installation.environment, onboarding.context.value)
    wanted = Wanted(company=company, since=moment(under_way.since))
    lately = audit.newest(transaction, wanted, limit=_ROWS_OF_AN_ACT)
    return steps_of_grant([row.event for row in lately])
