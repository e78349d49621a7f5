"""Subject attributes to NIP, PESEL or nobody, by facts.md §2.3."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from tests.klucznik.keys.builders import PERSON, SEAL, Attributes, certificate

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.keys.holder import HolderKind, read_holder


def person(serial_number: str) -> Attributes:
    return [(oid, serial_number if oid == NameOID.SERIAL_NUMBER else value) for oid, value in PERSON]


def seal(identifier: str) -> Attributes:
    return [(oid, identifier if oid == NameOID.ORGANIZATION_IDENTIFIER else value) for oid, value in SEAL]


def without(attributes: Attributes, oid: object) -> Attributes:
    return [pair for pair in attributes if pair[0] != oid]


@pytest.mark.parametrize(
    ("attributes", "kind", "subject"),
    [
        (PERSON, HolderKind.PERSON, Subject(SubjectType.PESEL, "80010112345")),
        (person("PESEL: 80010112345"), HolderKind.PERSON, Subject(SubjectType.PESEL, "80010112345")),
        (person("TINPL-5265877635"), HolderKind.PERSON, Subject(SubjectType.NIP, "5265877635")),
        (person("NIP-5265877635"), HolderKind.PERSON, Subject(SubjectType.NIP, "5265877635")),
        (SEAL, HolderKind.SEAL, Subject(SubjectType.NIP, "5265877635")),
        (
            seal("VATPL-6381853612 NTRPL-0001040934 BR:PL-525516467"),
            HolderKind.SEAL,
            Subject(SubjectType.NIP, "6381853612"),
        ),
        # An employee's qualified signature names the company too; the person is whose it is.
        ([*SEAL[1:3], *PERSON], HolderKind.PERSON, Subject(SubjectType.PESEL, "80010112345")),
        (seal("5265877635"), HolderKind.NONE, None),
        (seal("VATPL-526"), HolderKind.NONE, None),
        (seal("VATPL-0000000000"), HolderKind.NONE, None),
        (person("80010112345"), HolderKind.NONE, None),
        (person("PNODE-80010112345"), HolderKind.NONE, None),
        (person("PNOPL-80990112345"), HolderKind.NONE, None),
        (without(PERSON, NameOID.GIVEN_NAME), HolderKind.NONE, None),
        (without(PERSON, NameOID.SURNAME), HolderKind.NONE, None),
        (without(PERSON, NameOID.COUNTRY_NAME), HolderKind.NONE, None),
        (without(PERSON, NameOID.COMMON_NAME), HolderKind.NONE, None),
        (without(SEAL, NameOID.ORGANIZATION_NAME), HolderKind.NONE, None),
        ([*SEAL, (NameOID.SURNAME, "Kowalski")], HolderKind.NONE, None),
        ([(NameOID.COMMON_NAME, "localhost")], HolderKind.NONE, None),
    ],
)
def test_the_holder_is_read_by_the_ministrys_rules(
    attributes: Attributes, kind: HolderKind, subject: Subject | None
) -> None:
    holder = read_holder(certificate(attributes))
    assert (holder.kind, holder.subject) == (kind, subject)


def test_a_certificate_without_an_identity_signs_in_by_its_fingerprint() -> None:
    anonymous = certificate([(NameOID.COMMON_NAME, "localhost")])
    expected = anonymous.fingerprint(hashes.SHA256()).hex().upper()
    assert read_holder(anonymous).signs_in_as == Subject(SubjectType.FINGERPRINT, expected)
    assert read_holder(certificate(SEAL)).signs_in_as == Subject(SubjectType.NIP, "5265877635")


def test_the_repr_does_not_name_the_person() -> None:
    assert "Żółkiewska" not in repr(read_holder(certificate(PERSON)))
