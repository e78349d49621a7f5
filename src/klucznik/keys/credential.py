"""What a user signs in with: a certificate and its private key, in two files, in a PKCS#12, on a card or an HSM.

File formats live in `reading` and `pkcs12`; a certificate that is only to be kept is judged in `import_`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from klucznik.domain.certificates import CertificateType
from klucznik.domain.key_uri import KeyUri
from klucznik.errors import CredentialError, Pkcs11Error
from klucznik.keys.generate import PrivateKey
from klucznik.keys.holder import Holder, read_holder
from klucznik.keys.ksef_certificate import KsefCertificateFacts, inspect_ksef_certificate
from klucznik.keys.pkcs11 import Pkcs11
from klucznik.keys.reading import File, certificates_in, checked_key, holds_key, key_in, read_file
from klucznik.keys.recognise import looks_like


@dataclass(frozen=True)
class KeyPair:
    """A certificate and the private key that belongs to it, and the files they came from (of a token: the URI)."""

    certificate: x509.Certificate = field(repr=False)
    private_key: PrivateKey = field(repr=False)
    certificate_file: str
    key_file: str


@dataclass(frozen=True)
class Credential(KeyPair):
    """A pair that may sign in now.

    Attributes:
        holder: whose it is; ``holder.subject`` is None for a certificate that signs in by its fingerprint only.
    """

    holder: Holder


def load_credential(
    *,
    cert: File | None = None,
    key: File | KeyUri | None = None,
    p12: File | None = None,
    password: bytes | None,
    pkcs11: Pkcs11 | None = None,
    now: datetime,
) -> Credential:
    """A credential that can sign in at ``now``.

    Args:
        cert: PEM, DER or base64; of several certificates the one of the key is taken. May hold the key as well.
        key: PKCS#8, SEC1 or PKCS#1, encrypted or not; or a key on a token, whose certificate may be there too.
        p12: instead of both.
        password: of the key or the PKCS#12, or the token's PIN; ignored where none is needed.
        pkcs11: leads to tokens; None: only to those whose URI names the library.

    Raises:
        CredentialError: what `load_pair` raises; ``certificate_expired``, ``certificate_not_yet_valid``;
            ``offline_certificate_cannot_sign_in`` (``serial``).
    """
    pair = load_pair(cert=cert, key=key, p12=p12, password=password, pkcs11=pkcs11)
    facts = read_facts(pair)
    check_validity(facts, pair.certificate_file, now)
    if facts.issued_by_ksef and facts.type is CertificateType.OFFLINE:
        # Only KSeF's own: a qualified signature has the same keyUsage and signs in well.
        raise CredentialError(
            "offline_certificate_cannot_sign_in", file=pair.certificate_file, serial=facts.serial_number
        )
    holder = read_holder(pair.certificate)
    return Credential(pair.certificate, pair.private_key, pair.certificate_file, pair.key_file, holder)


def load_pair(
    *,
    cert: File | None = None,
    key: File | KeyUri | None = None,
    p12: File | None = None,
    password: bytes | None,
    pkcs11: Pkcs11 | None = None,
) -> KeyPair:
    """A certificate with its key, whatever the certificate may be good for.

    Raises:
        CredentialError: ``credential_not_given``, ``credential_given_twice`` (a PKCS#12 and other files),
            ``certificate_not_given``, ``key_not_given``, ``certificate_and_key_swapped``, ``not_a_certificate``
            (``looks_like``), ``key_does_not_match``, and those of `reading` and `pkcs12`.
        Pkcs11Error: ``pkcs11_certificate_missing`` and those of `pkcs11`.
    """
    if p12 is not None:
        if cert is not None or key is not None:
            raise CredentialError("credential_given_twice", file=str(p12))
        from klucznik.keys.pkcs12 import open_pkcs12

        certificates, private_key = open_pkcs12(read_file(p12), password, str(p12))
        return KeyPair(matching(certificates, private_key, str(p12), str(p12)), private_key, str(p12), str(p12))
    if isinstance(key, KeyUri):
        return _on_token(cert, key, password, pkcs11 or Pkcs11(None))
    if cert is None:
        raise CredentialError("credential_not_given" if key is None else "certificate_not_given")
    return _two_files(cert, key, password)


def read_facts(pair: KeyPair) -> KsefCertificateFacts:
    """The facts of the pair's certificate; ``certificate_damaged`` where its names cannot be read."""
    try:
        return inspect_ksef_certificate(pair.certificate)
    except ValueError:
        pass
    raise CredentialError("certificate_damaged", file=pair.certificate_file)


def check_validity(facts: KsefCertificateFacts, file: str, now: datetime) -> None:
    """Raise ``certificate_expired`` (``valid_to``) or ``certificate_not_yet_valid`` (``valid_from``)."""
    if now > facts.valid_to:
        raise CredentialError("certificate_expired", file=file, valid_to=_moment(facts.valid_to))
    if now < facts.valid_from:
        raise CredentialError("certificate_not_yet_valid", file=file, valid_from=_moment(facts.valid_from))


def matching(
    certificates: list[x509.Certificate], private_key: PrivateKey, certificate_file: str, key_file: str
) -> x509.Certificate:
    """The certificate of the key; of several the one that lasts longest (renewed with the same key)."""
    own = [certificate for certificate in certificates if _belongs(certificate, private_key)]
    if not own:
        raise CredentialError("key_does_not_match", file=certificate_file, key_file=key_file)
    return max(own, key=lambda certificate: certificate.not_valid_after_utc)


def _two_files(cert: File, key: File | None, password: bytes | None) -> KeyPair:
    content = read_file(cert)
    key_path = key or cert
    key_content = read_file(key) if key is not None else content
    certificates = certificates_in(content, str(cert))
    if not certificates:
        if key is not None and holds_key(content) and certificates_in(key_content, str(key)):
            raise CredentialError("certificate_and_key_swapped", file=str(cert), key_file=str(key))
        raise CredentialError("not_a_certificate", file=str(cert), looks_like=_seems(content))
    if key is None and not holds_key(content):
        raise CredentialError("key_not_given", file=str(cert))
    private_key = key_in(key_content, password, str(key_path))
    certificate = matching(certificates, private_key, str(cert), str(key_path))
    return KeyPair(certificate, private_key, str(cert), str(key_path))


def _on_token(cert: File | None, uri: KeyUri, pin: bytes | None, pkcs11: Pkcs11) -> KeyPair:
    given = [] if cert is None else certificates_in(content := read_file(cert), str(cert))
    if cert is not None and not given:
        raise CredentialError("not_a_certificate", file=str(cert), looks_like=_seems(content))
    private_key = pkcs11.key(uri, None if pin is None else pin.decode("utf-8", "replace"), next(iter(given), None))
    if cert is not None:
        certificate, file = matching(given, private_key, str(cert), str(uri)), str(cert)
    else:
        on_token = pkcs11.certificate(uri, private_key)
        if on_token is None:
            raise Pkcs11Error("pkcs11_certificate_missing", key=str(uri))
        certificate, file = on_token, str(uri)
    return KeyPair(certificate, checked_key(private_key, str(uri)), file, str(uri))


def _seems(content: bytes) -> str | None:
    return "private_key" if holds_key(content) else looks_like(content)


def _belongs(certificate: x509.Certificate, private_key: PrivateKey) -> bool:
    try:
        return certificate.public_key() == private_key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False  # a kind of key that nobody here signs with


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
