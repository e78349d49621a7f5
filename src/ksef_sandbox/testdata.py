"""Test data: persons, entities, permissions, blocked contexts, changed limits (facts.md §4.5, §7).
Only the changes; what they mean for a sign-in is `rights.py`, for certificates `limits.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ksef_sandbox.errors import BadRequest, InvalidInput
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.records import (
    BlockedContext,
    DeclaredGrant,
    DeclaredSubject,
    Person,
    SubjectLimits,
    declared_grant_key,
    identity_key,
)
from ksef_sandbox.state import World


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What POST /testdata/person says."""

    nip: str
    pesel: str
    description: str
    is_bailiff: bool = False
    is_deceased: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewGrant:
    """One entry of POST /testdata/permissions: KSeF's name of the permission and why it is given."""

    name: str
    description: str


def _effective(world: World, now: datetime) -> datetime:
    return now + timedelta(milliseconds=world.switches.testdata_delay_ms)


def add_person(world: World, person: NewPerson, now: datetime) -> None:
    """Link a NIP and a PESEL; raises BadRequest 30001 when the NIP already has its person."""
    if person.nip in world.persons:
        raise BadRequest(30001)
    world.persons.put(
        Person(
            nip=person.nip,
            pesel=person.pesel,
            is_bailiff=person.is_bailiff,
            is_deceased=person.is_deceased,
            description=person.description,
            created_at=person.created_at or now,
            effective_at=_effective(world, now),
        )
    )


def remove_person(world: World, nip: str) -> None:
    """Remove the person of a NIP with everything granted in that context, and to both identifiers in it."""
    person = world.persons.get(nip)
    if person is None:
        return
    world.persons.delete(nip)
    context = ContextIdentifier(ContextType.NIP, nip)
    for identity in (Identity(IdentityType.NIP, nip), Identity(IdentityType.PESEL, person.pesel)):
        revoke_grants(world, context, identity)


def add_subject(world: World, subject: DeclaredSubject) -> None:
    """Declare an entity with a role; raises BadRequest 30001 when it is there already."""
    if subject.nip in world.subjects:
        raise BadRequest(30001)
    world.subjects.put(subject)


def grant(world: World, context: ContextIdentifier, identity: Identity, permission: NewGrant, now: datetime) -> None:
    """Give one permission; giving it again changes nothing."""
    new = DeclaredGrant(context, identity, permission.name, permission.description, _effective(world, now))
    if declared_grant_key(new) not in world.declared_grants:
        world.declared_grants.put(new)


def revoke_grants(world: World, context: ContextIdentifier, identity: Identity) -> None:
    """Take every permission of the pair."""
    for found in world.declared_grants.where(world.declared_grants_by_pair, (context, identity)):
        world.declared_grants.delete(declared_grant_key(found))


def block(world: World, context: ContextIdentifier) -> None:
    """Sign-ins to the context end with 480 from now on; tokens already given keep working (ASSUME of facts.md §7)."""
    world.blocked_contexts.put(BlockedContext(context))


def unblock(world: World, context: ContextIdentifier) -> None:
    world.blocked_contexts.delete(identity_key(context))


def set_limits(world: World, identity: Identity, *, enrollment: int | None, certificate: int | None) -> None:
    """Set the maxima of a subject; None leaves that one as it is. Raises InvalidInput for a negative number."""
    for name, value in (("enrollment", enrollment), ("certificate", certificate)):
        if value is not None and value < 0:
            raise InvalidInput(f"'{name}' must be greater than or equal to 0. You entered {value}.")
    before = world.subject_limits.get(identity_key(identity))
    if before is not None:
        enrollment = before.max_enrollments if enrollment is None else enrollment
        certificate = before.max_certificates if certificate is None else certificate
    world.subject_limits.put(SubjectLimits(identity, enrollment, certificate))


def restore_limits(world: World, identity: Identity) -> None:
    """Back to the defaults."""
    world.subject_limits.delete(identity_key(identity))
