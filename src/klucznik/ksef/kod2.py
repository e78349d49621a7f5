"""KOD II: the link in the second QR code of an offline invoice, signed with an Offline certificate (facts.md §8).

Making and checking the text of the link; drawing the code is for others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from klucznik.domain.certificates import parse_serial
from klucznik.domain.identifiers import Context, parse_nip
from klucznik.domain.values import InvalidValue
from klucznik.errors import CredentialError, VerificationFailed

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
VerifyingKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_PSS = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
_HALF = 32  # bytes of R, and of S, on P-256
_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d{1,5})?", re.ASCII)
# NIP, NIP-ddddd, NIP-XX… (a VAT number may hold + and *), Peppol identifier.
_CONTEXT_VALUE = re.compile(r"[A-Z0-9\-+*]{1,40}", re.ASCII)
_LINK = re.compile(
    r"https://(?P<message>(?P<qr_host>[^/]+)/certificate/(?P<context_type>Nip|InternalId|NipVatUe|PeppolId)"
    r"/(?P<context_value>[^/]+)/(?P<seller_nip>[1-9][0-9]{9})/(?P<serial_number>[0-9A-F]{16})"
    r"/(?P<invoice_hash>[A-Za-z0-9_-]{43}))/(?P<signature>[A-Za-z0-9_-]{64,2048})"
)


@dataclass(frozen=True)
class Kod2Link:
    """The parts of a KOD II link.

    Attributes:
        qr_host: host of the environment; it is signed, so a link is worthless in another environment.
        invoice_hash: SHA-256 of the exact bytes of the invoice.
        message: the signed text, from the host to the slash before the signature.
    """

    qr_host: str
    context_type: str
    context_value: str
    seller_nip: str
    serial_number: str
    invoice_hash: bytes
    message: str
    signature: bytes = field(repr=False)


def sign_link(
    *,
    qr_host: str,
    context: Context,
    seller_nip: str,
    serial_number: str,
    invoice: bytes,
    private_key: SigningKey,
) -> str:
    """A signed KOD II link.

    Args:
        qr_host: host (and port) of the environment, `Endpoint.qr_host`.
        context: whom the signer acts for.
        serial_number: of the Offline certificate, 16 hexadecimal digits.
        invoice: the invoice, byte for byte as it will be sent to KSeF.
        private_key: of that certificate: EC P-256 (signature R||S) or RSA from 2048 bits (PSS, salt 32).

    Raises:
        InvalidValue: ``qr_host_malformed``, ``context_malformed``, ``nip_malformed`` or ``serial_malformed``.
        CredentialError: ``signing_key_unsupported``.
    """
    if not _HOST.fullmatch(qr_host):
        raise InvalidValue("qr_host_malformed", value=qr_host[:100])
    if not _CONTEXT_VALUE.fullmatch(context.value):
        raise InvalidValue("context_malformed", value=context.value[:60])
    message = "/".join(
        (
            qr_host,
            "certificate",
            context.type.value,
            context.value,
            parse_nip(seller_nip),
            parse_serial(serial_number),
            _encode(hashlib.sha256(invoice).digest()),
        )
    )
    return f"https://{message}/{_encode(_sign(message.encode(), private_key))}"


def parse_link(link: str) -> Kod2Link:
    """The parts of ``link``, which must be exactly of KSeF's form: no trailing slash, no padding, no spare bits.

    Raises:
        VerificationFailed: ``kod2_link_malformed``.
    """
    found = _LINK.fullmatch(link)
    if found is None or not _HOST.fullmatch(found["qr_host"]) or not _CONTEXT_VALUE.fullmatch(found["context_value"]):
        raise VerificationFailed("kod2_link_malformed")
    return Kod2Link(
        qr_host=found["qr_host"],
        context_type=found["context_type"],
        context_value=found["context_value"],
        seller_nip=found["seller_nip"],
        serial_number=found["serial_number"],
        invoice_hash=_decode(found["invoice_hash"]),
        message=found["message"],
        signature=_decode(found["signature"]),
    )


def verify_link(link: str, public_key: VerifyingKey, *, invoice: bytes | None) -> None:
    """Check that ``link`` was signed with the key of ``public_key`` and, when given, for ``invoice``.

    Whether the certificate is active and its owner may issue invoices, only KSeF can tell, at the time of scanning.

    Raises:
        VerificationFailed: ``kod2_link_malformed``, ``kod2_invoice_differs``, ``kod2_key_unsupported`` or
            ``kod2_signature_wrong``.
    """
    parts = parse_link(link)
    if invoice is not None and hashlib.sha256(invoice).digest() != parts.invoice_hash:
        raise VerificationFailed("kod2_invoice_differs")
    if not _verified(parts.signature, parts.message.encode(), public_key):
        raise VerificationFailed("kod2_signature_wrong")


def _sign(message: bytes, private_key: SigningKey) -> bytes:
    """The keys hash by themselves: a digest given here would be hashed twice (facts.md §8)."""
    if isinstance(private_key, rsa.RSAPrivateKey) and private_key.key_size >= 2048:
        return private_key.sign(message, _PSS, SHA256())
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and isinstance(private_key.curve, ec.SECP256R1):
        r, s = decode_dss_signature(private_key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    raise CredentialError("signing_key_unsupported")


def _verified(signature: bytes, message: bytes, public_key: VerifyingKey) -> bool:
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size >= 2048:
        return _holds_rsa(signature, message, public_key)
    if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1):
        if len(signature) == 2 * _HALF:
            halves = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
            if _holds_ec(encode_dss_signature(*halves), message, public_key):
                return True
        return _holds_ec(signature, message, public_key)
    raise VerificationFailed("kod2_key_unsupported")


def _holds_rsa(signature: bytes, message: bytes, public_key: rsa.RSAPublicKey) -> bool:
    try:
        public_key.verify(signature, message, _PSS, SHA256())
    except InvalidSignature:
        return False
    return True


def _holds_ec(signature: bytes, message: bytes, public_key: ec.EllipticCurvePublicKey) -> bool:
    try:
        public_key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        data = b""
    # A spare bit that is set would let two different links pass for the same (facts.md §8, issue 614).
    if not data or _encode(data) != text:
        raise VerificationFailed("kod2_link_malformed")
    return data
