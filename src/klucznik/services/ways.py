"""By what we sign in for a company: a credential at hand, or what the company's connection says.

A certificate signs in for whatever its subject may do, so nobody's is ever used for a company that no connection links
with them. Only a company's own certificates (its NIP is the subject) need no saying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection as Transaction

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Connection, Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType, Subject, SubjectType
from klucznik.domain.ksef_token import parse_token
from klucznik.errors import InputError, StorageError
from klucznik.services.installation import Installation
from klucznik.services.sign_in import Signer, TokenSigner, Way, signer_from_vault, signer_of
from klucznik.storage import certificates, connections, ksef_tokens

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


async def signer_for(installation: Installation, context: Context, credential: Credential | Signer | None) -> Signer:
    """What signs for `context` where a KSeF token is not enough; arguments as of `way_for`.

    Raises:
        InputError: ``token_cannot_do_this``; as `way_for`.
    """
    way = await way_for(installation, context, credential)
    if isinstance(way, TokenSigner):
        raise InputError("token_cannot_do_this", nip=context.value)
    return way


async def way_for(installation: Installation, context: Context, credential: Credential | Signer | None) -> Way:
    """By what to sign in: the user's credential or signer, the connection's own way, or the company's own certificate.

    Raises:
        InputError: ``no_credential``: none was given, and what is here may not or cannot sign in for this company;
            ``permission_cannot_do_this``: the operator acts for it, who has no say over its certificates.
        CredentialError: as `sign_in.check_environment`.
    """
    if isinstance(credential, Signer):
        return credential
    if credential is not None:
        return signer_of(installation, credential)
    found = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, context)
    )
    way: Way | None = None
    if found is not None:
        if found.method is Method.PERMISSION:
            # The operator's own certificates and limits are not the company's, and are never touched in its name.
            raise InputError("permission_cannot_do_this", nip=context.value)
        way = await way_of(installation, found)
    elif (own := own_subject(context)) is not None:
        way = await newest_signer(installation, own)
    if way is None:
        raise InputError("no_credential", nip=context.value, environment=installation.environment.value)
    return way


async def way_of(installation: Installation, connection: Connection) -> Way | None:
    """The way of a connection by certificate or token; None where nothing here can sign in for it now."""
    if connection.method is Method.TOKEN:
        return await _token(installation, connection)
    return None if connection.subject is None else await newest_signer(installation, connection.subject)


def holder_for(transaction: Transaction, environment: Environment, context: Context) -> Subject | None:
    """Whose certificates may be used for a company: those of its connection's subject, or the company's own."""
    found = connections.of_context(transaction, environment, context)
    return found.subject if found is not None and found.method.is_by_certificate else own_subject(context)


def own_subject(context: Context) -> Subject | None:
    """The company itself, where the context is one."""
    return Subject(SubjectType.NIP, context.value) if context.type is ContextType.NIP else None


async def newest_signer(installation: Installation, subject: Subject) -> Signer | None:
    """With the newest Authentication certificate of a subject that can be used now."""
    held = await installation.database.read(
        lambda transaction: certificates.of_subject(transaction, installation.environment, subject)
    )
    now = installation.clock.now()
    for certificate in held:
        if certificate.type is CertificateType.AUTHENTICATION and certificate.usable(now):
            return await signer_from_vault(installation, certificate)
    return None


async def _token(installation: Installation, connection: Connection) -> TokenSigner:
    sealed = await installation.database.read(lambda transaction: ksef_tokens.load(transaction, connection.id))
    if sealed is None or connection.subject is None:
        raise StorageError("vault_key_missing", key=connection.id)
    text = installation.vault.unseal_token(sealed, environment=installation.environment)
    return TokenSigner(connection.subject, parse_token(text))
