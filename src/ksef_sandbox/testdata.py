"""Test data: persons, entities, permissions, blocked contexts, changed limits (facts.md §4.5, §7).
Only the changes; what they mean for a sign-in is `rights.py`, for certificates `limits.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ksef_sandbox.errors import BadRequest, InvalidInput
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity
from ksef_sandbox.permission_records import Grant, GrantKind
from ksef_sandbox.records import (
    BlockedContext,
    DeclaredSubject,
    Person,
    SubjectLimits,
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
    """Remove the person of a NIP and every permission in that company's context."""
    if nip not in world.persons:
        return
    world.persons.delete(nip)
    for found in world.grants.where(world.grants_by_context, ContextIdentifier(ContextType.NIP, nip)):
        world.grants.delete(found.id)


def add_subject(world: World, subject: DeclaredSubject) -> None:
    """Declare an entity with a role; raises BadRequest 30001 when it is there already."""
    if subject.nip in world.subjects:
        raise BadRequest(30001)
    world.subjects.put(subject)


def grant(world: World, context: ContextIdentifier, identity: Identity, permission: NewGrant, now: datetime) -> None:
    """Give one permission as if it came from a paper form; giving it again changes nothing."""
    given = world.grants.where(world.grants_by_pair, (context, identity))
    if any(old.author is None and old.permission == permission.name and old.ended_at is None for old in given):
        return
    world.grants.put(
        Grant(
            id=world.randomness.uuid(),
            kind=GrantKind.PERSON,
            granted_in=context,
            context=context,
            subject=identity,
            permission=permission.name,
            author=None,
            description=permission.description,
            started_at=_effective(world, now),
        )
    )


def revoke_grants(world: World, context: ContextIdentifier, identity: Identity) -> None:
    """Take every permission of the pair, also those granted by the API."""
    for found in world.grants.where(world.grants_by_pair, (context, identity)):
        world.grants.delete(found.id)


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
