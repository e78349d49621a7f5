"""The gate of feeds, which calendar programs fetch: a browser's session, or an API key by HTTP Basic.

No secret stands in the address: addresses are kept in logs, histories and the settings of others.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from fastapi import Request
from starlette.exceptions import HTTPException

from klucznik.access.gate import Caller, Requires, installation_of, visitor_of
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied
from klucznik.services.accounts.api_keys import key_of

# What a calendar program has to see so that it asks for a name and a password.
CHALLENGE = {"www-authenticate": 'Basic realm="Klucznik", charset="UTF-8"'}


@dataclass(frozen=True)
class RequiresOrKey(Requires):
    """As `Requires` for a browser; a program brings a key with the scope `action` as the password, and any name.

    Raises:
        HTTPException: 401, with the challenge: nobody was named, or no key that is good.
        AccessDenied: ``scope_missing``; as `Requires`.
    """

    action: Action

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]  # a key is no visitor
        said = request.headers.get("authorization")
        if said is None:
            if await visitor_of(request) is None:
                raise HTTPException(401, headers=CHALLENGE)
            return await super().__call__(request)
        try:
            principal = (await key_of(installation_of(request), _password(said))).principal
        except AccessDenied:
            raise HTTPException(401, headers=CHALLENGE) from None
        if not principal.may(self.action):
            raise AccessDenied("scope_missing", scope=self.action.value)
        return Caller(principal, installation_of(request).acting(principal.id))


def _password(authorization: str) -> str:
    """That of HTTP Basic (RFC 7617); empty where there is none."""
    scheme, _, told = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(told.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
