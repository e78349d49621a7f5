"""Private keys, logins and KSeF tokens at rest: AES-256-GCM under a data key, which a master key wraps.

Bytes in, records out. The records are saved by `storage`; where a master key comes from lives in `master_key`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from klucznik.domain.environments import Environment
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.sealed import (
    IN_VAULT,
    ON_TOKEN,
    KeyBinding,
    SealedKey,
    SealedLogin,
    SealedSecret,
    SealedToken,
    WrappedDataKey,
)
from klucznik.errors import StorageError
from klucznik.keys.generate import PrivateKey
from klucznik.keys.master_key import MasterKey
from klucznik.keys.token_key import EcTokenKey, RsaTokenKey

_NONCE = 12


class Vault:
    """Seals and unseals keys, logins and tokens, puts MACs on the audit log. Holds the data keys in memory alone."""

    __slots__ = ("_current", "_mac_keys", "_master", "_secrets")

    def __init__(self, master: MasterKey, data_keys: dict[str, bytes]) -> None:
        self._master = master
        self._secrets = data_keys
        self._mac_keys: dict[str, bytes] = {}
        self._current = next(reversed(data_keys), None)

    @classmethod
    def open(cls, master: MasterKey, data_keys: Sequence[WrappedDataKey]) -> Vault:
        """Open the vault with all its data keys, the oldest first; the last one seals what is new.

        Raises:
            StorageError: ``vault_master_key_mismatch`` (another master key wrapped them: ``expected``, ``given``),
                ``vault_data_key_damaged`` (``data_key_id``).
        """
        return cls(master, {wrapped.data_key_id: _unwrap(master, wrapped) for wrapped in data_keys})

    def __repr__(self) -> str:
        return f"<Vault with {len(self._secrets)} data keys>"

    def __reduce__(self) -> str:
        raise TypeError("a vault is not pickled")

    def new_data_key(self) -> WrappedDataKey:
        """A fresh data key that seals everything from now on. Save it before anything sealed with it."""
        data_key_id, secret = secrets.token_hex(16), AESGCM.generate_key(256)
        self._secrets[data_key_id] = secret
        self._current = data_key_id
        return _wrap(self._master, data_key_id, secret)

    def seal(self, key_id: str, private_key: PrivateKey, *, binding: KeyBinding) -> SealedKey:
        """Encrypt a private key for ``binding``; of a key on a token, where it is.

        Raises:
            StorageError: ``vault_without_data_key``: `new_data_key` has never been called.
        """
        if isinstance(private_key, EcTokenKey | RsaTokenKey):
            algorithm, plain = ON_TOKEN, str(private_key.uri).encode()
        else:
            algorithm = IN_VAULT
            plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        data_key_id = self._sealing()
        nonce, ciphertext = self._encrypt(plain, _key_associated(key_id, algorithm, data_key_id, binding))
        return SealedKey(key_id, algorithm, data_key_id, nonce, ciphertext)

    def seal_login(self, issuance_id: str, plain: bytes, *, binding: KeyBinding) -> SealedLogin:
        """Encrypt the login of an issuance for ``binding``; raises as `seal`."""
        data_key_id = self._sealing()
        nonce, ciphertext = self._encrypt(plain, _login_associated(issuance_id, data_key_id, binding))
        return SealedLogin(issuance_id, IN_VAULT, data_key_id, nonce, ciphertext)

    def unseal_login(self, sealed: SealedLogin, *, binding: KeyBinding) -> bytes | None:
        """The login again, or None where it cannot be opened any more: a login can be had anew, so that is no error."""
        secret = self._secrets.get(sealed.data_key_id)
        if secret is None or sealed.algorithm != IN_VAULT:
            return None
        associated = _login_associated(sealed.issuance_id, sealed.data_key_id, binding)
        try:
            return AESGCM(secret).decrypt(sealed.nonce, sealed.ciphertext, associated)
        except InvalidTag:
            return None

    def seal_token(
        self, connection_id: str, reference_number: str, text: str, *, environment: Environment
    ) -> SealedToken:
        """Encrypt the KSeF token of a connection; raises as `seal`."""
        data_key_id = self._sealing()
        associated = _token_associated(connection_id, reference_number, data_key_id, environment)
        nonce, ciphertext = self._encrypt(text.encode(), associated)
        return SealedToken(connection_id, reference_number, IN_VAULT, data_key_id, nonce, ciphertext)

    def unseal_token(self, sealed: SealedToken, *, environment: Environment) -> str:
        """The KSeF token again; raises as `unseal`, with the token's reference number as ``key_id``."""
        reference = sealed.reference_number
        secret = self._opening(sealed.algorithm, sealed.data_key_id, reference)
        associated = _token_associated(sealed.connection_id, reference, sealed.data_key_id, environment)
        try:
            return AESGCM(secret).decrypt(sealed.nonce, sealed.ciphertext, associated).decode()
        except InvalidTag:
            pass
        raise StorageError("vault_key_damaged", key_id=reference)

    def seal_secret(self, kind: str, owner_id: str, plain: bytes) -> SealedSecret:
        """Encrypt what has to be read again and is neither key, login nor KSeF token; raises as `seal`.

        Args:
            kind: what it is, for example ``totp``.
            owner_id: whose it is.
        """
        data_key_id = self._sealing()
        nonce, ciphertext = self._encrypt(plain, _secret_associated(kind, owner_id, data_key_id))
        return SealedSecret(kind, owner_id, IN_VAULT, data_key_id, nonce, ciphertext)

    def unseal_secret(self, sealed: SealedSecret) -> bytes:
        """It again; raises as `unseal`, with its kind and owner as ``key_id``."""
        named = f"{sealed.kind}:{sealed.owner_id}"
        secret = self._opening(sealed.algorithm, sealed.data_key_id, named)
        associated = _secret_associated(sealed.kind, sealed.owner_id, sealed.data_key_id)
        try:
            return AESGCM(secret).decrypt(sealed.nonce, sealed.ciphertext, associated)
        except InvalidTag:
            pass
        raise StorageError("vault_key_damaged", key_id=named)

    def unseal(self, sealed: SealedKey, *, binding: KeyBinding) -> PrivateKey | KeyUri:
        """The private key again, or where it is: on a token.

        Raises:
            StorageError: each with ``key_id``: ``vault_key_damaged`` (the record, or what it is bound to, is not what
                was sealed), ``vault_data_key_missing``, ``vault_algorithm_unknown``.
        """
        secret = self._opening(sealed.algorithm, sealed.data_key_id, sealed.key_id, known=(IN_VAULT, ON_TOKEN))
        private_key = _decrypt(secret, sealed, binding)
        if private_key is None:
            raise StorageError("vault_key_damaged", key_id=sealed.key_id)
        return private_key

    def _opening(self, algorithm: str, data_key_id: str, key_id: str, *, known: tuple[str, ...] = (IN_VAULT,)) -> bytes:
        if algorithm not in known:
            raise StorageError("vault_algorithm_unknown", key_id=key_id, algorithm=algorithm)
        secret = self._secrets.get(data_key_id)
        if secret is None:
            raise StorageError("vault_data_key_missing", key_id=key_id, data_key_id=data_key_id)
        return secret

    def knows(self, data_key_id: str) -> bool:
        """Whether that data key is ours."""
        return data_key_id in self._secrets

    def mac(self, message: bytes, key_id: str) -> bytes:
        """HMAC-SHA-256 of ``message`` under a key derived from a data key that `knows`.

        Whoever can write the database but lacks the master key can open no data key, and so make no such MAC.
        Rewrapping leaves data keys as they are, so old MACs stay good; a new data key makes the new ones.
        """
        key = self._mac_keys.get(key_id)
        if key is None:
            key = HKDF(SHA256(), 32, salt=None, info=b"klucznik audit log 1").derive(self._secrets[key_id])
            self._mac_keys[key_id] = key
        return hmac.digest(key, message, "sha256")

    @property
    def current_key_id(self) -> str:
        """The id of the data key that seals what is new; raises as `seal`."""
        return self._sealing()

    def _sealing(self) -> str:
        """The id of the data key that seals what is new."""
        if self._current is None:
            raise StorageError("vault_without_data_key")
        return self._current

    def _encrypt(self, plain: bytes, associated: bytes) -> tuple[bytes, bytes]:
        nonce = secrets.token_bytes(_NONCE)
        return nonce, AESGCM(self._secrets[self._sealing()]).encrypt(nonce, plain, associated)

    def rewrap(self, new_master: MasterKey) -> list[WrappedDataKey]:
        """Every data key under ``new_master``, the oldest first, to replace the saved ones in one transaction.

        Sealed keys stay as they are. This vault keeps the old master key: open a new one afterwards.
        """
        return [_wrap(new_master, data_key_id, secret) for data_key_id, secret in self._secrets.items()]

    def reopened(self, data_keys: Sequence[WrappedDataKey]) -> Vault:
        """A vault under the same master key with the data keys that are saved now; raises as `open`."""
        return Vault.open(self._master, data_keys)

    def take_over(self, other: Vault) -> list[WrappedDataKey]:
        """The data keys of another vault under this one's master key, to be saved."""
        return other.rewrap(self._master)


def _wrap(master: MasterKey, data_key_id: str, secret: bytes) -> WrappedDataKey:
    nonce, ciphertext = master.wrap(secret, _bytes_of("klucznik data key 1", data_key_id, master.id))
    return WrappedDataKey(data_key_id, master.id, nonce, ciphertext)


def _unwrap(master: MasterKey, wrapped: WrappedDataKey) -> bytes:
    if wrapped.master_key_id != master.id:
        raise StorageError("vault_master_key_mismatch", expected=wrapped.master_key_id, given=master.id)
    associated = _bytes_of("klucznik data key 1", wrapped.data_key_id, wrapped.master_key_id)
    secret = master.unwrap(wrapped.nonce, wrapped.ciphertext, associated)
    if secret is None:
        raise StorageError("vault_data_key_damaged", data_key_id=wrapped.data_key_id)
    return secret


def _decrypt(secret: bytes, sealed: SealedKey, binding: KeyBinding) -> PrivateKey | KeyUri | None:
    associated = _key_associated(sealed.key_id, sealed.algorithm, sealed.data_key_id, binding)
    try:
        plain = AESGCM(secret).decrypt(sealed.nonce, sealed.ciphertext, associated)
        if sealed.algorithm == ON_TOKEN:
            return KeyUri.parse(plain.decode())
        private_key = load_der_private_key(plain, None)
    except (InvalidTag, ValueError):
        return None
    return private_key if isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None


def _key_associated(key_id: str, algorithm: str, data_key_id: str, binding: KeyBinding) -> bytes:
    return _bytes_of("klucznik private key 1", algorithm, key_id, data_key_id, *_bound_to(binding))


def _login_associated(issuance_id: str, data_key_id: str, binding: KeyBinding) -> bytes:
    return _bytes_of("klucznik login 1", IN_VAULT, issuance_id, data_key_id, *_bound_to(binding))


def _token_associated(connection_id: str, reference_number: str, data_key_id: str, environment: Environment) -> bytes:
    return _bytes_of("klucznik KSeF token 1", IN_VAULT, connection_id, reference_number, data_key_id, environment.value)


def _secret_associated(kind: str, owner_id: str, data_key_id: str) -> bytes:
    return _bytes_of("klucznik secret 1", IN_VAULT, kind, owner_id, data_key_id)


def _bound_to(binding: KeyBinding) -> tuple[str, str, str]:
    return binding.environment.value, binding.subject_type.value, binding.subject_value


def _bytes_of(*parts: str) -> bytes:
    """Each part with its length before it, so that no two lists of parts give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
