"""The same job with `ksef-client` from PyPI: `python -m bench.with_ksef_client BASE_URL NIP CERTIFICATE KEY`.

The same calls in the order of its own examples; it keeps nothing on disk. Imports nothing of Klucznik.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ksef_client.client import KsefClient
from ksef_client.config import KsefClientOptions
from ksef_client.models import EnrollCertificateRequest, RetrieveCertificatesRequest
from ksef_client.services.auth import build_auth_token_request_xml
from ksef_client.services.csr import generate_csr_ec
from ksef_client.services.verification_link import VerificationLinkService
from ksef_client.services.workflows import AuthCoordinator
from ksef_client.services.xades import sign_xades_enveloped

from bench.marks import Marks, Moment

QR_HOST = "https://qr-test.ksef.mf.gov.pl"
POLL_S = 0.25  # between two looks at a certificate request, as Klucznik's first pause


@dataclass(frozen=True)
class Held:
    """A certificate (DER) with its key (PEM)."""

    serial: str
    certificate: bytes
    key_pem: str

    @property
    def certificate_pem(self) -> str:
        return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM).decode()


def job(base_url: str, nip: str, certificate_pem: str, key_pem: str) -> Marks:
    started = Moment.now()
    options = KsefClientOptions(base_url=base_url, base_qr_url=QR_HOST)
    with KsefClient(options) as client:
        token = (
            AuthCoordinator(client.auth)
            .authenticate_with_xades(
                context_identifier_type="nip",
                context_identifier_value=nip,
                subject_identifier_type="certificateSubject",
                certificate_pem=certificate_pem,
                private_key_pem=key_pem,
                poll_interval_seconds=POLL_S,
            )
            .tokens.access_token.token
        )
        authentication, offline = certificates(client, token)
        held = Moment.now()
        client.certificates.get_limits(token)
        prove_sign_in(client, nip, authentication)
        prove_offline(options, nip, offline)
        client.auth.revoke_current_session(token)
    return Marks(started, held, Moment.now())


def certificates(client: KsefClient, token: str) -> Sequence[Held]:
    """Both limits, the enrolment data, two requests, their polls, one retrieval."""
    limits = client.certificates.get_limits(token)
    assert min(limits.enrollment.remaining, limits.certificate.remaining) >= 2
    data = {
        name: value
        for name, value in client.certificates.get_enrollment_data(token).to_dict().items()
        if value is not None
    }
    sent = []
    for kind in ("Authentication", "Offline"):
        csr = generate_csr_ec(data)
        request = EnrollCertificateRequest.from_dict(
            {"certificateName": f"Bench {kind}", "certificateType": kind, "csr": csr.csr_base64}
        )
        reference = client.certificates.send_enrollment(request, access_token=token).reference_number
        sent.append((reference, csr.private_key_base64))
    time.sleep(POLL_S)
    keys = {issued_serial(client, token, reference): key for reference, key in sent}
    wanted = RetrieveCertificatesRequest.from_dict({"certificateSerialNumbers": list(keys)})
    given = {
        one.certificate_serial_number: one.certificate
        for one in client.certificates.retrieve_certificate(wanted, access_token=token).certificates
    }
    return [Held(serial, base64.b64decode(given[serial]), pem(key)) for serial, key in keys.items()]


def issued_serial(client: KsefClient, token: str, reference: str) -> str:
    while True:
        status = client.certificates.get_enrollment_status(reference, access_token=token)
        if status.certificate_serial_number is not None:
            return status.certificate_serial_number
        time.sleep(POLL_S)


def prove_sign_in(client: KsefClient, nip: str, held: Held) -> None:
    """As far as KSeF's yes, like Klucznik: no tokens are taken."""
    xml = build_auth_token_request_xml(
        challenge=client.auth.get_challenge().challenge, context_identifier_type="nip", context_identifier_value=nip
    )
    pending = client.auth.submit_xades_auth_request(sign_xades_enveloped(xml, held.certificate_pem, held.key_pem))
    assert pending is not None
    status = client.auth.get_auth_status(pending.reference_number, pending.authentication_token.token)
    assert status.status.code == 200


def prove_offline(options: KsefClientOptions, nip: str, held: Held) -> None:
    digest = base64.b64encode(hashlib.sha256(b"a specimen of an invoice").digest()).decode()
    link = VerificationLinkService(options).build_certificate_verification_url(
        seller_nip=nip,
        context_identifier_type="Nip",
        context_identifier_value=nip,
        certificate_serial=held.serial,
        invoice_hash=digest,
        private_key_pem=held.key_pem,
    )
    assert held.serial in link


def pem(key_base64: str) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{key_base64}\n-----END PRIVATE KEY-----\n"


if __name__ == "__main__":
    base_url, nip, certificate, key = sys.argv[1:]
    job(base_url, nip, Path(certificate).read_text(), Path(key).read_text()).tell()
