"""The certificate and key of TLS: read and checked before anybody connects."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from klucznik.errors import InputError


def tls_context(cert: Path, key: Path, *, now: datetime) -> ssl.SSLContext:
    """A context for a server; see `load` for what it raises."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, cert, key, now=now)
    return context


def load(context: ssl.SSLContext, cert: Path, key: Path, *, now: datetime) -> None:
    """Put the files into a context; connections that come afterwards use them.

    Raises:
        InputError: ``tls_file_unreadable``, ``tls_cert_malformed``, ``tls_key_malformed``, ``tls_key_encrypted``,
            ``tls_key_of_other_cert``, ``tls_cert_expired``, ``tls_cert_not_yet_valid``; nothing was changed.
    """
    certificate = _certificate(cert)
    if _public_key_in(key) != certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise InputError("tls_key_of_other_cert", cert=str(cert), key=str(key))
    if now > certificate.not_valid_after_utc:
        raise InputError("tls_cert_expired", file=str(cert), valid_to=certificate.not_valid_after_utc.isoformat())
    if now < certificate.not_valid_before_utc:
        raise InputError(
            "tls_cert_not_yet_valid", file=str(cert), valid_from=certificate.not_valid_before_utc.isoformat()
        )
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError:
        raise InputError("tls_cert_malformed", file=str(cert)) from None


def _certificate(file: Path) -> x509.Certificate:
    """The server's own, which stands first."""
    try:
        return x509.load_pem_x509_certificates(_read(file))[0]
    except (ValueError, IndexError):
        raise InputError("tls_cert_malformed", file=str(file)) from None


def _public_key_in(file: Path) -> bytes:
    try:
        private_key = load_pem_private_key(_read(file), password=None)
    except TypeError:
        raise InputError("tls_key_encrypted", file=str(file)) from None
    except ValueError:
        raise InputError("tls_key_malformed", file=str(file)) from None
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise InputError("tls_file_unreadable", file=str(file)) from None
