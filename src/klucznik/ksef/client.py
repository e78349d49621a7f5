"""Signing in to KSeF: challenge, signed document, processing, tokens (facts.md §2). What comes after is `session`.

The document is signed by a function of the caller, or by a person in another program between two of the steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from klucznik.clock import Clock, SystemClock
from klucznik.domain.environments import Endpoint
from klucznik.domain.identifiers import Context
from klucznik.domain.ksef_token import KsefToken
from klucznik.errors import KsefRefused, KsefUnavailable, Paced, RateLimited, SignInRefused
from klucznik.ksef import wire
from klucznik.ksef.anew import Attempts
from klucznik.ksef.answers import Challenge, OperationStatus, PendingSignIn, TokenPair
from klucznik.ksef.auth_request import SubjectIdentifierType, auth_token_request
from klucznik.ksef.calls import Care, Watcher, call, json_content, unwatched
from klucznik.ksef.pacing import MemoryPacer, Pacer
from klucznik.ksef.session import Session
from klucznik.ksef.token_request import token_request
from klucznik.ksef.transport import Transport

Value = TypeVar("Value")
# From a challenge to a sign-in that KSeF has taken on.
Submit = Callable[[Challenge], Awaitable[PendingSignIn]]
DocumentSigner = Callable[[bytes], bytes | Awaitable[bytes]]

# KSeF takes 1 to 3 s; a qualified certificate waits for its issuer's revocation service, "as long as it needs" (§2.5).
FIRST_POLL_S = 0.1
LONGEST_POLL_S = 2.0
POLLING_S = 120.0


class KsefClient:
    """A connection to one environment. An async context manager; one connection pool for all sessions signed in by it.

    Args:
        endpoint: where the environment answers.
        clock: for token lifetimes, pauses and waits.
        transport: replaces the network, for tests.
        timeout_s: seconds for the whole answer of one request.
        pacer: counts the calls of all that share our address; by default those of this client alone.
        watcher: told of every attempt, when it is over.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = 30.0,
        pacer: Pacer | None = None,
        watcher: Watcher = unwatched,
    ) -> None:
        self.endpoint = endpoint
        self._clock = clock or SystemClock()
        self._transport = Transport(
            endpoint,
            clock=self._clock,
            transport=transport,
            timeout_s=timeout_s,
            pacer=pacer or MemoryPacer(),
            watcher=watcher,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Sessions of this client are of no use afterwards; KSeF is not told (`Session.end`)."""
        await self._transport.aclose()

    async def sign_in(
        self,
        context: Context,
        sign: DocumentSigner,
        *,
        identifier_type: SubjectIdentifierType = SubjectIdentifierType.CERTIFICATE_SUBJECT,
    ) -> Session:
        """Sign in with a key at hand: four requests and a poll or two.

        What comes to nothing is begun anew a few times within a minute (`anew`).

        Args:
            context: whom to act for.
            sign: gets the unsigned document, gives the signed one (XAdES, UTF-8). Asked again for each attempt, so a
                person who signs by hand goes step by step instead: `challenge`, `submit_signed`, `finish_sign_in`.

        Raises:
            SignInRefused: KSeF refused the document (HTTP 400) or the subject (status 415, 450, 460 …).
            AnswerLost: the tokens were given but did not arrive; sign in anew.
            KsefUnavailable: no usable answer; sign in anew later.
        """
        return await self._admitted(
            self._signing(context, sign, identifier_type), lambda pending: self.finish_sign_in(pending, context)
        )

    async def sign_in_with_token(self, context: Context, token: KsefToken) -> Session:
        """Sign in with a KSeF token (facts.md §2.10). What such a session may do is less: no certificates.

        Raises:
            SignInRefused: 450 for the token, 415 where its author has lost the rights; the others as `sign_in`.
            KsefUnavailable: ``token_key_missing``: KSeF names no key that can be used; or as `sign_in`.
        """
        return await self._admitted(
            self._sending(context, token), lambda pending: self.finish_sign_in(pending, context)
        )

    async def prove_token(self, context: Context, token: KsefToken) -> str:
        """What `prove` is for a certificate; raises as `sign_in_with_token`."""
        return await self._admitted(self._sending(context, token), self._proved)

    async def prove(
        self,
        context: Context,
        sign: DocumentSigner,
        *,
        identifier_type: SubjectIdentifierType = SubjectIdentifierType.CERTIFICATE_SUBJECT,
    ) -> str:
        """Sign in as far as KSeF's yes. The tokens are not taken, so no session is left open.

        Returns:
            the reference number of the sign-in.

        Raises:
            SignInRefused, KsefUnavailable: as `sign_in`.
        """
        return await self._admitted(self._signing(context, sign, identifier_type), self._proved)

    async def _proved(self, pending: PendingSignIn) -> str:
        await self.processed(pending)
        return pending.reference_number

    def _signing(self, context: Context, sign: DocumentSigner, identifier_type: SubjectIdentifierType) -> Submit:
        async def submit(challenge: Challenge) -> PendingSignIn:
            signed = sign(auth_token_request(challenge.value, context, identifier_type))
            return await self.submit_signed(await signed if inspect.isawaitable(signed) else signed)

        return submit

    def _sending(self, context: Context, token: KsefToken) -> Submit:
        async def submit(challenge: Challenge) -> PendingSignIn:
            # Asked for each time: KSeF withdraws keys, and a key that was kept is one more thing to be stale.
            keys = await self._transport.ask_each(
                call("GET", "/security/public-key-certificates"), wire.public_key_certificates
            )
            body = token_request(token, challenge, context, keys, host=self._transport.host, now=self._clock.now())
            request = call("POST", "/auth/ksef-token", Care.ONCE, content=json_content(body))
            return await _signing_in(self._transport.ask(request, wire.pending_sign_in))

        return submit

    async def _admitted(self, submit: Submit, finish: Callable[[PendingSignIn], Awaitable[Value]]) -> Value:
        attempts = Attempts(self._clock)
        while True:
            challenge = await self._challenge_in_turn(attempts)
            try:
                return await finish(await submit(challenge))
            except (SignInRefused, KsefUnavailable) as error:
                if not await attempts.another(error):
                    raise

    async def _challenge_in_turn(self, attempts: Attempts) -> Challenge:
        """Repeated by the transport already: only a pause that is asked for is waited out."""
        while True:
            try:
                return await self.challenge()
            except (RateLimited, Paced) as error:
                if not await attempts.another(error):
                    raise

    async def challenge(self) -> Challenge:
        """A fresh challenge, good for one sign-in within ten minutes."""
        return await self._transport.ask(call("POST", "/auth/challenge"), wire.challenge)

    async def submit_signed(self, xml: bytes) -> PendingSignIn:
        """Hand in the signed document.

        After a `KsefUnavailable` the same document may be handed in again: had it arrived, KSeF says 21111.

        Raises:
            SignInRefused: the document, its signature or its certificate is not accepted (facts.md §2.6).
        """
        request = call("POST", "/auth/xades-signature", Care.ONCE, content=xml, content_type="application/xml")
        return await _signing_in(self._transport.ask(request, wire.pending_sign_in))

    async def finish_sign_in(self, pending: PendingSignIn, context: Context) -> Session:
        """Wait until KSeF has processed the document, and take the tokens.

        Raises:
            SignInRefused: with the status' code, text and details.
            AnswerLost: the tokens were given but did not arrive; they are given once, so sign in anew.
            KsefUnavailable: ``sign_in_still_pending`` when KSeF is not done after two minutes: call again with the
                same ``pending``, its token lives 45 minutes.
        """
        await self.processed(pending)
        request = call("POST", "/auth/token/redeem", Care.SPENDS)
        tokens = await _signing_in(self._transport.ask(request, wire.token_pair, token=pending.authentication_token))
        return Session(self._transport, context, tokens)

    def resume(self, context: Context, tokens: TokenPair) -> Session:
        """The session that `tokens` belong to, as another process left it. KSeF is not asked."""
        return Session(self._transport, context, tokens)

    async def processed(self, pending: PendingSignIn) -> None:
        """Wait until KSeF has let the signer in. Without taking the tokens this proves a credential and opens nothing.

        Raises:
            SignInRefused, KsefUnavailable: as `finish_sign_in`.
        """
        request = call("GET", "/auth/{referenceNumber}", referenceNumber=pending.reference_number)
        waited, pause = 0.0, FIRST_POLL_S
        while True:
            status = await _signing_in(self._transport.ask(request, wire.status, token=pending.authentication_token))
            if status.done:
                return
            if status.failed:
                raise _status_refused(status)
            if waited >= POLLING_S:
                raise KsefUnavailable("sign_in_still_pending", reference_number=pending.reference_number)
            await self._clock.sleep(pause)
            waited += pause
            pause = min(pause * 2, LONGEST_POLL_S)


async def _signing_in(answer: Awaitable[Value]) -> Value:
    """A refusal on the way in is a refused sign-in."""
    try:
        return await answer
    except KsefRefused as error:
        refused = _refused(error)
    raise refused


def _refused(error: KsefRefused) -> SignInRefused:
    return SignInRefused(
        "sign_in_refused",
        status=error.status,
        code=error.code,
        text=error.text,
        details=error.details,
        trace_id=error.trace_id,
        **error.facts,
    )


def _status_refused(status: OperationStatus) -> SignInRefused:
    """Any code above 200 is final: the specification disagrees with itself on which exist (facts.md §2.7)."""
    return SignInRefused("sign_in_refused", code=status.code, text=status.text, details=status.details)
