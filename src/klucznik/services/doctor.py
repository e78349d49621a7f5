"""Says what files are, whose, whether they belong together, what is wrong with them and what they are good for.

Sends nothing, keeps nothing, opens no installation. Of what is secret in a file nothing is in a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType, pesel_checksum_ok
from klucznik.domain.ksef_token import parse_token
from klucznik.domain.values import InvalidValue
from klucznik.errors import CredentialError, KlucznikError
from klucznik.keys import names
from klucznik.keys.generate import PrivateKey
from klucznik.keys.holder import HolderKind, read_holder
from klucznik.keys.ksef_certificate import KsefCertificateFacts, inspect_ksef_certificate
from klucznik.keys.reading import certificates_in, holds_key, key_in, read_file
from klucznik.keys.recognise import is_pkcs12, looks_like

Value = TypeVar("Value")


class Role(StrEnum):
    """What a certificate is."""

    AUTHENTICATION = "authentication"  # KSeF's, to sign in
    OFFLINE = "offline"  # KSeF's, to sign offline invoices
    SELF_SIGNED = "self_signed"
    PERSON = "person"  # somebody's signature, qualified for all that can be seen here
    SEAL = "seal"
    OTHER = "other"  # nobody that KSeF would recognise


class Use(StrEnum):
    """What a certificate with its key is good for now."""

    SIGN_IN = "sign_in"
    SIGN_IN_ON_TEST = "sign_in_on_test"
    SIGN_IN_BY_FINGERPRINT = "sign_in_by_fingerprint"
    SIGN_OFFLINE = "sign_offline"
    IMPORT = "import"


@dataclass(frozen=True)
class CertificateFinding:
    """One certificate.

    Attributes:
        environment: None where the issuer names none: certificates that KSeF did not issue belong to none.
        key_file: where its private key is, among the files.
        mistyped: the PESEL in it has a wrong check digit; KSeF does not mind.
    """

    role: Role
    subject: Subject | None
    common_name: str | None
    serial_number: str
    environment: Environment | None
    valid_from: datetime
    valid_to: datetime
    key_file: str | None = None
    uses: tuple[Use, ...] = ()
    mistyped: bool = False


@dataclass(frozen=True)
class FileFinding:
    """One file.

    Attributes:
        kind: certificate, private_key, pkcs12, ksef_token, sign_in_document, or as `recognise.looks_like`; None: not
            recognised.
        key: ``EC 256`` or ``RSA 2048``, where there is a private key that could be read.
        reference: of a token or of the challenge in a document; no secret.
        context: the company that a token opens.
        problems: what is wrong, as errors that have words.
    """

    file: str
    kind: str | None = None
    certificates: tuple[CertificateFinding, ...] = ()
    key: str | None = None
    reference: str | None = None
    context: Context | None = None
    problems: tuple[KlucznikError, ...] = ()


@dataclass
class _Read:
    """A file and what came out of it, while the others are still to be read."""

    finding: FileFinding
    certificates: list[x509.Certificate] = field(default_factory=list)
    key: PrivateKey | None = field(default=None, repr=False)


def examine(
    files: Sequence[Path], *, password: Callable[[str], bytes | None], environment: Environment, now: datetime
) -> list[FileFinding]:
    """Look at files one by one, and then at which of them belong together.

    Args:
        password: asked for each file that needs one; None: there is none to be had.
        environment: a KSeF certificate of another one is wrong here.
    """
    read = [_read(path, password) for path in files]
    keys = [(one.finding.file, one.key) for one in read if one.key is not None]
    return [_judged(one, keys, alone=_lone(read), environment=environment, now=now) for one in read]


def _read(path: Path, password: Callable[[str], bytes | None]) -> _Read:
    file = str(path)
    try:
        content = read_file(path)
        return _opened(content, file, password)
    except KlucznikError as error:
        return _Read(FileFinding(file, _kind(path), problems=(error,)))


def _kind(path: Path) -> str | None:
    try:
        return looks_like(read_file(path))
    except CredentialError:
        return None


def _opened(content: bytes, file: str, password: Callable[[str], bytes | None]) -> _Read:
    if is_pkcs12(content):
        from klucznik.keys.pkcs12 import open_pkcs12

        certificates, key = _with_password(lambda secret: open_pkcs12(content, secret, file), file, password)
        return _Read(FileFinding(file, "pkcs12", key=_named(key)), certificates, key)
    if (token := _token(content, file)) is not None:
        return _Read(token)
    certificates, has_key = certificates_in(content, file), holds_key(content)
    if has_key:
        key = _with_password(lambda secret: key_in(content, secret, file), file, password)
        holds = "certificate" if certificates else "private_key"
        return _Read(FileFinding(file, holds, key=_named(key)), certificates, key)
    if certificates:
        return _Read(FileFinding(file, "certificate"), certificates)
    return _Read(_neither_certificate_nor_key(content, file))


def _neither_certificate_nor_key(content: bytes, file: str) -> FileFinding:
    kind = looks_like(content)
    if kind == "xml":
        return _document(content, file)
    if kind is None:
        return FileFinding(file, problems=(CredentialError("file_not_recognised", file=file),))
    return FileFinding(file, kind, problems=(CredentialError("file_of_no_use", file=file, looks_like=kind),))


def _with_password(load: Callable[[bytes | None], Value], file: str, password: Callable[[str], bytes | None]) -> Value:
    try:
        return load(None)
    except CredentialError as error:
        if error.reason != "password_needed" or (secret := password(file)) is None:
            raise
    return load(secret)


def _token(content: bytes, file: str) -> FileFinding | None:
    try:
        token = parse_token(content.decode("ascii"))
    except (InvalidValue, UnicodeDecodeError):
        return None
    return FileFinding(file, "ksef_token", reference=token.reference_number, context=token.context)


def _document(content: bytes, file: str) -> FileFinding:
    from klucznik.ksef.signed_document import challenge_in

    try:
        return FileFinding(file, "sign_in_document", reference=challenge_in(content))
    except KlucznikError as error:
        return FileFinding(file, "xml", problems=(error,))


def _lone(read: Sequence[_Read]) -> tuple[str, str] | None:
    """The only certificate file and the only key file, where nothing in one belongs to the other."""
    with_certificates = [one for one in read if one.certificates]
    with_keys = [one for one in read if one.key is not None]
    if len(with_certificates) != 1 or len(with_keys) != 1:
        return None
    (holder,), (key,) = with_certificates, with_keys
    if any(_belong(certificate, key.key) for certificate in holder.certificates):
        return None
    return holder.finding.file, key.finding.file


def _judged(
    one: _Read,
    keys: Sequence[tuple[str, PrivateKey]],
    *,
    alone: tuple[str, str] | None,
    environment: Environment,
    now: datetime,
) -> FileFinding:
    problems, found, file = list(one.finding.problems), [], one.finding.file
    for certificate in one.certificates:
        try:
            finding = _certificate(certificate, now)
        except ValueError:
            problems.append(CredentialError("certificate_damaged", file=file))
            continue
        key_file = next((name for name, key in keys if _belong(certificate, key)), None)
        problems += _wrong(finding, file, environment, now)
        found.append(replace(finding, key_file=key_file, uses=finding.uses if key_file else ()))
    if alone is not None and alone[0] == file:
        problems.append(CredentialError("key_does_not_match", file=alone[0], key_file=alone[1]))
    return replace(one.finding, certificates=tuple(found), problems=tuple(problems))


def _certificate(certificate: x509.Certificate, now: datetime) -> CertificateFinding:
    """Raises ValueError where its names break the rules of their encoding."""
    facts, holder = inspect_ksef_certificate(certificate), read_holder(certificate)
    issuer = names.read_issuer(certificate).get(names.COMMON_NAME)
    role = _role(certificate, facts, holder.kind)
    alive = facts.valid_from <= now <= facts.valid_to
    subject = facts.subject
    return CertificateFinding(
        role=role,
        subject=subject,
        common_name=facts.common_name or issuer,
        serial_number=facts.serial_number,
        environment=facts.environment,
        valid_from=facts.valid_from,
        valid_to=facts.valid_to,
        uses=_uses(role, identified=subject is not None) if alive else (),
        mistyped=subject is not None and subject.type is SubjectType.PESEL and not pesel_checksum_ok(subject.value),
    )


def _role(certificate: x509.Certificate, facts: KsefCertificateFacts, kind: HolderKind) -> Role:
    if facts.issued_by_ksef and facts.type is not None:
        return Role.AUTHENTICATION if facts.type is CertificateType.AUTHENTICATION else Role.OFFLINE
    if certificate.issuer == certificate.subject:
        return Role.SELF_SIGNED
    return {HolderKind.PERSON: Role.PERSON, HolderKind.SEAL: Role.SEAL, HolderKind.NONE: Role.OTHER}[kind]


def _uses(role: Role, *, identified: bool) -> tuple[Use, ...]:
    if role is Role.AUTHENTICATION:
        return (Use.SIGN_IN, Use.IMPORT)
    if role is Role.OFFLINE:
        return (Use.SIGN_OFFLINE, Use.IMPORT)
    if role is Role.SELF_SIGNED:
        return (Use.SIGN_IN_ON_TEST,)
    return (Use.SIGN_IN,) if identified else (Use.SIGN_IN_BY_FINGERPRINT,)


def _wrong(finding: CertificateFinding, file: str, environment: Environment, now: datetime) -> list[KlucznikError]:
    problems: list[KlucznikError] = []
    if now > finding.valid_to:
        problems.append(CredentialError("certificate_expired", file=file, valid_to=finding.valid_to.isoformat()))
    if now < finding.valid_from:
        starts = finding.valid_from.isoformat()
        problems.append(CredentialError("certificate_not_yet_valid", file=file, valid_from=starts))
    home = finding.environment
    # DEMO may sign with production's name (facts.md §3.2).
    alike = {Environment.DEMO, Environment.PRODUCTION}
    if home is not None and home is not environment and not {home, environment} <= alike:
        wrong = {"environment": environment.value, "other": home.value}
        problems.append(CredentialError("certificate_of_other_environment", file=file, **wrong))
    if finding.role is Role.SELF_SIGNED and not environment.accepts_self_signed:
        problems.append(CredentialError("self_signed_not_accepted", file=file, environment=environment.value))
    return problems


def _belong(certificate: x509.Certificate, key: PrivateKey | None) -> bool:
    try:
        return key is not None and certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _named(key: PrivateKey) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPrivateKey) else f"EC {key.curve.key_size}"
