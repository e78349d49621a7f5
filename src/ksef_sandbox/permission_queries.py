"""Which permissions a query of /permissions/query/* finds (facts.md §5.4, descriptions of the specification).
How they look in an answer is `routes/permission_answers.py`; the Owner right is never listed.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ksef_sandbox import rights
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_records import Grant, GrantKind
from ksef_sandbox.records import SignIn
from ksef_sandbox.state import World


@dataclass(frozen=True, slots=True)
class Target:
    """The client of an indirect grant as a filter; `context` None means general grants."""

    context: ContextIdentifier | None


@dataclass(frozen=True, slots=True)
class System:
    """KSeF itself as the author of a grant."""


@dataclass(frozen=True, slots=True)
class GrantFilters:
    """Filters, all of which must hold; None or empty lets everything through."""

    permissions: frozenset[str] = field(default_factory=frozenset)
    subject: Identity | None = None
    author: Identity | System | None = None
    context: ContextIdentifier | None = None  # of administrators of subunits, or where the grantor is
    target: Target | None = None
    inactive: bool = False  # nothing is: a revoked grant is gone, a broken chain still reads Active (facts.md §5.4)


_ABLE_TO_WORK_HERE = frozenset({GrantKind.PERSON, GrantKind.ENTITY, GrantKind.SUBUNIT})


def personal(world: World, session: SignIn, filters: GrantFilters, now: datetime) -> list[Grant]:
    """The caller's own permissions in this context, also as an intermediary's person and as a client's contractor."""
    context, identity = session.context, session.identity
    own = [
        grant
        for grant in world.grants.where(world.grants_by_subject, identity)
        if grant.kind is not GrantKind.AUTHORIZATION and _concerns(world, grant, context, now)
    ]
    company = Identity(IdentityType.NIP, context.value)
    if rights.is_owner(world, identity, context, now):
        own += [g for g in world.grants.where(world.grants_by_subject, company) if g.kind is GrantKind.ENTITY]
    unique = {grant.id: grant for grant in own}
    return _ordered([grant for grant in unique.values() if _passes(grant, filters, grant.granted_in)], filters, now)


def _concerns(world: World, grant: Grant, context: ContextIdentifier, now: datetime) -> bool:
    """Whether the grant works in this context, or was given by this context as an intermediary."""
    if grant.context == context:
        return True
    if grant.kind is not GrantKind.INDIRECT:
        return False
    return grant.granted_in == context or (
        grant.context is None and rights.is_chain_complete(world, grant, context, now)
    )


def in_current_context(world: World, session: SignIn, filters: GrantFilters, now: datetime) -> list[Grant]:
    """Persons and entities able to work here, without those who are it indirectly, and our own indirect grants."""
    here = world.grants.where(world.grants_by_context, session.context)
    found = [grant for grant in here if grant.kind in _ABLE_TO_WORK_HERE]
    given = world.grants.where(world.grants_by_origin, session.context)
    found += [grant for grant in given if grant.kind is GrantKind.INDIRECT]
    return _ordered([grant for grant in found if _passes(grant, filters, grant.context)], filters, now)


def granted_by_caller(world: World, session: SignIn, filters: GrantFilters, now: datetime) -> list[Grant]:
    """What the caller has granted here: direct grants, administrators of subunits, indirect grants."""
    kinds = _ABLE_TO_WORK_HERE | {GrantKind.INDIRECT}
    given = world.grants.where(world.grants_by_origin, session.context)
    found = [grant for grant in given if grant.kind in kinds and grant.author == session.identity]
    return _ordered([grant for grant in found if _passes(grant, filters, grant.context)], filters, now)


def of_subunits(world: World, session: SignIn, unit: ContextIdentifier | None, now: datetime) -> list[Grant]:
    """Administrators of subunits and subordinate entities that were granted from this context."""
    given = world.grants.where(world.grants_by_origin, session.context)
    found = [grant for grant in given if grant.kind is GrantKind.SUBUNIT and unit in (None, grant.context)]
    return _ordered(found, GrantFilters(), now)


def received_by_entity(world: World, session: SignIn, grantor: ContextIdentifier | None, now: datetime) -> list[Grant]:
    """Permissions to handle invoices that other entities have granted to the company of this context."""
    company = Identity(IdentityType.NIP, session.context.value)
    received = world.grants.where(world.grants_by_subject, company)
    found = [grant for grant in received if grant.kind is GrantKind.ENTITY and grantor in (None, grant.context)]
    return _ordered(found, GrantFilters(), now)


def authorizations_granted(world: World, session: SignIn, filters: GrantFilters, now: datetime) -> list[Grant]:
    """Authorizations by the company of this context."""
    given = world.grants.where(world.grants_by_origin, session.context)
    found = [grant for grant in given if grant.kind is GrantKind.AUTHORIZATION and _passes(grant, filters, None)]
    return _ordered(found, filters, now)


def authorizations_received(
    world: World, session: SignIn, filters: GrantFilters, by: ContextIdentifier | None, now: datetime
) -> list[Grant]:
    """Authorizations of the company or the Peppol provider of this context, perhaps only those by one company."""
    kind = IdentityType.PEPPOL_ID if session.context.type is ContextType.PEPPOL_ID else IdentityType.NIP
    received = world.grants.where(world.grants_by_subject, Identity(kind, session.context.value))
    found = [grant for grant in received if grant.kind is GrantKind.AUTHORIZATION and by in (None, grant.granted_in)]
    return _ordered([grant for grant in found if _passes(grant, filters, None)], filters, now)


def of_eu_entities(
    world: World, session: SignIn, filters: GrantFilters, vat_ue: str | None, now: datetime
) -> list[Grant]:
    """In a NIP: administrators of the EU contexts of that NIP; in an EU context: all who may work in it."""
    if session.context.type is ContextType.NIP_VAT_UE:
        found = world.grants.where(world.grants_by_context, session.context)
    else:
        given = world.grants.where(world.grants_by_origin, session.context)
        found = [grant for grant in given if grant.kind is GrantKind.EU_ADMINISTRATION]
    named = [grant for grant in found if vat_ue is None or vat_ue_of(grant) == vat_ue]
    return _ordered([grant for grant in named if _passes(grant, filters, None)], filters, now)


def vat_ue_of(grant: Grant) -> str:
    """The foreign half of a NipVatUe context."""
    return grant.context.value.partition("-")[2] if grant.context else ""


def _passes(grant: Grant, filters: GrantFilters, context: ContextIdentifier | None) -> bool:
    return (
        (not filters.permissions or grant.permission in filters.permissions)
        and filters.subject in (None, grant.subject)
        and filters.author in (None, grant.author or System())
        and filters.context in (None, context)
        and (filters.target is None or _has_target(grant, filters.target))
    )


def _has_target(grant: Grant, target: Target) -> bool:
    """A direct grant has its own context for a target, as official tests query it."""
    return grant.context == target.context


def _ordered(found: list[Grant], filters: GrantFilters, now: datetime) -> list[Grant]:
    """Live grants, the newest first, then by id."""
    if filters.inactive:
        return []
    return sorted((grant for grant in found if grant.is_live(now)), key=lambda g: (-g.started_at.timestamp(), g.id))
