"""The check of a certificate request (PKCS#10): format, key, algorithm, subject, in this order (facts.md §3.5, §3.6).
Limits are none of its business; the codes are 25004, 25010, 25011 and 25003.
"""

import base64
import binascii
import re
from collections import Counter
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ksef_sandbox import der
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import Holder

CsrKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_RSA_ENCRYPTION, _EC_PUBLIC_KEY = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_SHA1, _SHA256, _SHA384, _SHA512 = hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()  # noqa: S303
_ECDSA: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.10045.4.1": _SHA1,
    "1.2.840.10045.4.3.2": _SHA256,
    "1.2.840.10045.4.3.3": _SHA384,
    "1.2.840.10045.4.3.4": _SHA512,
}
_RSA_PKCS1: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.5": _SHA1,
    "1.2.840.113549.1.1.11": _SHA256,
    "1.2.840.113549.1.1.12": _SHA384,
    "1.2.840.113549.1.1.13": _SHA512,
}
_HASHES = {algorithm.name for algorithm in _ECDSA.values()}
_PRINTABLE = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")
_STRING_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}

_SUBJECT_OIDS = {
    "common_name": "2.5.4.3",
    "surname": "2.5.4.4",
    "serial_number": "2.5.4.5",
    "country_name": "2.5.4.6",
    "organization_name": "2.5.4.10",
    "given_name": "2.5.4.42",
    "unique_identifier": "2.5.4.45",
    "organization_identifier": "2.5.4.97",
}


@dataclass(frozen=True, slots=True)
class CheckedCsr:
    """A request that passed every check."""

    public_key: CsrKey
    public_key_der: bytes  # SubjectPublicKeyInfo


def check(text: str, holder: Holder) -> CheckedCsr:
    """Check a request in Base64 against the data that `holder` was given; raises BadRequest."""
    data = _decode(text)
    raw = _read(data)
    try:
        csr = x509.load_der_x509_csr(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise BadRequest(25004) from error
    signature_valid = _signature_state(csr, raw)
    if signature_valid is False:
        raise BadRequest(25004)
    public_key = _check_key(csr, raw)
    _check_algorithm(csr, raw)
    if not signature_valid:  # allowed by name, yet with parameters that nobody can verify
        raise BadRequest(25004)
    if Counter(raw.subject) != Counter(expected_subject(holder)):
        raise BadRequest(25003)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return CheckedCsr(public_key, public_key.public_bytes(serialization.Encoding.DER, form))


def expected_subject(holder: Holder) -> list[tuple[str, str]]:
    """Attribute identifiers and values that the subject must have, no more and no fewer, in any order."""
    values = [(oid, getattr(holder, name)) for name, oid in _SUBJECT_OIDS.items()]
    return [(oid, value) for oid, value in values if value]


@dataclass(frozen=True, slots=True)
class _RawCsr:
    """What the libraries do not show, or forgive."""

    subject: list[tuple[str, str]]
    key_algorithm: str
    signature_algorithm: str


def _decode(text: str) -> bytes:
    # Line breaks are let through: real clients have sent them, and no source forbids them (facts.md §3.5).
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(25004) from error


def _read(data: bytes) -> _RawCsr:
    try:
        info, algorithm, _signature = der.read_whole(data).children()
        _version, subject, key = info.children()[:3]
        signature_oid, *signature_parameters = algorithm.children()
        key_oid = key.children()[0].children()[0]
        raw = _RawCsr(
            subject=[_attribute(item) for rdn in subject.children() for item in rdn.children()],
            key_algorithm=der.oid_text(key_oid.content),
            signature_algorithm=der.oid_text(signature_oid.content),
        )
    except (der.DerError, ValueError, IndexError) as error:
        raise BadRequest(25004) from error
    # RFC 5758 §3.2: no parameters with ECDSA; a NULL there was part of a request that KSeF refused (facts.md §3.5).
    if raw.signature_algorithm in _ECDSA and signature_parameters:
        raise BadRequest(25004)
    return raw


def _attribute(item: der.Element) -> tuple[str, str]:
    oid, value = item.children()
    if value.tag == der.PRINTABLE_STRING and not _PRINTABLE.fullmatch(value.content):
        raise der.DerError("PrintableString with other letters")
    if value.tag == der.BIT_STRING:
        return der.oid_text(oid.content), value.content[1:].hex().upper()
    if value.tag not in _STRING_ENCODINGS:
        raise der.DerError("not a string")
    return der.oid_text(oid.content), value.content.decode(_STRING_ENCODINGS[value.tag])


def _signature_state(csr: x509.CertificateSigningRequest, raw: _RawCsr) -> bool | None:
    """Whether the signature is true; None where the key, the algorithm or its parameters cannot be understood.

    Verified with the key itself: the library's own check of a CSR refuses SHA-1, which KSeF takes.
    """
    try:
        key = csr.public_key()
        signed, signature = csr.tbs_certrequest_bytes, csr.signature
        if isinstance(key, ec.EllipticCurvePublicKey) and raw.signature_algorithm in _ECDSA:
            key.verify(signature, signed, ec.ECDSA(_ECDSA[raw.signature_algorithm]))
        elif isinstance(key, rsa.RSAPublicKey) and raw.signature_algorithm in _RSA_PKCS1:
            key.verify(signature, signed, padding.PKCS1v15(), _RSA_PKCS1[raw.signature_algorithm])
        elif isinstance(key, rsa.RSAPublicKey) and raw.signature_algorithm == _RSASSA_PSS:
            return _pss_state(csr, key)
        else:
            return csr.is_signature_valid
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return None
    return True


def _pss_state(csr: x509.CertificateSigningRequest, key: rsa.RSAPublicKey) -> bool | None:
    scheme, algorithm = csr.signature_algorithm_parameters, csr.signature_hash_algorithm
    if not isinstance(scheme, padding.PSS) or algorithm is None:
        return None
    key.verify(csr.signature, csr.tbs_certrequest_bytes, scheme, algorithm)
    return True


def _check_key(csr: x509.CertificateSigningRequest, raw: _RawCsr) -> CsrKey:
    try:
        key = csr.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise BadRequest(25010) from error
    if isinstance(key, rsa.RSAPublicKey) and raw.key_algorithm == _RSA_ENCRYPTION and key.key_size == 2048:
        return key
    if (
        isinstance(key, ec.EllipticCurvePublicKey)
        and raw.key_algorithm == _EC_PUBLIC_KEY
        and key.curve.name == "secp256r1"
    ):
        return key
    raise BadRequest(25010)


def _check_algorithm(csr: x509.CertificateSigningRequest, raw: _RawCsr) -> None:
    if raw.signature_algorithm in _ECDSA or raw.signature_algorithm in _RSA_PKCS1:
        return
    if raw.signature_algorithm != _RSASSA_PSS or _hash_name(csr) not in _HASHES:
        raise BadRequest(25011)


def _hash_name(csr: x509.CertificateSigningRequest) -> str | None:
    try:
        algorithm = csr.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name if algorithm else None
