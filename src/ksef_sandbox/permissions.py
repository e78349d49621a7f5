"""Granting and revoking permissions: every /permissions/* change and the operation it becomes (facts.md §5).
What the grants mean for a sign-in is `rights.py`, how they are listed `permission_queries.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ksef_sandbox import rights
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_records import (
    EntityDetails,
    EuEntity,
    Grant,
    GrantKind,
    Permission,
    PermissionOperation,
    PersonDetails,
)
from ksef_sandbox.records import ORDINARY, Fate, SignIn, Status
from ksef_sandbox.references import Kind
from ksef_sandbox.state import World

RETENTION = timedelta(days=30)  # facts.md §1.5

# facts.md §5.3; which refusal belongs to which cause is not documented, except by the words themselves
IN_PROGRESS = Status(100, "Operacja przyjęta do realizacji")
SUCCESS = Status(200, "Operacja zakończona sukcesem")
UNRELATED = Status(410, "Podane identyfikatory są niezgodne lub pozostają w niewłaściwej relacji")
NO_RIGHT = Status(420, "Użyte poświadczenia nie mają uprawnień do wykonania tej operacji")
WRONG_ROLE = Status(430, "Kontekst identyfikatora nie odpowiada wymaganej roli lub uprawnieniom")
NOT_FOR_THESE = Status(440, "Operacja niedozwolona dla wskazanych powiązań identyfikatorów")
CANCELLED = Status(
    550,
    "Operacja została anulowana przez system",
    ("Przetwarzanie zostało przerwane z przyczyn wewnętrznych systemu. Spróbuj ponownie później.",),
)

EU_ADMINISTRATOR = (
    Permission.VAT_UE_MANAGE,
    Permission.INVOICE_WRITE,
    Permission.INVOICE_READ,
    Permission.INTROSPECTION,
)


@dataclass(frozen=True, slots=True)
class GrantOrder:
    """One request to grant: the permissions, each with its right to delegate, all to the same subject."""

    kind: GrantKind
    subject: Identity
    context: ContextIdentifier | None  # where they will work; None: for all partners of the intermediary
    permissions: tuple[tuple[str, bool], ...]
    description: str
    person: PersonDetails | None = None
    entity: EntityDetails | None = None
    subunit_name: str | None = None
    eu_entity: EuEntity | None = None


def grant(
    world: World, session: SignIn, order: GrantOrder, now: datetime, *, fate: Fate = ORDINARY
) -> PermissionOperation:
    """Accept a request to grant; the permissions are in force when the operation is done, if it ends well."""
    operation = _operation(world, session.context, _verdict(world, session.context, order, now), now, fate)
    if operation.outcome is SUCCESS:
        for permission, can_delegate in order.permissions:
            _put(world, session, order, permission, can_delegate, operation.ready_at)
    return operation


def revoke(
    world: World, session: SignIn, grant_id: str, now: datetime, *, fate: Fate = ORDINARY
) -> PermissionOperation:
    """Accept a request to revoke anything but an authorization."""
    return _revoke(world, session, grant_id, now, fate, authorizations=False)


def revoke_authorization(
    world: World, session: SignIn, grant_id: str, now: datetime, *, fate: Fate = ORDINARY
) -> PermissionOperation:
    """Accept a request to revoke an authorization."""
    return _revoke(world, session, grant_id, now, fate, authorizations=True)


def status_of(operation: PermissionOperation, now: datetime) -> Status:
    """The status as it shows at this moment."""
    return operation.outcome if now >= operation.ready_at else IN_PROGRESS


def eu_entity_of(world: World, context: ContextIdentifier, now: datetime) -> EuEntity | None:
    """What was said of the foreign entity when its context was made."""
    found = world.grants.where(world.grants_by_context, context)
    named = [grant.eu_entity for grant in found if grant.eu_entity is not None and grant.is_live(now)]
    return named[-1] if named else None


def _operation(
    world: World, context: ContextIdentifier, verdict: Status, now: datetime, fate: Fate
) -> PermissionOperation:
    return world.operations.put(
        PermissionOperation(
            reference=world.randomness.reference(Kind.PERMISSION_OPERATION, now),
            context=context,
            requested_at=now,
            ready_at=now + timedelta(milliseconds=world.switches.perm_delay_ms) + fate.delay,
            outcome=fate.outcome or verdict,
        )
    )


def _put(
    world: World, session: SignIn, order: GrantOrder, permission: str, can_delegate: bool, started_at: datetime
) -> None:
    """Write one permission down; granting the same twice is silently nothing (facts.md §5.4)."""
    there = world.grants.where(world.grants_by_pair, (order.context, order.subject))
    same = (order.kind, session.context, permission, can_delegate)
    if any((g.kind, g.granted_in, g.permission, g.can_delegate) == same and g.ended_at is None for g in there):
        return
    world.grants.put(
        Grant(
            id=world.randomness.uuid(),
            kind=order.kind,
            granted_in=session.context,
            context=order.context,
            subject=order.subject,
            permission=permission,
            author=session.identity,
            description=order.description,
            started_at=started_at,
            can_delegate=can_delegate,
            person=order.person,
            entity=order.entity,
            subunit_name=order.subunit_name,
            eu_entity=order.eu_entity,
        )
    )


def _verdict(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """How a grant by this context ends."""
    return _RULES[order.kind](world, grantor, order, now)


def _person_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """EnforcementOperations are for enforcement authorities and court bailiffs only."""
    if any(name == Permission.ENFORCEMENT_OPERATIONS for name, _ in order.permissions):
        roles = {role.name for role in rights.roles(world, grantor.value, now)}
        if rights.ENFORCEMENT_ROLES.isdisjoint(roles):
            return WRONG_ROLE
    return SUCCESS


def _entity_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """A company has every right in its own context already."""
    return NOT_FOR_THESE if order.subject == Identity(IdentityType.NIP, grantor.value) else SUCCESS


def _authorization_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    if grantor.type is not ContextType.NIP:
        return WRONG_ROLE
    return _entity_rule(world, grantor, order, now)


def _indirect_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """A selective grant needs a client who has passed us at least one permission with the right to delegate."""
    if grantor.type is not ContextType.NIP:
        return WRONG_ROLE
    if order.context is None:
        return SUCCESS
    held = rights.live(world, order.context, Identity(IdentityType.NIP, grantor.value), now)
    return SUCCESS if any(rights.is_delegation(grant) for grant in held) else UNRELATED


def _subunit_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """An internal unit bears our NIP; a subordinate entity must be ours by its role."""
    unit = order.context
    if grantor.type is not ContextType.NIP or unit is None:
        return WRONG_ROLE
    if unit.type is ContextType.INTERNAL_ID:
        return SUCCESS if unit.value.startswith(f"{grantor.value}-") else UNRELATED
    if rights.PARENT_ROLES.isdisjoint(role.name for role in rights.roles(world, grantor.value, now)):
        return WRONG_ROLE
    return SUCCESS if any(role.nip == unit.value for role in rights.subunits(world, grantor.value)) else UNRELATED


def _eu_administration_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    """The Polish half of the new context is the grantor."""
    if grantor.type is not ContextType.NIP or order.context is None:
        return WRONG_ROLE
    return SUCCESS if order.context.value.startswith(f"{grantor.value}-") else UNRELATED


def _eu_representative_rule(world: World, grantor: ContextIdentifier, order: GrantOrder, now: datetime) -> Status:
    return SUCCESS if grantor.type is ContextType.NIP_VAT_UE else WRONG_ROLE


_RULES: dict[GrantKind, Callable[[World, ContextIdentifier, GrantOrder, datetime], Status]] = {
    GrantKind.PERSON: _person_rule,
    GrantKind.ENTITY: _entity_rule,
    GrantKind.AUTHORIZATION: _authorization_rule,
    GrantKind.INDIRECT: _indirect_rule,
    GrantKind.SUBUNIT: _subunit_rule,
    GrantKind.EU_ADMINISTRATION: _eu_administration_rule,
    GrantKind.EU_REPRESENTATIVE: _eu_representative_rule,
}
# Which right in the session lets one revoke which kind of grant.
_REVOKED_WITH: dict[GrantKind, tuple[Permission, ...]] = {
    GrantKind.PERSON: (Permission.CREDENTIALS_MANAGE,),
    GrantKind.ENTITY: (Permission.CREDENTIALS_MANAGE,),
    GrantKind.AUTHORIZATION: (Permission.CREDENTIALS_MANAGE,),
    GrantKind.INDIRECT: (Permission.CREDENTIALS_MANAGE,),
    GrantKind.SUBUNIT: (Permission.SUBUNIT_MANAGE, Permission.CREDENTIALS_MANAGE),
    GrantKind.EU_ADMINISTRATION: (Permission.CREDENTIALS_MANAGE, Permission.VAT_UE_MANAGE),
    GrantKind.EU_REPRESENTATIVE: (Permission.VAT_UE_MANAGE,),
}


def _revoke(
    world: World, session: SignIn, grant_id: str, now: datetime, fate: Fate, *, authorizations: bool
) -> PermissionOperation:
    """End a grant that was made here or works here; what is unknown or foreign ends the operation, not the request."""
    found = world.grants.get(grant_id)
    verdict = _revocation_verdict(world, session, found, now, authorizations)
    operation = _operation(world, session.context, verdict, now, fate)
    if operation.outcome is SUCCESS and found is not None:
        world.grants.put(replace(found, ended_at=operation.ready_at))
    return operation


def _revocation_verdict(
    world: World, session: SignIn, found: Grant | None, now: datetime, authorizations: bool
) -> Status:
    if found is None or (found.kind is GrantKind.AUTHORIZATION) is not authorizations:
        return UNRELATED
    if session.context not in (found.granted_in, found.context) or found.ended_at is not None:
        return UNRELATED
    present = rights.session_permissions(world, session, now)
    return SUCCESS if rights.allows(present, *_REVOKED_WITH[found.kind]) else NO_RIGHT
