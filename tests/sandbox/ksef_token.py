"""The client's half of signing in with a KSeF token: the public key it needs and what it encrypts (facts.md §2.10)."""

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.sandbox.driver import CheckedClient


def public_key(http: CheckedClient, usage: str = "KsefTokenEncryption") -> dict[str, Any]:
    keys = http.get("/security/public-key-certificates").json()
    found: dict[str, Any] = next(key for key in keys if usage in key["usage"])
    return found


def encrypt(http: CheckedClient, plain: bytes, *, algorithm: hashes.HashAlgorithm | None = None) -> str:
    certificate = x509.load_der_x509_certificate(base64.b64decode(public_key(http)["certificate"]))
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    digest = algorithm or hashes.SHA256()
    return base64.b64encode(key.encrypt(plain, padding.OAEP(padding.MGF1(digest), digest, None))).decode()
