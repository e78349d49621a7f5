"""What an identity may do in a context: the one place that answers it (facts.md §2.3, §5.2).
How permissions come about is elsewhere; here they are only looked up.
"""

from datetime import datetime

from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.state import World

OWNER = "Owner"


def permissions(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> frozenset[str]:
    """KSeF permission names, `Owner` for everything; empty means that the identity may not sign in to the context."""
    if is_owner(world, identity, context, now):
        return frozenset({OWNER})
    grants = world.declared_grants.where(world.declared_grants_by_pair, (context, identity))
    return frozenset(grant.permission for grant in grants if grant.effective_at <= now)


def is_owner(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> bool:
    """A company by its NIP, a person by the PESEL linked to that NIP, a Peppol provider by its own id."""
    if context.type is ContextType.PEPPOL_ID:
        return identity == Identity(IdentityType.PEPPOL_ID, context.value)
    if context.type is not ContextType.NIP:
        return False
    company = Identity(IdentityType.NIP, context.value)
    return identity == company or company in linked(world, identity, now)


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
