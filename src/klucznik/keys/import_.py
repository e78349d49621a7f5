"""Taking over a KSeF certificate that somebody already has: is it what it should be, and whose is it.

Signing in with it is no part of this; see `credential`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.key_uri import KeyUri
from klucznik.errors import CredentialError
from klucznik.keys.credential import KeyPair, check_validity, load_pair, read_facts
from klucznik.keys.ksef_certificate import KsefCertificateFacts
from klucznik.keys.pkcs11 import Pkcs11
from klucznik.keys.reading import File

# DEMO's issuer is not documented and may bear production's name: only a sign-in tells the two apart.
_UNTOLD = frozenset({Environment.DEMO, Environment.PRODUCTION})


@dataclass(frozen=True)
class ImportedCertificate:
    """A KSeF certificate with its key, fit to be kept; ``facts.type`` is never None."""

    pair: KeyPair
    facts: KsefCertificateFacts
    type: CertificateType


def load_ksef_certificate(
    *,
    cert: File | None = None,
    key: File | KeyUri | None = None,
    p12: File | None = None,
    password: bytes | None,
    pkcs11: Pkcs11 | None = None,
    environment: Environment,
    now: datetime,
    expected_type: CertificateType | None = None,
    expected_subject: Subject | None = None,
) -> ImportedCertificate:
    """Read and judge a certificate that KSeF issued before.

    Raises:
        CredentialError: what `credential.load_pair` raises; ``certificate_not_from_ksef`` (``common_name`` of whom it
            names); ``certificate_of_other_environment`` (``environment``, ``other``); ``certificate_type_unclear``;
            ``certificate_of_other_type`` (``expected``, ``found``); ``certificate_of_other_subject`` (``expected``,
            ``found``; a PESEL shortened); ``certificate_expired``; ``certificate_not_yet_valid``.
    """
    pair = load_pair(cert=cert, key=key, p12=p12, password=password, pkcs11=pkcs11)
    file, facts = pair.certificate_file, read_facts(pair)
    if not facts.issued_by_ksef:
        raise CredentialError("certificate_not_from_ksef", file=file, common_name=facts.common_name)
    if not _may_be_of(facts.environment, environment):
        other = facts.environment.value if facts.environment else None
        raise CredentialError("certificate_of_other_environment", file=file, environment=environment.value, other=other)
    found_type = _checked_type(facts, expected_type, file)
    if expected_subject is not None:
        _check_subject(facts.subject, expected_subject, file)
    check_validity(facts, file, now)
    return ImportedCertificate(pair, facts, found_type)


def _may_be_of(found: Environment | None, wanted: Environment) -> bool:
    return found is wanted or (wanted in _UNTOLD and (found is None or found in _UNTOLD))


def _checked_type(facts: KsefCertificateFacts, expected: CertificateType | None, file: str) -> CertificateType:
    if facts.type is None:
        raise CredentialError("certificate_type_unclear", file=file, serial=facts.serial_number)
    if expected is not None and facts.type is not expected:
        raise CredentialError("certificate_of_other_type", file=file, expected=expected.value, found=facts.type.value)
    return facts.type


def _check_subject(found: Subject | None, expected: Subject, file: str) -> None:
    # The certificates of a fingerprint name no identity of their own: nothing in them could contradict.
    if found == expected or (found is None and expected.type is SubjectType.FINGERPRINT):
        return
    raise CredentialError(
        "certificate_of_other_subject", file=file, expected=str(expected), found=str(found) if found else None
    )
