"""`ksef-client` from PyPI, unchanged, by either of its faces: one scenario drives both, and is held to use every call
of the services that it names. What the client must see is in the tests.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from ksef_client.client import AsyncKsefClient, KsefClient
from ksef_client.config import KsefClientOptions
from ksef_client.services.workflows import AsyncAuthCoordinator, AuthCoordinator
from tests.sandbox.signing import TestCredential

from ksef_sandbox import Sandbox

Face = Literal["sync", "async"]
FACES: tuple[Face, ...] = ("sync", "async")


class Recorder:
    """One of the client's services; remembers what was asked of it."""

    def __init__(self, service: Any) -> None:  # Any: the client's services have no type in common
        self._service = service
        self._used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self._used.add(name)
        return getattr(self._service, name)

    @property
    def unused(self) -> set[str]:
        """Its public methods that nobody called."""
        methods = inspect.getmembers(type(self._service), inspect.isfunction)
        return {name for name, _ in methods if not name.startswith("_")} - self._used


class Service:
    """The same with every call awaited, whichever face."""

    def __init__(self, service: Any) -> None:
        self.recorder = Recorder(service)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.recorder, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return await _settled(method(*arguments, **options))

        return call


async def _settled(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


class Client:
    def __init__(self, client: KsefClient | AsyncKsefClient) -> None:
        self.auth, self.security = Service(client.auth), Service(client.security)
        self.certificates, self.tokens = Service(client.certificates), Service(client.tokens)
        self.limits, self.rate_limits = Service(client.limits), Service(client.rate_limits)
        self.permissions, self.testdata = Service(client.permissions), Service(client.testdata)
        coordinator = AuthCoordinator if isinstance(client, KsefClient) else AsyncAuthCoordinator
        self._coordinator: Any = coordinator(self.auth.recorder)

    async def sign_in(
        self,
        credential: TestCredential,
        context: str,
        *,
        kind: str = "nip",
        subject: str = "certificateSubject",
    ) -> Any:
        """The client's own sign-in: its XML, its signature, its polling. The answer is the pair of tokens."""
        signed_in = await _settled(
            self._coordinator.authenticate_with_xades(
                context_identifier_type=kind,
                context_identifier_value=context,
                subject_identifier_type=subject,
                certificate_pem=credential.certificate_pem.decode(),
                private_key_pem=credential.private_key_pem.decode(),
                poll_interval_seconds=0.01,
            )
        )
        return signed_in.tokens

    async def sign_in_with_token(self, token: str, nip: str) -> Any:
        key = await self.security.get_public_key_certificate("KsefTokenEncryption")
        signed_in = await _settled(
            self._coordinator.authenticate_with_ksef_token(
                token=token,
                public_certificate=key.certificate,
                public_key_id=key.public_key_id,
                context_identifier_type="nip",
                context_identifier_value=nip,
                poll_interval_seconds=0.01,
            )
        )
        return signed_in.tokens


@asynccontextmanager
async def connected(ksef: Sandbox, face: Face) -> AsyncIterator[Client]:
    options = KsefClientOptions(base_url=ksef.base_url.removesuffix("/v2"))
    if face == "sync":
        with KsefClient(options) as client:
            yield Client(client)
    else:
        async with AsyncKsefClient(options) as client:
            yield Client(client)
