"""What an identity may do in a context: the one place that answers it (facts.md §2.3, §5.2, §5.4, §6).
How permissions come about is elsewhere (`permissions.py`, `testdata.py`); here they are only looked up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_records import Grant, GrantKind, Permission
from ksef_sandbox.records import SignIn
from ksef_sandbox.state import World

OWNER = Permission.OWNER.value

_ROLES = {  # of POST /testdata/subject: the role of the entity itself, and of its subunits
    "EnforcementAuthority": ("EnforcementAuthority", None),
    "VatGroup": ("VatGroupUnit", "VatGroupSubUnit"),
    "JST": ("LocalGovernmentUnit", "LocalGovernmentSubUnit"),
}
PARENT_ROLES = frozenset({"VatGroupUnit", "LocalGovernmentUnit"})
ENFORCEMENT_ROLES = frozenset({"EnforcementAuthority", "CourtBailiff"})


def permissions(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> frozenset[str]:
    """KSeF permission names, `Owner` for everything; empty means that the identity may not sign in to the context."""
    if context.type is ContextType.PEPPOL_ID:
        own = identity == Identity(IdentityType.PEPPOL_ID, context.value)
        return frozenset({Permission.PEF_INVOICE_WRITE.value}) if own else frozenset()
    if is_owner(world, identity, context, now):
        return frozenset({OWNER})
    return frozenset(grant.permission for grant in grants_in_force(world, identity, context, now))


def session_permissions(world: World, session: SignIn, now: datetime) -> frozenset[str]:
    """What a session may do now: a token's share of its author's rights, or all rights of the identity."""
    present = permissions(world, session.identity, session.context, now)
    token = world.ksef_tokens.get(session.token_reference) if session.token_reference else None
    if token is None:
        return present
    return frozenset(name for name in token.permissions if allows(present, name))


def allows(present: frozenset[str], *required: str) -> bool:
    """Whether any of the required permissions is there; an owner has them all except VatUeManage."""
    if OWNER in present and any(name != Permission.VAT_UE_MANAGE for name in required):
        return True
    return not present.isdisjoint(required)


def is_owner(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> bool:
    """A company by its NIP, a person by the PESEL linked to that NIP."""
    if context.type is not ContextType.NIP:
        return False
    company = Identity(IdentityType.NIP, context.value)
    return identity == company or company in linked(world, identity, now)


def grants_in_force(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> Iterator[Grant]:
    """Grants by which the identity may work in the context: direct ones, and indirect ones with an unbroken chain."""
    for grant in live(world, context, identity, now):
        if grant.kind is not GrantKind.INDIRECT or is_chain_complete(world, grant, context, now):
            yield grant
    for grant in live(world, None, identity, now):
        if is_chain_complete(world, grant, context, now):
            yield grant


def live(world: World, context: ContextIdentifier | None, subject: Identity, now: datetime) -> list[Grant]:
    """Grants of a pair that are in force; without authorizations, which open no context."""
    found = world.grants.where(world.grants_by_pair, (context, subject))
    return [grant for grant in found if grant.is_live(now) and grant.kind is not GrantKind.AUTHORIZATION]


def is_chain_complete(world: World, indirect: Grant, client: ContextIdentifier, now: datetime) -> bool:
    """Whether the intermediary still holds the same permission of the client with the right to pass it on."""
    intermediary = Identity(IdentityType.NIP, indirect.granted_in.value)
    held = live(world, client, intermediary, now)
    return any(is_delegation(grant) and grant.permission == indirect.permission for grant in held)


def is_delegation(grant: Grant) -> bool:
    """Whether the grant lets an entity pass the permission on."""
    return grant.kind is GrantKind.ENTITY and grant.can_delegate


def linked(world: World, identity: Identity, now: datetime) -> tuple[Identity, ...]:
    """The other identities of the same person: the NIPs of a PESEL, or the PESEL of a NIP."""
    if identity.type is IdentityType.PESEL:
        persons = world.persons.where(world.persons_by_pesel, identity.value)
        return tuple(Identity(IdentityType.NIP, p.nip) for p in persons if p.effective_at <= now)
    person = world.persons.get(identity.value) if identity.type is IdentityType.NIP else None
    if person is None or person.effective_at > now:
        return ()
    return (Identity(IdentityType.PESEL, person.pesel),)


def is_deceased(world: World, identity: Identity, now: datetime) -> bool:
    """Whether test data declare the person behind this PESEL or NIP dead."""
    if identity.type is IdentityType.PESEL:
        persons = world.persons.where(world.persons_by_pesel, identity.value)
    else:
        person = world.persons.get(identity.value) if identity.type is IdentityType.NIP else None
        persons = [person] if person else []
    return any(person.is_deceased and person.effective_at <= now for person in persons)


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an entity; `parent` is the NIP of its group or unit, for a subordinate one."""

    name: str
    nip: str
    description: str
    started_at: datetime
    parent: str | None = None


def roles(world: World, nip: str, now: datetime) -> list[Role]:
    """Roles of a company, its own and those it has as somebody's subunit."""
    found: list[Role] = []
    person = world.persons.get(nip)
    if person and person.is_bailiff and person.effective_at <= now:
        found.append(Role("CourtBailiff", nip, person.description, person.created_at))
    for subject in world.subjects:
        own, _ = _ROLES[subject.type]
        if subject.nip == nip:
            found.append(Role(own, nip, subject.description, subject.created_at))
        found += [role for role in subunits(world, subject.nip) if role.nip == nip]
    return found


def subunits(world: World, nip: str) -> list[Role]:
    """The subordinate entities of a VAT group or of a local government unit, with their roles."""
    subject = world.subjects.get(nip)
    role = _ROLES[subject.type][1] if subject else None
    if subject is None or role is None:
        return []
    return [Role(role, unit.nip, unit.description, subject.created_at, nip) for unit in subject.subunits]
