"""Private keys, logins and KSeF tokens as they rest: sealed under a data key, which is wrapped by the master key.

Only the shapes, which `keys.vault` makes and `storage` saves; nothing here can open them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import SubjectType

# How private keys are kept: the key itself, or the URI of a key that a card or HSM holds; both are sealed alike.
IN_VAULT = "AES-256-GCM"
ON_TOKEN = "PKCS11"  # noqa: S105


@dataclass(frozen=True)
class KeyBinding:
    """Whose key it is and in which world: part of the seal, so that one row cannot be passed off as another."""

    environment: Environment
    subject_type: SubjectType
    subject_value: str = field(repr=False)


@dataclass(frozen=True)
class SealedKey:
    """A private key as it rests in the database.

    Attributes:
        key_id: chosen by the caller, unique; part of the seal.
        algorithm: ``AES-256-GCM``; ``PKCS11`` where the key itself is on a card or HSM and its URI is sealed here.
        data_key_id: the data key that opens it.
        nonce: 12 bytes.
        ciphertext: the key as PKCS#8 DER, or its URI, encrypted, with the 16 bytes of the tag.
    """

    key_id: str
    algorithm: str
    data_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class SealedLogin:
    """The tokens of an issuance's login as they rest in the database; fields as of `SealedKey`."""

    issuance_id: str
    algorithm: str
    data_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class SealedToken:
    """The KSeF token of a connection as it rests in the database; fields as of `SealedKey`.

    Attributes:
        reference_number: KSeF's name of the token; no secret, and part of the seal.
    """

    connection_id: str
    reference_number: str
    algorithm: str
    data_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class SealedSecret:
    """Anything else that has to be read again, as it rests in the database; fields as of `SealedKey`.

    Attributes:
        kind: what it is, for example ``totp``; part of the seal like `owner_id`.
        owner_id: whose it is: the id of a user, a webhook, an onboarding.
    """

    kind: str
    owner_id: str
    algorithm: str
    data_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class WrappedDataKey:
    """A data key as it rests in the database.

    Attributes:
        data_key_id: 32 hexadecimal digits.
        master_key_id: `MasterKey.id` of the key that wraps it.
        nonce: 12 bytes.
        ciphertext: 32 bytes of the key, encrypted, and 16 of the tag.
    """

    data_key_id: str
    master_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
