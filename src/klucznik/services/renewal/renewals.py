"""What there is to renew, as the rows say. Asks KSeF for nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.renewal import EARLIEST, RenewalPlan, next_attempt, renewal_plan
from klucznik.services.installation import Installation
from klucznik.services.ways import holder_for
from klucznik.storage import certificates, connections, issuances

# More failures than this in a row make the pause no longer.
FAILURES_COUNTED = 8


@dataclass(frozen=True)
class Standing:
    """How it stands with the certificates of one subject.

    Attributes:
        companies: in which contexts the subject can be signed in; those it has connections for come first.
        running: its issuance that has not ended.
        not_before: when a renewal may be tried again after KSeF has rejected one.
    """

    plan: RenewalPlan
    companies: tuple[Context, ...]
    running: Issuance | None = None
    not_before: datetime | None = None

    @property
    def subject(self) -> Subject:
        return self.plan.subject


async def standing_of(installation: Installation, subject: Subject, *, early: bool = False) -> Standing | None:
    """How it stands with one subject; None: it has nothing in service. Arguments as for `renewal_plan`."""
    return await installation.database.read(lambda connection: read(connection, installation, subject, early=early))


def read(connection: Connection, installation: Installation, subject: Subject, *, early: bool) -> Standing | None:
    """`standing_of` inside a transaction."""
    environment = installation.environment
    held = certificates.of_subject(connection, environment, subject)
    plan = renewal_plan(held, installation.clock.now(), early=early)
    if plan is None:
        return None
    return Standing(
        plan=plan,
        companies=_companies(connection, installation, subject),
        running=issuances.running(connection, environment, subject),
        not_before=not_before(issuances.renewals(connection, environment, subject, most=FAILURES_COUNTED)),
    )


async def standings(installation: Installation, subjects: Iterable[Subject], *, early: bool = False) -> list[Standing]:
    """How it stands with each, the first to be renewed first."""
    found = [await standing_of(installation, subject, early=early) for subject in subjects]
    return sorted((one for one in found if one is not None), key=lambda one: one.plan.due_at)


async def all_subjects(installation: Installation) -> list[Subject]:
    """Every subject with certificates in the vault that are proved and not revoked."""
    return await _subjects(installation, None)


async def running_out(installation: Installation) -> list[Subject]:
    """Those of which something may be due by now."""
    return await _subjects(installation, installation.clock.now() + EARLIEST)


async def subjects_of(installation: Installation, context: Context) -> list[Subject]:
    """Those whose certificates act for a company: the subject of its connection, or the company itself."""

    def find(connection: Connection) -> list[HeldCertificate]:
        holder = holder_for(connection, installation.environment, context)
        return [] if holder is None else certificates.of_subject(connection, installation.environment, holder)

    found = await installation.database.read(find)
    return list(dict.fromkeys(held.subject for held in found))


async def _subjects(installation: Installation, ending_before: datetime | None) -> list[Subject]:
    found: list[Subject] = []
    while True:
        after = found[-1] if found else None

        def page(connection: Connection, after: Subject | None = after) -> list[Subject]:
            return certificates.subjects(connection, installation.environment, ending_before=ending_before, after=after)

        more = await installation.database.read(page)
        if not more:
            return found
        found += more


def _companies(connection: Connection, installation: Installation, subject: Subject) -> tuple[Context, ...]:
    environment = installation.environment
    connected = [one.context for one in connections.of_subject(connection, environment, subject)]
    own = [Context.of_nip(subject.value)] if subject.type is SubjectType.NIP else []
    return tuple(dict.fromkeys([*connected, *issuances.contexts_of(connection, environment, subject), *own]))


def not_before(renewals: Iterable[Issuance]) -> datetime | None:
    """When the next may be tried, after so many rejected renewals in a row; None: at once."""
    failed: list[Issuance] = []
    for renewal in renewals:
        if renewal.state is not IssuanceState.REJECTED:
            break
        failed.append(renewal)
    return next_attempt(len(failed), failed[0].created_at) if failed else None
