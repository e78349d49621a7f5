"""KSeF's lists of permissions from JSON to values (openapi 2.7.0, schemas named below); the rest is `wire`.

Names and kinds that are not known are kept or left open, never refused: KSeF adds permissions with each release.
"""

from __future__ import annotations

import re

from klucznik.domain.identifiers import Context, ContextType, Subject, SubjectType
from klucznik.domain.permissions import GrantedPermission, OwnPermission, Permission, ReceivedPermission
from klucznik.domain.values import InvalidValue
from klucznik.ksef.fields import Fields, Unreadable, plain

# It goes into a path.
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def granted_page(body: Fields) -> tuple[list[GrantedPermission], bool]:
    """``QueryPersonPermissionsResponse``, which lists persons and companies."""
    return [_granted(item) for item in body.each("permissions")], body.flag("hasMore")


def own_page(body: Fields) -> tuple[list[OwnPermission], bool]:
    """``QueryPersonalPermissionsResponse``."""
    return [_own(item) for item in body.each("permissions")], body.flag("hasMore")


def received_page(body: Fields) -> tuple[list[ReceivedPermission], bool]:
    """``QueryEntityPermissionsResponse``."""
    return [_received(item) for item in body.each("permissions")], body.flag("hasMore")


def _granted(item: Fields) -> GrantedPermission:
    """``PersonPermission``."""
    return GrantedPermission(
        id=item.matching("id", _ID),
        permission=_permission(item),
        subject=_subject(item.inner("authorizedIdentifier")),
        to_entity=item.has("subjectEntityDetails"),
        can_delegate=item.flag("canDelegate"),
        active=_active(item),
        started_at=item.moment("startDate"),
    )


def _own(item: Fields) -> OwnPermission:
    """``PersonalPermission``; it names a subject only where that is not the one who asks."""
    context = item.maybe_inner("contextIdentifier")
    return OwnPermission(
        id=item.matching("id", _ID),
        permission=_permission(item),
        context=None if context is None else _context(context),
        of_company=item.has("authorizedIdentifier"),
        can_delegate=item.flag("canDelegate"),
        active=_active(item),
        started_at=item.moment("startDate"),
    )


def _received(item: Fields) -> ReceivedPermission:
    """``EntityPermissionItem``."""
    granted_by = _context(item.inner("contextIdentifier"))
    if granted_by is None:
        raise Unreadable("contextIdentifier")
    return ReceivedPermission(
        id=item.matching("id", _ID),
        permission=_permission(item),
        granted_by=granted_by,
        can_delegate=item.flag("canDelegate"),
        started_at=item.moment("startDate"),
    )


def _permission(item: Fields) -> str:
    told = item.text("permissionScope")
    known = (one.value for one in Permission if one.value.casefold() == told.casefold())
    return next(known, plain(told, longest=60))


def _active(item: Fields) -> bool:
    return item.text("permissionState").casefold() == "active"


def _subject(identifier: Fields) -> Subject | None:
    try:
        return Subject(identifier.choice("type", SubjectType), identifier.text("value"))
    except (Unreadable, InvalidValue):
        return None


def _context(identifier: Fields) -> Context | None:
    try:
        return Context(identifier.choice("type", ContextType), plain(identifier.text("value"), longest=64))
    except Unreadable:
        return None
