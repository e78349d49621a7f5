"""The gate of the API: a key in ``Authorization: Bearer klk_…``, and nothing else; no cookie opens it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from klucznik.access.gate import Caller, installation_of
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied, KlucznikError
from klucznik.services.accounts.api_keys import key_of


@dataclass(frozen=True)
class RequiresKey:
    """Lets in a program whose key has the scope `action`.

    A key that is bound to one company stays so in `Caller.principal.nip`: whoever names a company in a request is
    held to it by `Caller.check_reaches`.

    Raises:
        AccessDenied: ``key_missing``, ``key_unknown``, ``key_expired``, ``key_revoked``, ``key_replaced``,
            ``scope_missing``.
    """

    action: Action

    async def __call__(self, request: Request) -> Caller:
        caller = await key_holder(request)
        if not caller.may(self.action):
            raise AccessDenied("scope_missing", scope=self.action.value)
        return caller

    async def still(self, request: Request) -> bool:
        """Whether the key of a request that goes on for long would be let in now. In doubt it is not: the next request
        is told why."""
        try:
            await self(request)
        except KlucznikError:
            return False
        return True


async def key_holder(request: Request) -> Caller:
    """Whoever has brought a key that is good, whatever it may do.

    Raises:
        AccessDenied: ``key_missing``, ``key_unknown``, ``key_expired``, ``key_revoked``, ``key_replaced``.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise AccessDenied("key_missing")
    principal = (await key_of(installation_of(request), secret.strip())).principal
    request.state.caller = principal.id
    return Caller(principal, installation_of(request).acting(principal.id))
