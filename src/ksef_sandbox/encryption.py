"""The public keys under which clients encrypt for this KSeF, and decryption of what they send (facts.md §2.10).
Keys are made when first asked for: they cost a tenth of a second, and most tests never need them.
"""

import base64
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ksef_sandbox.records import EncryptionKey
from ksef_sandbox.state import World

TOKEN_USAGE = "KsefTokenEncryption"  # noqa: S105  (a usage, no secret)
SYMMETRIC_KEY_USAGE = "SymmetricKeyEncryption"
_RSA_BITS = 2048
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


@dataclass(frozen=True, slots=True)
class PublicKeyCertificate:
    """What GET /security/public-key-certificates tells of one key; ids are Base64 of SHA-256, 44 characters."""

    usage: str
    der: str  # Base64
    certificate: x509.Certificate
    certificate_id: str
    public_key_id: str


def public_keys(world: World) -> list[PublicKeyCertificate]:
    """The certificates of all keys in use."""
    return [_public(key) for key in _keys(world)]


def decrypt_token(world: World, encrypted: bytes) -> bytes:
    """Undo RSA-OAEP with SHA-256 and MGF1-SHA-256; raises ValueError for anything else."""
    key = next(key for key in _keys(world) if key.usage == TOKEN_USAGE)
    private_key = serialization.load_pem_private_key(key.key_pem.encode(), password=None)
    if not isinstance(private_key, rsa.RSAPrivateKey):
        raise TypeError("the key for KSeF tokens is not an RSA key")
    return private_key.decrypt(encrypted, _OAEP)


def _keys(world: World) -> tuple[EncryptionKey, ...]:
    if not world.encryption_keys:
        world.encryption_keys = tuple(_make(world, usage) for usage in (TOKEN_USAGE, SYMMETRIC_KEY_USAGE))
        world.save_settings()
    return world.encryption_keys


def _make(world: World, usage: str) -> EncryptionKey:
    key = rsa.generate_private_key(65537, _RSA_BITS)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    certificate = world.ca.issue_for_encryption(key.public_key(), usage, world.randomness.certificate_serial())
    return EncryptionKey(
        usage=usage,
        key_pem=key.private_bytes(encoding, form, serialization.NoEncryption()).decode(),
        der=base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode(),
    )


def _public(key: EncryptionKey) -> PublicKeyCertificate:
    der = base64.b64decode(key.der)
    certificate = x509.load_der_x509_certificate(der)
    info = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKeyCertificate(key.usage, key.der, certificate, _sha256(der), _sha256(info))


def _sha256(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return base64.b64encode(digest.finalize()).decode()
