"""Certificates from request to revocation, over HTTP (facts.md §3)."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from ksef_sandbox import Sandbox
from tests.sandbox.driver import Driver, code_of
from tests.sandbox.signing import make_person, make_seal, rsa_key

NIP = "5265877635"
SEAL = make_seal(nip=NIP)


def test_a_company_gets_a_pair_of_certificates(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.limits() == (300, 100)
    serials = [session.issue("Authentication"), session.issue("Offline", key=rsa_key())]
    assert session.limits() == (298, 98)
    assert [item["certificateSerialNumber"] for item in session.listed()] == serials[::-1]
