"""The tokens of one session: which one a call carries, when the access token is renewed, when the session is over.

No endpoint but the renewal is known here; the calls are `session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from klucznik.domain.identifiers import Context
from klucznik.errors import KsefRefused, SignatureNeeded
from klucznik.ksef import wire
from klucznik.ksef.answers import Token, TokenPair
from klucznik.ksef.calls import Call, Care, call
from klucznik.ksef.fields import Fields
from klucznik.ksef.transport import Transport

Value = TypeVar("Value")

# A token that runs out on the way is refused; a minute covers a slow request and a clock that is a little off.
MARGIN = timedelta(seconds=60)


class SignOn:
    """Sends calls with a valid access token for `context`. Its repr shows no token."""

    def __init__(self, transport: Transport, context: Context, tokens: TokenPair) -> None:
        self._transport = transport
        self._context = context
        self._access = tokens.access
        self._refresh: Token | None = tokens.refresh
        self._renewal = asyncio.Lock()

    @property
    def host(self) -> str:
        """The host (and port) of this session's KSeF, for messages."""
        return self._transport.host

    @property
    def tokens(self) -> TokenPair | None:
        """Both tokens, or None after the end."""
        return None if self._refresh is None else TokenPair(self._access, self._refresh)

    async def ask(self, request: Call, read: Callable[[Fields], Value]) -> Value:
        """Send ``request`` and read its answer; raises as `Transport.ask`, and `SignatureNeeded`."""
        return await self._carried(
            request, lambda token: self._transport.ask(request, read, token=token, context=self._context)
        )

    async def tell(self, request: Call) -> None:
        """Send ``request`` whose answer has nothing to read."""
        await self._carried(request, lambda token: self._transport.tell(request, token=token, context=self._context))

    async def turn(self, request: Call) -> bool:
        """Wait for the turn of ``request`` ahead of it, with an access token at hand. Whether it had to wait."""
        await self._token()
        return await self._transport.turn(request, context=self._context)

    async def end(self, request: Call) -> None:
        """Send ``request``, which ends the session, and forget the tokens."""
        token = self._refresh
        if token is None:
            return
        self._refresh = None
        # Either token ends the session (facts.md §2.9), and the refresh token needs no renewal first.
        await self._transport.tell(request, token=token, context=self._context)

    async def _carried(self, request: Call, send: Callable[[Token], Awaitable[Value]]) -> Value:
        token = await self._token()
        try:
            return await send(token)
        except KsefRefused as error:
            if error.status != 401:
                raise
        if request.care is Care.SPENDS:
            # 401 says that nothing was applied, but sending such a call a second time is never decided here.
            raise SignatureNeeded("access_token_refused", route=request.route)
        # Our clock may be behind KSeF's, so that the token only looked valid.
        return await send(await self._token(refused=token))

    async def _token(self, *, refused: Token | None = None) -> Token:
        if self._refresh is None:
            raise SignatureNeeded("session_ended")
        token = self._access
        if token is not refused and self._transport.clock.now() + MARGIN < token.valid_until:
            return token
        async with self._renewal:
            # Whoever waited here finds the renewed token. Not compared by value: a renewal within the same second
            # gives the very same text (facts.md §2.8).
            if self._access is token:
                self._access = await self._renewed(self._refresh)
        return self._access

    async def _renewed(self, refresh: Token) -> Token:
        try:
            return await self._transport.ask(call("POST", "/auth/token/refresh"), wire.access_token, token=refresh)
        except KsefRefused as error:
            over = SignatureNeeded("session_over", status=error.status, code=error.code, text=error.text)
        raise over
