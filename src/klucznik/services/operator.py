"""The operator: who runs this installation, and with what it signs in to the companies that have let it in."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event
from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.connections import Operator
from klucznik.domain.identifiers import Context
from klucznik.domain.sealed import KeyBinding, SealedKey
from klucznik.errors import CredentialError, InputError, Pkcs11Error, SignInRefused
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.sign_in import (
    SignedIn,
    Signer,
    check_environment,
    sign_in,
    signer_from_vault,
    signer_with_key,
    unsealed,
)
from klucznik.services.token_keys import check_can_be_kept
from klucznik.storage import certificates, operators, private_keys
from klucznik.storage.races import alone

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential

_CERTIFICATE_REFUSED = (460, 21115)


class CredentialSource(StrEnum):
    """Where the operator's credential is from."""

    ISSUED = "issued"  # a KSeF Authentication certificate of the operator's NIP in the vault
    GIVEN = "given"  # what `set_operator` was given


@dataclass(frozen=True)
class OperatorCredential:
    """One thing the operator can sign in with now."""

    source: CredentialSource
    serial_number: str
    common_name: str
    valid_to: datetime


@dataclass(frozen=True)
class OperatorStatus:
    """The operator, and with what it signs in, the first choice first."""

    operator: Operator
    credentials: tuple[OperatorCredential, ...]


async def set_operator(
    installation: Installation,
    nip: str,
    name: str,
    credential: Credential | None,
    *,
    listener: Listener = unheard,
) -> OperatorStatus:
    """Say who the operator is. A credential is proved by a real sign-in before it is kept.

    Args:
        nip: ten digits.
        name: see `parse_entity_name`.
        credential: None: one that was given for the same NIP stays.

    Raises:
        CredentialError: ``operator_credential_of_other``, and as `check_environment`.
        Pkcs11Error: as `check_can_be_kept`.
        SignInRefused: KSeF does not let the credential in; nothing is kept.
    """
    operator = Operator(installation.environment, nip, name)
    sealed: SealedKey | None = None
    if credential is not None:
        operator, sealed = await _proved(installation, operator, credential, listener)
    binding, now = KeyBinding(operator.environment, operator.subject.type, nip), installation.clock.now()

    def commit(transaction: Transaction) -> Operator:
        alone(transaction, f"operator {operator.environment}")
        before = operators.load(transaction, operator.environment)
        kept = operator
        if sealed is not None:
            private_keys.add(transaction, sealed, binding, now=now)
        elif before is not None and before.nip == nip:
            kept = replace(operator, certificate=before.certificate, key_id=before.key_id)
        operators.put(transaction, kept, now=now)
        if before is not None and before.key_id is not None and before.key_id != kept.key_id:
            private_keys.remove(transaction, before.key_id)
        facts = {"nip": nip, "name": name, "key": kept.key_id}
        audit.record(installation, transaction, operator.subject, Entry(Event.OPERATOR_SET, facts))
        return kept

    return await _status(installation, await installation.database.write(commit))


async def _proved(
    installation: Installation, operator: Operator, credential: Credential, listener: Listener
) -> tuple[Operator, SealedKey]:
    check_environment(credential, installation.environment)
    if credential.holder.signs_in_as != operator.subject:
        raise CredentialError(
            "operator_credential_of_other",
            file=credential.certificate_file,
            given=str(credential.holder.signs_in_as),
            wanted=str(operator.subject),
        )
    await check_can_be_kept(installation, credential.private_key)
    signer = signer_with_key(credential.certificate, credential.private_key, operator.subject, installation.clock)
    listener(Progress(Stage.SIGNING_IN))
    await installation.ksef.prove(Context.of_nip(operator.nip), signer.sign, identifier_type=signer.identifier_type)
    listener(Progress(Stage.SIGNED_IN))
    key_id = secrets.token_hex(16)
    binding = KeyBinding(operator.environment, operator.subject.type, operator.nip)
    sealed = installation.vault.seal(key_id, credential.private_key, binding=binding)
    der = credential.certificate.public_bytes(Encoding.DER)
    return replace(operator, certificate=der, key_id=key_id), sealed


async def load_operator(installation: Installation) -> Operator:
    """The operator.

    Raises:
        InputError: ``operator_not_set``.
    """
    operator = await installation.database.read(
        lambda transaction: operators.load(transaction, installation.environment)
    )
    if operator is None:
        raise InputError("operator_not_set", environment=installation.environment.value)
    return operator


async def operator_status(installation: Installation) -> OperatorStatus:
    """The operator and its credentials; raises as `load_operator`."""
    return await _status(installation, await load_operator(installation))


async def _status(installation: Installation, operator: Operator) -> OperatorStatus:
    found = [
        OperatorCredential(CredentialSource.ISSUED, one.serial_number, one.common_name, one.valid_to)
        for one in await _issued(installation, operator)
    ]
    given = _given(operator, installation.clock.now())
    if given is not None:
        from klucznik.keys.ksef_certificate import inspect_ksef_certificate

        facts = inspect_ksef_certificate(given)
        found.append(
            OperatorCredential(CredentialSource.GIVEN, facts.serial_number, facts.common_name or "", facts.valid_to)
        )
    return OperatorStatus(operator, tuple(found))


async def check_can_sign_in(installation: Installation, operator: Operator) -> None:
    """Raise ``operator_without_credential`` before anything is asked of a company."""
    if not (await _status(installation, operator)).credentials:
        raise _without_credential(operator)


async def sign_in_as_operator(
    installation: Installation, operator: Operator, context: Context, *, listener: Listener = unheard
) -> SignedIn:
    """The operator's own sign-in to a company.

    Raises:
        InputError: ``operator_without_credential``.
        SignInRefused: 415 where the company has granted nothing (any more).
        Pkcs11Error: the only key that KSeF has not refused is on a token, which is not to be had.
    """
    failed: SignInRefused | Pkcs11Error | None = None
    for signer in await _signers(installation, operator):
        try:
            return await sign_in(installation, context, await signer(), listener=listener)
        except SignInRefused as error:
            # Revoked without our knowledge; the next one may well be good.
            if error.code not in _CERTIFICATE_REFUSED:
                raise
            failed = failed or error
        except Pkcs11Error as error:
            failed = failed or error  # its token is not at hand; another key may be elsewhere
    raise failed or _without_credential(operator)


def _without_credential(operator: Operator) -> InputError:
    return InputError("operator_without_credential", nip=operator.nip, environment=operator.environment.value)


async def _signers(installation: Installation, operator: Operator) -> list[Callable[[], Awaitable[Signer]]]:
    """What the operator can sign in with now: its own KSeF certificates, the newest first, then what was given.

    Each opens its key when it is called: no key is taken out of the vault, or looked for on a token, that is not used.
    """
    signers = [partial(signer_from_vault, installation, one) for one in await _issued(installation, operator)]
    given = _given(operator, installation.clock.now())
    if given is None or operator.key_id is None:
        return [*signers]
    return [*signers, partial(_signer_given, installation, operator, given, operator.key_id)]


async def _signer_given(
    installation: Installation, operator: Operator, certificate: x509.Certificate, key_id: str
) -> Signer:
    private_key = await unsealed(installation, key_id)
    return signer_with_key(certificate, private_key, operator.subject, installation.clock)


async def _issued(installation: Installation, operator: Operator) -> list[HeldCertificate]:
    held = await installation.database.read(
        lambda transaction: certificates.of_subject(transaction, operator.environment, operator.subject)
    )
    now = installation.clock.now()
    return [one for one in held if one.type is CertificateType.AUTHENTICATION and one.usable(now)]


def _given(operator: Operator, now: datetime) -> x509.Certificate | None:
    if operator.certificate is None:
        return None
    certificate = x509.load_der_x509_certificate(operator.certificate)
    alive = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    return certificate if alive else None
