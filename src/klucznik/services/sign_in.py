"""Signing in: with a certificate and key (the user's own, or one from the vault), or with a KSeF token.

Which of them acts for a company is what its connection says (`ways`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509

from klucznik.clock import Clock
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.ksef_token import KsefToken
from klucznik.errors import CredentialError, KsefError, SignatureNeeded, StorageError
from klucznik.keys.generate import PrivateKey
from klucznik.keys.ksef_certificate import inspect_ksef_certificate
from klucznik.ksef.auth_request import SubjectIdentifierType
from klucznik.ksef.client import KsefClient
from klucznik.ksef.session import Session
from klucznik.ksef.xades import sign_document
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.storage import private_keys

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


@dataclass(frozen=True)
class Signer:
    """Something that can sign in: who it is for KSeF, and how it signs."""

    subject: Subject
    sign: Callable[[bytes], bytes | Awaitable[bytes]] = field(repr=False)

    @property
    def identifier_type(self) -> SubjectIdentifierType:
        """A subject that is a fingerprint has no identity in its certificate, so it signs in by the fingerprint."""
        if self.subject.type is SubjectType.FINGERPRINT:
            return SubjectIdentifierType.CERTIFICATE_FINGERPRINT
        return SubjectIdentifierType.CERTIFICATE_SUBJECT

    async def sign_in(self, ksef: KsefClient, context: Context) -> Session:
        return await ksef.sign_in(context, self.sign, identifier_type=self.identifier_type)

    async def prove(self, ksef: KsefClient, context: Context) -> str:
        """Only as far as KSeF's yes: no session is opened."""
        return await ksef.prove(context, self.sign, identifier_type=self.identifier_type)


@dataclass(frozen=True)
class TokenSigner:
    """A KSeF token: signs in to one company, and can neither request nor revoke certificates.

    Attributes:
        subject: the token's author, whom KSeF takes its session for.
    """

    subject: Subject
    token: KsefToken = field(repr=False)

    async def sign_in(self, ksef: KsefClient, context: Context) -> Session:
        return await ksef.sign_in_with_token(context, self.token)

    async def prove(self, ksef: KsefClient, context: Context) -> str:
        """Only as far as KSeF's yes: no session is opened."""
        return await ksef.prove_token(context, self.token)


Way: TypeAlias = Signer | TokenSigner


@dataclass(frozen=True)
class SignedIn:
    """A session, and whose it is: limits and certificates belong to `subject`, not to the company."""

    session: Session
    subject: Subject

    @property
    def context(self) -> Context:
        return self.session.context


def signer_with_key(certificate: x509.Certificate, private_key: PrivateKey, subject: Subject, clock: Clock) -> Signer:
    """A signer with a key at hand, in memory or on a token."""

    async def sign(xml: bytes) -> bytes:
        # Aside: a card takes a second, and the lease of whoever waits for it must go on being renewed.
        return await asyncio.to_thread(sign_document, xml, certificate, private_key, now=clock.now())

    return Signer(subject, sign)


def signer_of(installation: Installation, credential: Credential) -> Signer:
    """The signer of a credential that a user has given; raises as `check_environment`."""
    check_environment(credential, installation.environment)
    subject = credential.holder.signs_in_as
    return signer_with_key(credential.certificate, credential.private_key, subject, installation.clock)


def check_environment(credential: Credential, environment: Environment) -> None:
    """Refuse here what KSeF would refuse with a bare 21115.

    Raises:
        CredentialError: ``certificate_of_other_environment``, ``self_signed_not_accepted``.
    """
    certificate, file = credential.certificate, credential.certificate_file
    if self_signed_in_vain(certificate, environment):
        raise CredentialError("self_signed_not_accepted", file=file, environment=environment.value)
    other = other_environment(certificate, environment)
    if other is not None:
        raise CredentialError(
            "certificate_of_other_environment", file=file, environment=environment.value, other=other.value
        )


def self_signed_in_vain(certificate: x509.Certificate, environment: Environment) -> bool:
    """Whether the certificate is self-signed and the environment takes none of those."""
    return certificate.issuer == certificate.subject and not environment.accepts_self_signed


def other_environment(certificate: x509.Certificate, environment: Environment) -> Environment | None:
    """The environment whose KSeF issued the certificate, where that is surely not this one."""
    home = inspect_ksef_certificate(certificate).environment
    # DEMO may sign with production's name (facts.md §3.2): only KSeF can tell these two apart.
    alike = {Environment.DEMO, Environment.PRODUCTION}
    return None if home is None or home is environment or {home, environment} <= alike else home


async def signer_from_vault(installation: Installation, certificate: HeldCertificate) -> Signer:
    """A signer with a key from the vault."""
    private_key = await unsealed(installation, certificate.key_id)
    parsed = x509.load_der_x509_certificate(certificate.der)
    return signer_with_key(parsed, private_key, certificate.subject, installation.clock)


async def unsealed(installation: Installation, key_id: str) -> PrivateKey:
    """A private key out of the vault, for the moment of its use.

    Raises:
        StorageError: ``vault_key_missing``, or the vault's own reasons where the record was damaged or moved.
        Pkcs11Error: the key is on a token, which is not to be had.
    """
    found = await installation.database.read(lambda connection: private_keys.load(connection, key_id))
    if found is None:
        raise StorageError("vault_key_missing", key=key_id)
    sealed, binding = found
    opened = installation.vault.unseal(sealed, binding=binding)
    if isinstance(opened, KeyUri):
        return await asyncio.to_thread(installation.token_of_keys.key, opened)
    return opened


async def sign_in(
    installation: Installation, context: Context, signer: Way, *, listener: Listener = unheard
) -> SignedIn:
    """Sign in to KSeF for `context`.

    Raises:
        SignInRefused: KSeF's code and text say why.
        KsefUnavailable: no usable answer.
    """
    listener(Progress(Stage.SIGNING_IN))
    session = await signer.sign_in(installation.ksef, context)
    listener(Progress(Stage.SIGNED_IN))
    return SignedIn(session, signer.subject)


async def sign_out(signed_in: SignedIn) -> None:
    """As `leave`."""
    await leave(signed_in.session)


async def leave(session: Session) -> None:
    """Leave no open session behind. The work is done either way, so a failure here is nobody's problem."""
    try:
        await session.end()
    except (KsefError, SignatureNeeded):
        return
