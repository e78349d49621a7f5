"""What a file is by its first bytes and PEM labels: for reading it, and for telling people what they gave instead.

Nothing is decrypted or trusted here.
"""

from __future__ import annotations

import re
import warnings

CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
KEY_LABELS = frozenset({"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"})

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_OF_LABEL = {
    **dict.fromkeys(CERTIFICATE_LABELS, "certificate"),
    **dict.fromkeys(KEY_LABELS, "private_key"),
    "CERTIFICATE REQUEST": "certificate_request",
    "NEW CERTIFICATE REQUEST": "certificate_request",
    "PUBLIC KEY": "public_key",
    "RSA PUBLIC KEY": "public_key",
    "PKCS7": "pkcs7",
    "CMS": "pkcs7",
    "X509 CRL": "revocation_list",
    "OPENSSH PRIVATE KEY": "openssh_key",
    "SSH2 ENCRYPTED PRIVATE KEY": "openssh_key",
    "PGP PRIVATE KEY BLOCK": "pgp_key",
    "PGP PUBLIC KEY BLOCK": "pgp_key",
}
_OF_START = (
    (b"PK\x03\x04", "zip"),
    (b"%PDF", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfe\xed\xfe\xed", "java_keystore"),
    (b"PuTTY-User-Key-File", "putty_key"),
    (b"ssh-", "openssh_key"),
    (b"ecdsa-sha2-", "openssh_key"),
    (b"\xff\xfe", "utf16_text"),
    (b"\xfe\xff", "utf16_text"),
)


def pem_blocks(content: bytes) -> list[tuple[str, bytes]]:
    """The PEM blocks of a file with their labels; text around them (bag attributes, a byte order mark) is left out."""
    return [(match[1].decode(), match[0]) for match in _BLOCK.finditer(content)]


def looks_like(content: bytes) -> str | None:
    """What the file seems to be, as the name of a message; None when nothing is recognised.

    One of certificate, certificate_request, gzip, html, java_keystore, openssh_key, pdf, pgp_key, pkcs12, pkcs7,
    private_key, public_key, putty_key, revocation_list, truncated_pem, utf16_text, xml, zip.
    """
    blocks = pem_blocks(content)
    if blocks:
        return _OF_LABEL.get(blocks[0][0])
    if _BEGIN.search(content):
        return "truncated_pem"
    for start, kind in _OF_START:
        if content.startswith(start):
            return kind
    return _of_text(content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()) or _of_der(content)


def is_pkcs12(content: bytes) -> bool:
    """Whether a file starts as a PKCS#12 does: a sequence, then version 3."""
    if content[:1] != b"\x30" or len(content) < 2:
        return False
    length_bytes = content[1] & 0x7F if content[1] & 0x80 else 0
    return content[2 + length_bytes :][:3] == b"\x02\x01\x03"


def _of_text(start: bytes) -> str | None:
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return "xml" if start.startswith(b"<?xml") else None


def _of_der(content: bytes) -> str | None:
    if is_pkcs12(content):
        return "pkcs12"
    if content[:1] != b"\x30":
        return None
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    for load, kind in (
        (x509.load_der_x509_certificate, "certificate"),
        (x509.load_der_x509_csr, "certificate_request"),
        (x509.load_der_x509_crl, "revocation_list"),
        (load_der_public_key, "public_key"),
    ):
        try:
            with warnings.catch_warnings(action="ignore"):
                load(content)
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
            continue
        return kind
    return None
