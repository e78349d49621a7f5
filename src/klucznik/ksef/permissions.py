"""Granting, listing and withdrawing permissions in the context of a session (facts.md §5).

Changes are operations: accepted at once, and done or refused some seconds later. Who waits for them is `services`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.permissions import GrantedPermission, OwnPermission, Permission, ReceivedPermission
from klucznik.ksef import wire, wire_permissions
from klucznik.ksef.answers import OperationStatus
from klucznik.ksef.calls import Care, call, json_content
from klucznik.ksef.failures import MOST_PAGES, endless_listing
from klucznik.ksef.fields import Fields
from klucznik.ksef.sign_on import SignOn

Item = TypeVar("Item", GrantedPermission, OwnPermission, ReceivedPermission)

ON_A_PAGE = 100
# A grant must say what it is for (5 to 256 characters); it is read by people in the Ministry's application.
_DESCRIPTION = "Obsługa faktur w KSeF"


class Permissions:
    """What one session may ask about permissions; `Session.permissions`. Every call raises as those of `Session`."""

    def __init__(self, calls: SignOn) -> None:
        self._calls = calls

    async def grant_to_entity(
        self, nip: str, full_name: str, permissions: tuple[Permission, ...], *, can_delegate: bool
    ) -> str:
        """Order a grant to a company. Sent once: whoever lost the answer looks at the list before sending it again.

        Args:
            nip: ten digits.
            full_name: 5 to 90 characters.
            permissions: of `INVOICING`; KSeF takes no others here.
            can_delegate: whether the company may pass them on to its own people.

        Returns:
            the reference number of the operation.

        Raises:
            KsefRefused: 21405; ``ksef_forbidden`` (403) without the right CredentialsManage.
            AnswerLost: it may have been granted.
        """
        body = {
            "subjectIdentifier": {"type": "Nip", "value": nip},
            "permissions": [{"type": one.value, "canDelegate": can_delegate} for one in permissions],
            "description": _DESCRIPTION,
            "subjectDetails": {"fullName": full_name},
        }
        request = call("POST", "/permissions/entities/grants", Care.SPENDS, content=json_content(body))
        return await self._calls.ask(request, wire.reference_number)

    async def withdraw(self, permission_id: str) -> str:
        """Order that a permission ends; the reference number of the operation.

        Raises:
            KsefRefused: ``ksef_forbidden`` (403) without the right CredentialsManage.
            AnswerLost: it may have ended.
        """
        request = call("DELETE", "/permissions/common/grants/{permissionId}", Care.SPENDS, permissionId=permission_id)
        return await self._calls.ask(request, wire.reference_number)

    async def operation(self, reference_number: str) -> OperationStatus:
        """How far an operation is. The code 410 is a refusal in the body; kept for 30 days, then ``ksef_gone``."""
        request = call("GET", "/permissions/operations/{referenceNumber}", referenceNumber=reference_number)
        return await self._calls.ask(request, wire.status)

    async def in_context(self, subject: Subject | None = None) -> AsyncIterator[GrantedPermission]:
        """Who may work in this context, by whosever grant; newest first. Owners are never listed.

        Args:
            subject: of this one only.

        Raises:
            KsefRefused: ``ksef_forbidden`` (403) without CredentialsManage, CredentialsRead or SubunitManage.
        """
        body: dict[str, object] = {"queryType": "PermissionsInCurrentContext"}
        if subject is not None:
            body["authorizedIdentifier"] = {"type": subject.type.value, "value": subject.value}
        async for one in self._listed("/permissions/query/persons/grants", body, wire_permissions.granted_page):
            yield one

    async def own(self) -> AsyncIterator[OwnPermission]:
        """What the signed-in subject itself may do here. Empty for an owner, who may do everything."""
        async for one in self._listed("/permissions/query/personal/grants", {}, wire_permissions.own_page):
            yield one

    async def received(self, granted_by: Context | None = None) -> AsyncIterator[ReceivedPermission]:
        """What other companies have granted to the company of this context.

        Raises:
            KsefRefused: ``ksef_forbidden`` (403) without CredentialsManage or CredentialsRead.
        """
        named = {"contextIdentifier": {"type": granted_by.type.value, "value": granted_by.value}} if granted_by else {}
        async for one in self._listed("/permissions/query/entities/grants", named, wire_permissions.received_page):
            yield one

    async def _listed(
        self, route: str, body: object, read: Callable[[Fields], tuple[list[Item], bool]]
    ) -> AsyncIterator[Item]:
        seen: set[str] = set()
        for page in range(MOST_PAGES):
            parameters = (("pageSize", str(ON_A_PAGE)), ("pageOffset", str(page)))
            request = call("POST", route, content=json_content(body), parameters=parameters)
            items, more = await self._calls.ask(request, read)
            # A permission granted between two pages pushes others to the next one: they would come twice.
            for item in items:
                if item.id not in seen:
                    seen.add(item.id)
                    yield item
            if not more:
                return
        raise endless_listing(route, self._calls.host)
