"""Makes the connection of a company: with certificates of the vault, with certificates from elsewhere, with a token.

Each is proved by a real sign-in first; what KSeF refuses leaves nothing behind. By permission it is `grant`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event, Fact
from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Connection, Health, Method, looked_at
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.ksef_token import KsefToken, TokenRecord
from klucznik.errors import InputError
from klucznik.services.connections import ConnectionDetail, new_connection, one_connection, record
from klucznik.services.control import BySignIn, Control
from klucznik.services.import_ import keep_in, seal_in
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.sign_in import leave, signer_with_key
from klucznik.services.ways import holder_for, newest_signer
from klucznik.storage import certificates, connections, ksef_tokens
from klucznik.storage.races import alone

if TYPE_CHECKING:
    from klucznik.keys.import_ import ImportedCertificate


_BY_ADMINISTRATOR: Mapping[str, Fact] = MappingProxyType({"control": "administrator"})


@dataclass(frozen=True)
class Connected:
    """A company is connected, and the sign-in has been tried.

    Attributes:
        before: how it was connected until now.
        token: what KSeF says of the token.
    """

    detail: ConnectionDetail
    before: Connection | None
    token: TokenRecord | None = None


async def connect_with_vault(
    installation: Installation,
    context: Context,
    control: Control,
    *,
    serial_number: str | None = None,
    name: str | None = None,
    listener: Listener = unheard,
) -> Connected:
    """Connect with the pair that is in the vault: of the company, or of a person who may act for it.

    Args:
        control: an administrator may take anybody's; whoever has signed in, only their own.
        serial_number: a certificate of whose owner is to sign in; needed where the vault has those of several.

    Raises:
        InputError: ``no_pair_to_connect``, ``several_subjects``, ``certificate_not_held``,
            ``control_of_other_context``, ``control_of_other_subject``.
        SignInRefused: KSeF does not let the subject in; nothing is changed.
    """
    subject = await installation.database.read(
        lambda transaction: _chosen(installation, transaction, context, serial_number)
    )
    _check_control(control, context, subject)
    signer = await newest_signer(installation, subject)
    if signer is None:
        raise InputError("no_pair_to_connect", nip=context.value)
    listener(Progress(Stage.SIGNING_IN))
    await signer.prove(installation.ksef, context)
    listener(Progress(Stage.SIGNED_IN))
    return await _connected(installation, context, Method.CERTIFICATES, subject, name)


async def connect_with_imported(
    installation: Installation,
    context: Context,
    brought: Sequence[ImportedCertificate],
    *,
    name: str | None = None,
    evidence: Mapping[str, Fact] = _BY_ADMINISTRATOR,
    listener: Listener = unheard,
) -> Connected:
    """Take certificates from elsewhere into the vault and connect with them.

    Args:
        brought: an Authentication certificate, and the Offline one where there is one.
        evidence: of the control that whoever asks has over the company (`services.control`).

    Raises:
        InputError: ``authentication_certificate_needed``, ``certificates_of_several_subjects``.
        SignInRefused: KSeF does not let the subject in; nothing is kept.
    """
    incoming = [await seal_in(installation, one) for one in brought]
    subjects = {one.certificate.subject for one in incoming}
    pair = next((one.pair for one in brought if one.type is CertificateType.AUTHENTICATION), None)
    if pair is None:
        raise InputError("authentication_certificate_needed")
    if len(subjects) > 1:
        raise InputError("certificates_of_several_subjects", subjects=", ".join(sorted(map(str, subjects))))
    (subject,) = subjects
    signer = signer_with_key(pair.certificate, pair.private_key, subject, installation.clock)
    listener(Progress(Stage.SIGNING_IN))
    await signer.prove(installation.ksef, context)
    listener(Progress(Stage.SIGNED_IN))

    def keep(transaction: Transaction, _: Connection) -> None:
        for one in incoming:
            keep_in(installation, transaction, one)

    return await _connected(installation, context, Method.IMPORTED, subject, name, keep, evidence)


async def connect_with_token(
    installation: Installation,
    context: Context,
    token: KsefToken,
    *,
    name: str | None = None,
    evidence: Mapping[str, Fact] = _BY_ADMINISTRATOR,
    listener: Listener = unheard,
) -> Connected:
    """Connect with a KSeF token, which is sealed in the vault.

    Args:
        evidence: as for `connect_with_imported`. That the token signs in is none: it may be anybody's who was given it.

    Raises:
        InputError: ``ksef_token_of_other_company``; ``ksef_token_author_unknown``.
        SignInRefused: KSeF does not take the token; nothing is kept.
    """
    if token.context != context:
        other = None if token.context is None else token.context.value
        raise InputError("ksef_token_of_other_company", nip=context.value, other=other)
    listener(Progress(Stage.SIGNING_IN))
    session = await installation.ksef.sign_in_with_token(context, token)
    listener(Progress(Stage.SIGNED_IN))
    try:
        said = await session.token(token.reference_number)
    finally:
        await leave(session)
    author = said.author
    if author is None:
        raise InputError("ksef_token_author_unknown")

    def keep(transaction: Transaction, connection: Connection) -> None:
        sealed = installation.vault.seal_token(
            connection.id, token.reference_number, token.text, environment=installation.environment
        )
        ksef_tokens.put(transaction, sealed, now=installation.clock.now())

    return replace(await _connected(installation, context, Method.TOKEN, author, name, keep, evidence), token=said)


def _check_control(control: Control, context: Context, subject: Subject) -> None:
    if not isinstance(control, BySignIn):
        return
    if control.signed_in.context != context:
        raise InputError("control_of_other_context", nip=context.value, other=control.signed_in.context.value)
    if control.signed_in.subject != subject:
        raise InputError("control_of_other_subject", nip=context.value, subject=str(subject))


def _chosen(
    installation: Installation, transaction: Transaction, context: Context, serial_number: str | None
) -> Subject:
    """Whose certificates to connect with. Nobody is tried out: KSeF is never asked for whom it would let in."""
    environment, now = installation.environment, installation.clock.now()
    if serial_number is not None:
        named = certificates.by_serial(transaction, environment, serial_number)
        if named is None:
            raise InputError("certificate_not_held", serial=serial_number)
        return named.subject
    holder = holder_for(transaction, environment, context)
    able = certificates.able_to_sign_in(transaction, environment, now=now, most=2, subject=holder)
    if holder is not None and able:
        return holder
    able = certificates.able_to_sign_in(transaction, environment, now=now, most=2)
    if len(able) == 1:
        return able[0]
    raise InputError("several_subjects" if able else "no_pair_to_connect", nip=context.value)


async def _connected(
    installation: Installation,
    context: Context,
    method: Method,
    subject: Subject,
    name: str | None,
    keep: Callable[[Transaction, Connection], None] = lambda _, __: None,
    evidence: Mapping[str, Fact] = MappingProxyType({}),
) -> Connected:
    now = installation.clock.now()
    fresh = new_connection(installation, context, method, subject, name=name)

    def commit(transaction: Transaction) -> Connection | None:
        alone(transaction, f"connection {installation.environment} {context}")
        there = connections.of_context(transaction, installation.environment, context)
        if there is None:
            saved = looked_at(fresh, Health.HEALTHY, None, now)
            connections.add(transaction, saved, now=now)
            record(installation, transaction, Event.CONNECTION_MADE, saved, **evidence)
        else:
            ksef_tokens.forget(transaction, there.id)
            other = replace(there, method=method, subject=subject, name=name or there.name)
            saved = connections.save(transaction, looked_at(other, Health.HEALTHY, None, now), now=now)
            record(installation, transaction, Event.CONNECTION_CHANGED, saved, before=there.method.value, **evidence)
        keep(transaction, saved)
        return there

    before = await installation.database.write(commit)
    return Connected(await one_connection(installation, context), before)
