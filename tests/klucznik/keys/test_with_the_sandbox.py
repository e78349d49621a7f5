"""Our keys, requests and readings against the sandbox, which reads the same facts with other code."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from tests.klucznik.keys.builders import NOW

from klucznik.domain.certificates import CertificateType
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.keytype import KeyType
from klucznik.keys.csr import build_csr
from klucznik.keys.generate import PrivateKey, generate_key
from klucznik.keys.holder import read_holder
from klucznik.keys.ksef_certificate import inspect_ksef_certificate
from klucznik.keys.test_credential import self_signed
from ksef_sandbox import ca, csr, identity
from ksef_sandbox.records import CertificateType as SandboxType
from ksef_sandbox.references import Randomness

NIP = Subject(SubjectType.NIP, "5265877635")
PESEL = Subject(SubjectType.PESEL, "80010112345")
each_subject = pytest.mark.parametrize("subject", [NIP, PESEL], ids=["nip", "pesel"])


def data_of(holder: identity.Holder) -> EnrollmentData:
    return EnrollmentData(
        holder.common_name,
        holder.country_name,
        holder.given_name,
        holder.surname,
        holder.serial_number,
        holder.unique_identifier,
        holder.organization_name,
        holder.organization_identifier,
    )


def signed_in(subject: Subject) -> tuple[x509.Certificate, identity.Holder]:
    certificate = self_signed(subject, generate_key(), now=NOW)
    return certificate, identity.read_holder(certificate)


@each_subject
def test_the_sandbox_reads_the_same_holder(subject: Subject) -> None:
    certificate, holder = signed_in(subject)
    assert holder.identity is not None
    assert (holder.identity.type.value, holder.identity.value) == (subject.type.value, subject.value)
    assert holder.fingerprint == read_holder(certificate).fingerprint


@each_subject
@pytest.mark.parametrize("key_type", KeyType)
def test_the_sandbox_accepts_the_request(subject: Subject, key_type: KeyType) -> None:
    _, holder = signed_in(subject)
    key: PrivateKey = generate_key(key_type)
    checked = csr.check(base64.b64encode(build_csr(data_of(holder), key)).decode(), holder)
    assert checked.public_key == key.public_key()


@each_subject
@pytest.mark.parametrize("wanted", CertificateType)
def test_a_certificate_of_the_sandbox_is_recognised(subject: Subject, wanted: CertificateType) -> None:
    _, holder = signed_in(subject)
    authority = ca.CertificateAuthority.create(Randomness(1), deterministic=True)
    order = ca.Order(
        "01F20A5D352AE590",
        SandboxType(wanted.value),
        holder,
        generate_key().public_key(),
        NOW,
        NOW + timedelta(days=730),
    )
    facts = inspect_ksef_certificate(authority.issue(order))
    assert (facts.issued_by_ksef, facts.environment) == (True, Environment.SANDBOX)
    assert (facts.type, facts.subject, facts.serial_number) == (wanted, subject, "01F20A5D352AE590")
