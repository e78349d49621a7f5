"""A private key that cannot leave its card or HSM, in the form in which the libraries take any other private key.

So everything that signs (XAdES, CSR, KOD II) needs to know nothing of tokens. Only digests go to the token; what comes
back is verified here. Talking to tokens is the work of `pkcs11`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NoReturn, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from klucznik.domain.key_uri import KeyUri
from klucznik.errors import Pkcs11Error

# RFC 8017, section 9.2, note 1: what stands before a SHA-256 digest that is signed with PKCS#1 v1.5.
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_SALT = 32


class Scheme(Enum):
    """How a token signs what it is given."""

    ECDSA = "ecdsa"  # a digest; R||S comes back
    RSA_PKCS1 = "rsa_pkcs1"  # a DigestInfo
    RSA_PSS_SHA256 = "rsa_pss_sha256"  # a SHA-256 digest; the salt has 32 bytes


SignOnToken: TypeAlias = Callable[[Scheme, bytes], bytes]


class _OnToken:
    """What both kinds have in common: where the key is, and that it stays there."""

    def __init__(self, uri: KeyUri, sign_on_token: SignOnToken) -> None:
        self.uri = uri
        self._sign_on_token = sign_on_token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a key on a token is not pickled")

    def private_numbers(self) -> NoReturn:
        """Raises Pkcs11Error ``pkcs11_key_stays``."""
        self._stays()

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        """Raises Pkcs11Error ``pkcs11_key_stays``."""
        self._stays()

    def _stays(self) -> NoReturn:
        raise Pkcs11Error("pkcs11_key_stays", key=str(self.uri))

    def _cannot(self) -> NoReturn:
        raise Pkcs11Error("pkcs11_mechanism_unsupported", key=str(self.uri))


class EcTokenKey(_OnToken, ec.EllipticCurvePrivateKey):
    """An EC key on a token."""

    def __init__(self, uri: KeyUri, public_key: ec.EllipticCurvePublicKey, sign_on_token: SignOnToken) -> None:
        super().__init__(uri, sign_on_token)
        self._public_key = public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def exchange(self, *_: object) -> NoReturn:
        self._cannot()

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # type: ignore[override]
        """An ECDSA signature in DER; raises Pkcs11Error."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            self._cannot()
        raw = self._sign_on_token(Scheme.ECDSA, _digest(algorithm, bytes(data)))
        half = len(raw) // 2
        signature = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        try:
            self._public_key.verify(signature, data, signature_algorithm)
        except InvalidSignature:
            raise Pkcs11Error("pkcs11_signature_wrong", key=str(self.uri)) from None
        return signature


class RsaTokenKey(_OnToken, rsa.RSAPrivateKey):
    """An RSA key on a token. Signs with SHA-256, by PKCS#1 v1.5 or PSS."""

    def __init__(self, uri: KeyUri, public_key: rsa.RSAPublicKey, sign_on_token: SignOnToken) -> None:
        super().__init__(uri, sign_on_token)
        self._public_key = public_key

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    def decrypt(self, *_: object) -> NoReturn:
        self._cannot()

    def sign(self, data: bytes, padding: padding.AsymmetricPadding, algorithm: hashes.HashAlgorithm) -> bytes:  # type: ignore[override]
        """An RSA signature; raises Pkcs11Error."""
        if not isinstance(algorithm, hashes.SHA256):
            self._cannot()
        digest = _digest(algorithm, bytes(data))
        if _is_pss(padding):
            signature = self._sign_on_token(Scheme.RSA_PSS_SHA256, digest)
        else:
            signature = self._sign_on_token(Scheme.RSA_PKCS1, _DIGEST_INFO + digest)
        try:
            self._public_key.verify(signature, data, padding, algorithm)
        except InvalidSignature:
            raise Pkcs11Error("pkcs11_signature_wrong", key=str(self.uri)) from None
        return signature


TokenKey: TypeAlias = EcTokenKey | RsaTokenKey


def _is_pss(given: padding.AsymmetricPadding) -> bool:
    return isinstance(given, padding.PSS)


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()
