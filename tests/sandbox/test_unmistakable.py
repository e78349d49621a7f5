"""Nobody can take this sandbox's authority or certificates for official ones: names, marker, hosts (facts.md §3.2)."""

import ipaddress
from base64 import b64decode
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID
from tests.sandbox.driver import Driver
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox

NIP, PESEL = "5265877635", "80010112345"
# Issuers seen, or presumed, in the official environments.
OFFICIAL_AUTHORITIES = {"TEST CCK KSeF", "TI CCK KSeF", "DEMO CCK KSeF", "CCK KSeF"}


@pytest.fixture
def everything(ksef: Sandbox, driver: Driver) -> list[x509.Certificate]:
    """The authority's own certificate, both types for a company and for a person, and those of the public keys."""
    ksef.link_person(nip=NIP, pesel=PESEL)
    signers = (make_seal(nip=NIP), make_person(pesel=PESEL))
    sessions = [driver.sign_in(signer, nip=NIP) for signer in signers]
    issued = [session.retrieve(session.issue(kind)) for session in sessions for kind in ("Authentication", "Offline")]
    keys = driver.http.get("/security/public-key-certificates").json()
    return [
        ksef.ca_certificate,
        *issued,
        *(x509.load_der_x509_certificate(b64decode(key["certificate"])) for key in keys),
    ]


def test_every_issuer_says_sandbox_and_has_no_official_name(everything: list[x509.Certificate]) -> None:
    assert len(everything) >= 6
    for certificate in everything:
        names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        units = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        assert len(names) == 1
        assert "SANDBOX" in str(names[0].value)
        assert names[0].value not in OFFICIAL_AUTHORITIES
        assert any("SANDBOX" in str(unit.value) and "no legal effect" in str(unit.value) for unit in units)


def test_the_authority_is_marked_as_subject_too(ksef: Sandbox) -> None:
    assert ksef.ca_certificate.subject == ksef.ca_certificate.issuer


def test_every_address_in_a_certificate_is_on_this_machine(everything: list[x509.Certificate], ksef: Sandbox) -> None:
    addresses = []
    for certificate in everything:
        for extension in certificate.extensions:
            assert extension.oid != ExtensionOID.AUTHORITY_INFORMATION_ACCESS
            if isinstance(extension.value, x509.CRLDistributionPoints):
                addresses += [str(name.value) for point in extension.value for name in point.full_name or []]
    assert len(addresses) == 4
    for address in addresses:
        assert ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback
        assert address.startswith(f"{ksef.management_url}/")


def test_an_authority_belongs_to_one_sandbox_unless_a_seed_repeats_it() -> None:
    with Sandbox() as one, Sandbox() as other, Sandbox(seed=7) as seeded, Sandbox(seed=7) as again:
        keys = [sandbox.ca_certificate.public_key() for sandbox in (one, other, seeded, again)]
    assert keys[0] != keys[1]
    assert keys[2] == keys[3]
