"""The request that signs in with a KSeF token, which is encrypted for KSeF alone (facts.md §2.10).

Of KSeF's key everything is checked that can be: kind, size, dates, its own name. Whose it is, TLS alone says: KSeF
publishes no authority that these certificates lead to.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from klucznik.domain.identifiers import Context
from klucznik.domain.ksef_token import KsefToken
from klucznik.errors import KsefUnavailable
from klucznik.ksef.answers import Challenge, PublicKeyCertificate

USAGE = "KsefTokenEncryption"
_MIN_BITS = 2048
_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


def token_request(
    token: KsefToken,
    challenge: Challenge,
    context: Context,
    keys: Sequence[PublicKeyCertificate],
    *,
    host: str,
    now: datetime,
) -> dict[str, object]:
    """``InitTokenAuthenticationRequest``.

    Args:
        keys: all that KSeF names; the one of the right usage, valid now, with the latest start is taken.

    Raises:
        KsefUnavailable: ``token_key_missing``: none of them can be used.
    """
    usable = [
        (one, key) for one in keys if USAGE in one.usage and one.valid_from <= now < one.valid_to for key in _key(one)
    ]
    if not usable:
        raise KsefUnavailable("token_key_missing", host=host)
    chosen, public_key = max(usable, key=lambda pair: pair[0].valid_from)
    plain = f"{token.text}|{challenge.timestamp_ms}".encode()
    return {
        "challenge": challenge.value,
        "contextIdentifier": {"type": context.type.value, "value": context.value},
        "encryptedToken": base64.b64encode(public_key.encrypt(plain, _OAEP)).decode("ascii"),
        "publicKeyId": chosen.key_id,
    }


def _key(named: PublicKeyCertificate) -> list[rsa.RSAPublicKey]:
    """The key of a certificate that is what the answer says of it; nothing otherwise."""
    try:
        certificate = x509.load_der_x509_certificate(named.der)
        key = certificate.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return []
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_BITS:
        return []
    return [key] if hmac.compare_digest(key_id_of(key), named.key_id) else []


def key_id_of(key: rsa.RSAPublicKey) -> str:
    """Base64 of the SHA-256 of the SubjectPublicKeyInfo, as KSeF names its keys."""
    digest = Hash(SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return base64.b64encode(digest.finalize()).decode("ascii")
