"""Reading PKCS#12 files (.p12, .pfx). Imported only when somebody gives one."""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates, load_pkcs12

from klucznik.errors import CredentialError
from klucznik.keys.derivation import is_too_costly
from klucznik.keys.generate import PrivateKey
from klucznik.keys.reading import checked_key
from klucznik.keys.recognise import is_pkcs12, looks_like


def open_pkcs12(content: bytes, password: bytes | None, file: str) -> tuple[list[x509.Certificate], PrivateKey]:
    """The certificates (of any number) and the key. A password that is not needed is ignored.

    Raises:
        CredentialError: ``not_a_pkcs12`` (``looks_like``), ``pkcs12_damaged``, ``password_needed``,
            ``password_wrong`` (damage in the middle of the file cannot be told from it), ``encryption_unsupported``,
            ``key_derivation_too_costly``, ``pkcs12_without_key``, ``pkcs12_without_certificate``, and those of
            `reading.checked_key`.
    """
    if not is_pkcs12(content):
        raise CredentialError("not_a_pkcs12", file=file, looks_like=looks_like(content))
    if is_too_costly(content, pkcs12=True):
        raise CredentialError("key_derivation_too_costly", file=file)
    outcome = _load(content, password)
    if isinstance(outcome, str):
        raise CredentialError(outcome, file=file)
    certificates = [entry.certificate for entry in (outcome.cert, *outcome.additional_certs) if entry is not None]
    if outcome.key is None:
        raise CredentialError("pkcs12_without_key", file=file)
    if not certificates:
        raise CredentialError("pkcs12_without_certificate", file=file)
    return certificates, checked_key(outcome.key, file)


def _load(content: bytes, password: bytes | None) -> PKCS12KeyAndCertificates | str:
    """The content, or the reason why there is none: errors of the library never leave this function."""
    for candidate in (password, None) if password else (None,):
        try:
            # The library warns of BER, which older programs write and which it reads well.
            with warnings.catch_warnings(action="ignore"):
                return load_pkcs12(content, candidate)
        except UnsupportedAlgorithm:
            return "encryption_unsupported"
        except (ValueError, TypeError) as error:
            if str(error).startswith("Could not deserialize"):
                return "pkcs12_damaged"
    return "password_wrong" if password else "password_needed"
