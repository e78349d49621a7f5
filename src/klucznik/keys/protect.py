"""A private key under a password, in the two forms that every program reads, with as much work as they allow.

The library's own count, 2048 rounds, lets a thief try millions of passwords a second. Writing files is in `export`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from klucznik.keys import der
from klucznik.keys.generate import PrivateKey

PEM_ROUNDS = 600_000
# .NET 9 refuses a PKCS#12 above 300,000 rounds for one step or 1,000,000 for all (Pkcs12LoaderLimits); there are three.
PKCS12_ROUNDS = 250_000

_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES_256_CBC = bytes.fromhex("60864801650304012a")
_SHA256 = bytes.fromhex("608648016503040201")


def encrypted_key_pem(private_key: PrivateKey, password: bytes) -> bytes:
    """Encrypted PKCS#8 in PEM: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018)."""
    plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(16)
    secret = hashlib.pbkdf2_hmac("sha256", password, salt, PEM_ROUNDS, 32)
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES256(secret), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _algorithm(
        _PBKDF2, der.element(der.OCTETS, salt), der.integer(PEM_ROUNDS), _algorithm(_HMAC_SHA256, None)
    )
    scheme = der.element(der.SEQUENCE, der.element(der.OID, _AES_256_CBC), der.element(der.OCTETS, iv))
    info = der.element(der.SEQUENCE, _algorithm(_PBES2, derivation, scheme), der.element(der.OCTETS, encrypted))
    return _pem("ENCRYPTED PRIVATE KEY", info)


def pkcs12(name: str, certificate: x509.Certificate, private_key: PrivateKey, password: str) -> bytes:
    """PKCS#12 with AES-256-CBC (PBES2) and an SHA-256 MAC (RFC 7292); ``name`` is the alias inside."""
    from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

    protection = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(PKCS12_ROUNDS)
        .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    file = serialize_key_and_certificates(name.encode(), private_key, certificate, None, protection)
    return _with_strong_mac(file, password)


def _with_strong_mac(file: bytes, password: str) -> bytes:
    """The same file with a MAC of `PKCS12_ROUNDS`: the library's 2048 would be the cheap way to try passwords."""
    body, _ = der.split(file)
    version, after_version = der.split(body)
    safe, _ = der.split(after_version)
    _, explicit = der.split(safe)
    content, _ = der.split(der.split(explicit)[0])
    salt = secrets.token_bytes(16)
    mac = hmac.digest(_mac_key(password, salt), content, "sha256")
    digest = der.element(der.SEQUENCE, _algorithm(_SHA256, None), der.element(der.OCTETS, mac))
    mac_data = der.element(der.SEQUENCE, digest, der.element(der.OCTETS, salt), der.integer(PKCS12_ROUNDS))
    return der.element(der.SEQUENCE, der.element(der.INTEGER, version), der.element(der.SEQUENCE, safe), mac_data)


def _mac_key(password: str, salt: bytes) -> bytes:
    """RFC 7292 appendix B.2 for purpose 3 and SHA-256, whose single output block is the key."""
    block = b"\x03" * 64 + _repeated(salt) + _repeated(password.encode("utf-16-be") + b"\0\0")
    for _ in range(PKCS12_ROUNDS):
        block = hashlib.sha256(block).digest()
    return block


def _repeated(text: bytes) -> bytes:
    size = -(-len(text) // 64) * 64
    return (text * (size // len(text) + 1))[:size]


def _algorithm(identifier: bytes, *parameters: bytes | None) -> bytes:
    """An AlgorithmIdentifier; the parameters are a sequence, or NULL where None is given."""
    given = der.element(der.NULL) if parameters == (None,) else der.element(der.SEQUENCE, *filter(None, parameters))
    return der.element(der.SEQUENCE, der.element(der.OID, identifier), given)


def _pem(label: str, content: bytes) -> bytes:
    text = base64.b64encode(content).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()
