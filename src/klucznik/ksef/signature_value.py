"""The arithmetic of a signature on an XML document: the algorithms that KSeF takes (facts.md §2.4), and the check."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from klucznik.errors import SignedDocumentError

SHORTEST_RSA = 2048
SHORTEST_EC = 256

_XMLDSIG, _XMLENC = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/04/xmlenc#"
_MORE, _MORE_2007 = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2007/05/xmldsig-more#"
_MORE_2021 = "http://www.w3.org/2021/04/xmldsig-more#"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  KSeF still takes it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
_DIGESTS = {
    f"{_XMLDSIG}sha1": "sha1",
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
    f"{_MORE_2007}sha3-256": "sha3-256",
    f"{_MORE_2007}sha3-384": "sha3-384",
    f"{_MORE_2007}sha3-512": "sha3-512",
}


@dataclass(frozen=True)
class Method:
    """One SignatureMethod.

    Attributes:
        kind: ``rsa``, ``rsa-pss`` or ``ec``.
        hash: a key of the table of hashes.
    """

    kind: str
    hash: str


_METHODS = {
    f"{_XMLDSIG}rsa-sha1": Method("rsa", "sha1"),
    **{f"{_MORE}rsa-{name}": Method("rsa", name) for name in ("sha256", "sha384", "sha512")},
    **{f"{_MORE_2007}{name}-rsa-MGF1": Method("rsa-pss", name) for name in _HASHES},
    **{f"{_MORE}ecdsa-{name}": Method("ec", name) for name in ("sha1", "sha256", "sha384", "sha512")},
    **{f"{_MORE_2021}ecdsa-{name}": Method("ec", name) for name in ("sha3-256", "sha3-384", "sha3-512")},
}


def method_of(algorithm: str) -> Method:
    """Raises SignedDocumentError ``signed_algorithm``: KSeF does not take it."""
    if algorithm not in _METHODS:
        raise SignedDocumentError("signed_algorithm", algorithm=algorithm[:100])
    return _METHODS[algorithm]


def digest(algorithm: str, data: bytes) -> bytes:
    """Raises SignedDocumentError ``signed_algorithm``: KSeF does not take it."""
    if algorithm not in _DIGESTS:
        raise SignedDocumentError("signed_algorithm", algorithm=algorithm[:100])
    return hashlib.new(_DIGESTS[algorithm].replace("sha3-", "sha3_"), data, usedforsecurity=False).digest()


def check_key(certificate: x509.Certificate, method: Method) -> None:
    """Whether KSeF takes the certificate's key.

    Raises:
        SignedDocumentError: ``signed_key_too_short``, ``signed_key_kind``.
    """
    key = _key_of(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        kind, needed, bits = "rsa", SHORTEST_RSA, key.key_size
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind, needed, bits = "ec", SHORTEST_EC, key.key_size
    else:
        raise SignedDocumentError("signed_key_kind")
    if bits < needed:
        raise SignedDocumentError("signed_key_too_short", kind=kind.upper(), bits=bits, needed=needed)
    if not method.kind.startswith(kind):
        raise SignedDocumentError("signed_key_kind")


def fits(value: bytes, data: bytes, certificate: x509.Certificate, method: Method) -> bool:
    """Whether `value` is the signature of `data` by the certificate's key, written as XML signatures write it."""
    key = _key_of(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey):
        half = (key.key_size + 7) // 8
        if len(value) != 2 * half:
            return False
        r, s = int.from_bytes(value[:half]), int.from_bytes(value[half:])
        value = encode_dss_signature(r, s)
    return _verifies(value, data, key, method)


def fits_as_der(value: bytes, data: bytes, certificate: x509.Certificate, method: Method) -> bool:
    """Whether it is one of ECDSA, but written as elsewhere: DER instead of the two numbers side by side."""
    key = _key_of(certificate)
    return isinstance(key, ec.EllipticCurvePublicKey) and _verifies(value, data, key, method)


def _verifies(value: bytes, data: bytes, key: object, method: Method) -> bool:
    algorithm = _HASHES[method.hash]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and method.kind == "ec":
            key.verify(value, data, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and method.kind == "rsa":
            key.verify(value, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and method.kind == "rsa-pss":
            key.verify(value, data, padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO), algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _key_of(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
