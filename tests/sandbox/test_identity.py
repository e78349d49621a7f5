"""Subject attributes to identities, by the exact rules of facts.md §2.3."""

import re

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.signing import (
    make_anonymous,
    make_credential,
    make_credential_for,
    make_peppol,
    make_person,
    make_seal,
)

from ksef_sandbox.identity import Holder, Identity, IdentityType, read_holder

NIP = Identity(IdentityType.NIP, "5265877635")
PESEL = Identity(IdentityType.PESEL, "80010112345")

PERSON = [
    (NameOID.GIVEN_NAME, "Zażółć"),
    (NameOID.SURNAME, "Gęśla"),
    (NameOID.SERIAL_NUMBER, "PNOPL-80010112345"),
    (NameOID.COMMON_NAME, "Zażółć Gęśla"),
    (NameOID.COUNTRY_NAME, "PL"),
]
SEAL = [
    (NameOID.ORGANIZATION_NAME, "Firma"),
    (NameOID.ORGANIZATION_IDENTIFIER, "VATPL-5265877635"),
    (NameOID.COMMON_NAME, "Firma"),
    (NameOID.COUNTRY_NAME, "PL"),
]


def holder_with(base: list[tuple[x509.ObjectIdentifier, str]], oid: x509.ObjectIdentifier, value: str | None) -> Holder:
    """The holder of a certificate that differs from `base` in one attribute; None leaves it out."""
    kept = [(name, text) for name, text in base if name != oid]
    return read_holder(make_credential(kept if value is None else [*kept, (oid, value)]).certificate)


OFFICIAL = {  # the rules as the documentation writes them, by the attribute they are for
    NameOID.SERIAL_NUMBER: (r"(PNOPL|PESEL).*?(?P<identifier>\d{11})", r"(TINPL|NIP).*?(?P<identifier>\d{10})"),
    NameOID.ORGANIZATION_IDENTIFIER: (r"(VATPL).*?(?P<identifier>\d{10})",),
}
scraps = st.sampled_from(
    ["PNOPL", "PESEL", "TINPL", "NIP", "VATPL", "-", " ", "1", "5265877635", "80010112345", "\n", "\u0663" * 11]
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([(PERSON, NameOID.SERIAL_NUMBER), (SEAL, NameOID.ORGANIZATION_IDENTIFIER)]), st.lists(scraps))
def test_an_identifier_is_what_the_official_expression_finds(
    kind: tuple[list[tuple[x509.ObjectIdentifier, str]], x509.ObjectIdentifier], parts: list[str]
) -> None:
    base, oid = kind
    text = "x" + "".join(parts)
    found = next(filter(None, (re.search(rule, text, re.ASCII) for rule in OFFICIAL[oid])), None)
    kept = [x509.NameAttribute(name, value) for name, value in base if name != oid]
    subject = x509.Name([*kept, x509.NameAttribute(oid, text, _ASN1Type.UTF8String)])
    identity = read_holder(make_credential_for(subject).certificate).identity
    assert (identity.value if identity else None) == (found["identifier"] if found else None)


@pytest.mark.parametrize(("base", "oid"), [(PERSON, NameOID.SERIAL_NUMBER), (SEAL, NameOID.ORGANIZATION_IDENTIFIER)])
def test_a_very_long_attribute_is_read_in_one_pass(
    base: list[tuple[x509.ObjectIdentifier, str]], oid: x509.ObjectIdentifier
) -> None:
    """The official expression would try again from each of the hundred thousand prefixes: hours."""
    for prefix in ("PESEL", "VATPL", "NIP"):
        assert holder_with(base, oid, prefix * 100_000).identity is None


def test_a_person_is_read_with_every_attribute() -> None:
    credential = make_person(pesel="80010112345", given_name="Zażółć", surname="Gęśla")
    assert read_holder(credential.certificate) == Holder(
        kind="person",
        identity=PESEL,
        fingerprint=credential.fingerprint,
        common_name="Zażółć Gęśla",
        country_name="PL",
        given_name="Zażółć",
        surname="Gęśla",
        serial_number="PNOPL-80010112345",
    )


def test_a_seal_is_read_with_every_attribute() -> None:
    credential = make_seal(nip="5265877635", organization_name="Firma")
    assert read_holder(credential.certificate) == Holder(
        kind="seal",
        identity=NIP,
        fingerprint=credential.fingerprint,
        common_name="Firma",
        country_name="PL",
        organization_name="Firma",
        organization_identifier="VATPL-5265877635",
    )


@pytest.mark.parametrize(
    ("serial_number", "identity"),
    [
        ("PNOPL-80010112345", PESEL),
        ("PESEL-80010112345", PESEL),
        ("PESEL: 80010112345", PESEL),
        ("xxPNOPL-80010112345xx", PESEL),
        ("PNOPL-800101123456789", PESEL),  # "find" takes the first eleven digits of more
        ("PNOPL-1234 80010112345", PESEL),
        ("TINPL-5265877635", NIP),
        ("NIP-5265877635", NIP),
        ("NIP5265877635", NIP),
        ("TINPL-526-5877635", None),
        ("PNOPL-8001011234", None),  # ten digits are no PESEL
        ("pnopl-80010112345", None),
        ("IDCPL-ABC123456", None),
        ("80010112345", None),
        ("TINPL-5265877635 PNOPL-80010112345", PESEL),  # PESEL is looked for first
    ],
)
def test_a_serial_number_gives_this_identity(serial_number: str, identity: Identity | None) -> None:
    holder = holder_with(PERSON, NameOID.SERIAL_NUMBER, serial_number)
    assert (holder.kind, holder.identity) == ("person", identity)


@pytest.mark.parametrize(
    ("organization_identifier", "identity"),
    [
        ("VATPL-5265877635", NIP),
        ("VATPL-5265877635 NTRPL-0001040934 BR:PL-525516467", NIP),
        ("NTRPL-0001040934 VATPL-5265877635", NIP),
        ("VATPL5265877635", NIP),
        ("5265877635", None),
        ("VATDE-123456789", None),
        ("NTRPL-0001040934", None),
        ("VATPL-526587763", None),
    ],
)
def test_an_organization_identifier_gives_this_identity(
    organization_identifier: str, identity: Identity | None
) -> None:
    holder = holder_with(SEAL, NameOID.ORGANIZATION_IDENTIFIER, organization_identifier)
    assert (holder.kind, holder.identity) == ("seal", identity)
    assert holder.organization_identifier == organization_identifier


@pytest.mark.parametrize("missing", [oid for oid, _ in PERSON])
def test_a_person_without_a_required_attribute_is_nobody(missing: x509.ObjectIdentifier) -> None:
    holder = holder_with(PERSON, missing, None)
    assert (holder.kind, holder.identity) == ("none", None)


@pytest.mark.parametrize("missing", [oid for oid, _ in SEAL])
def test_a_seal_without_a_required_attribute_is_nobody(missing: x509.ObjectIdentifier) -> None:
    holder = holder_with(SEAL, missing, None)
    assert (holder.kind, holder.identity) == ("none", None)


@pytest.mark.parametrize("forbidden", [NameOID.GIVEN_NAME, NameOID.SURNAME])
def test_a_seal_with_a_personal_attribute_is_nobody(forbidden: x509.ObjectIdentifier) -> None:
    assert holder_with(SEAL, forbidden, "Jan").identity is None


def test_a_person_employed_by_a_company_is_the_person() -> None:
    attributes = [*PERSON, (NameOID.ORGANIZATION_NAME, "Firma"), (NameOID.ORGANIZATION_IDENTIFIER, "VATPL-5265877635")]
    assert read_holder(make_credential(attributes).certificate).identity == PESEL


def test_a_peppol_provider_is_named_twice() -> None:
    assert read_holder(make_peppol("PPL123456").certificate).identity == Identity(IdentityType.PEPPOL_ID, "PPL123456")


@pytest.mark.parametrize("name", ["PPL12345", "XPL123456", "PPL123456 "])
def test_a_near_miss_is_no_peppol_provider(name: str) -> None:
    holder = read_holder(make_peppol(name).certificate)
    assert (holder.kind, holder.identity) == ("seal", None)


def test_an_anonymous_certificate_has_only_its_fingerprint() -> None:
    credential = make_anonymous()
    holder = read_holder(credential.certificate)
    assert (holder.kind, holder.identity, holder.fingerprint) == ("none", None, credential.fingerprint)
    assert len(holder.fingerprint) == 64
    assert holder.fingerprint == holder.fingerprint.upper()


def test_a_multi_valued_rdn_is_read_like_single_ones() -> None:
    rdns = [
        x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in PERSON[:3]]),
        x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in PERSON[3:]]),
    ]
    assert read_holder(make_credential_for(x509.Name(rdns)).certificate).identity == PESEL


@pytest.mark.parametrize(
    "kind", [_ASN1Type.BMPString, _ASN1Type.PrintableString, _ASN1Type.IA5String, _ASN1Type.T61String]
)
def test_the_string_type_of_an_attribute_does_not_matter(kind: _ASN1Type) -> None:
    names = [x509.NameAttribute(oid, value) for oid, value in PERSON if oid != NameOID.SERIAL_NUMBER]
    number = x509.NameAttribute(NameOID.SERIAL_NUMBER, "PNOPL-80010112345", _type=kind, _validate=False)
    assert read_holder(make_credential_for(x509.Name([*names, number])).certificate).identity == PESEL


def test_digits_of_another_script_are_no_identifier() -> None:
    names = [x509.NameAttribute(oid, value) for oid, value in PERSON if oid != NameOID.SERIAL_NUMBER]
    number = x509.NameAttribute(NameOID.SERIAL_NUMBER, "PNOPL-٨٠٠١٠١١٢٣٤٥", _type=_ASN1Type.UTF8String)
    holder = read_holder(make_credential_for(x509.Name([*names, number])).certificate)
    assert (holder.kind, holder.identity) == ("person", None)


def test_two_first_names_are_one_string() -> None:
    names = [x509.NameAttribute(oid, value) for oid, value in PERSON]
    names.insert(1, x509.NameAttribute(NameOID.GIVEN_NAME, "Maria"))
    assert read_holder(make_credential_for(x509.Name(names)).certificate).given_name == "Zażółć Maria"


def test_a_unique_identifier_in_bits_is_shown_as_hex() -> None:
    names = [x509.NameAttribute(oid, value) for oid, value in PERSON]
    bits = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x01\xab", _type=_ASN1Type.BitString)
    assert read_holder(make_credential_for(x509.Name([*names, bits])).certificate).unique_identifier == "01AB"


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("NIP-5265877635", "TINPL-5265877635"),
        ("PESEL-80010112345", "PNOPL-80010112345"),
        ("TINPL-5265877635", "TINPL-5265877635"),
        ("PNOPL-80010112345", "PNOPL-80010112345"),
    ],
)
def test_the_serial_number_is_answered_in_its_normal_form(written: str, answered: str) -> None:
    assert holder_with(PERSON, NameOID.SERIAL_NUMBER, written).serial_number == answered
