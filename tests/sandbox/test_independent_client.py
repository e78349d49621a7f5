"""The sandbox driven by `ksef-client` from PyPI, a client that shares no code with it.
Unchanged and by its own calls: its signer, its CSR builder, its models, its polling.
"""

import base64
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.sandbox.signing import TestCredential, make_person, make_seal, rsa_key

from ksef_sandbox import Sandbox

NIP, PESEL = "5265877635", "80010112345"


@pytest.fixture
def client(ksef: Sandbox) -> Iterator[Any]:
    if find_spec("xmlsec") is None:  # the client's own signer needs it
        sentence = "xmlsec is not installed, so ksef-client cannot sign and was not tried"
        pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)
    from ksef_client.client import KsefClient
    from ksef_client.config import KsefClientOptions

    with KsefClient(KsefClientOptions(base_url=ksef.base_url.removesuffix("/v2"))) as client:
        yield client


def access_token(client: Any, credential: TestCredential) -> str:
    from ksef_client.services.workflows import AuthCoordinator

    result = AuthCoordinator(client.auth).authenticate_with_xades(
        context_identifier_type="nip",
        context_identifier_value=NIP,
        subject_identifier_type="certificateSubject",
        certificate_pem=credential.certificate_pem.decode(),
        private_key_pem=credential.private_key_pem.decode(),
        poll_interval_seconds=0.01,
    )
    return str(result.access_token)


def enroll(client: Any, token: str, kind: str, make_csr: Callable[[dict[str, Any]], Any]) -> Any:
    """Data, CSR, request, status, by the client's own means; returns the finished status."""
    from ksef_client.models import EnrollCertificateRequest

    data = client.certificates.get_enrollment_data(token).to_dict()
    csr = make_csr({name: value for name, value in data.items() if value is not None})
    request = EnrollCertificateRequest.from_dict(
        {"certificateName": f"Independent {kind}", "certificateType": kind, "csr": csr.csr_base64}
    )
    sent = client.certificates.send_enrollment(request, access_token=token)
    return client.certificates.get_enrollment_status(sent.reference_number, access_token=token)


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(make_seal(nip=NIP), id="seal, EC"),
        pytest.param(make_seal(nip=NIP, key=rsa_key()), id="seal, RSA"),
        pytest.param(make_person(pesel=PESEL), id="linked person"),
    ],
)
def test_an_independent_client_gets_revokes_and_lists_certificates(
    ksef: Sandbox, client: Any, credential: TestCredential
) -> None:
    from ksef_client.models import (
        QueryCertificatesRequest,
        RetrieveCertificatesRequest,
        RevokeCertificateRequest,
    )
    from ksef_client.services.csr import generate_csr_ec, generate_csr_rsa

    ksef.link_person(nip=NIP, pesel=PESEL)
    token = access_token(client, credential)
    before = client.certificates.get_limits(token)
    statuses = [
        enroll(client, token, "Authentication", generate_csr_ec),
        enroll(client, token, "Offline", generate_csr_rsa),
    ]
    assert [status.status.code for status in statuses] == [200, 200]
    serials = [status.certificate_serial_number for status in statuses]
    assert client.certificates.get_limits(token).certificate.remaining == before.certificate.remaining - 2

    wanted = RetrieveCertificatesRequest.from_dict({"certificateSerialNumbers": serials})
    found = client.certificates.retrieve_certificate(wanted, access_token=token).certificates
    issued = [x509.load_der_x509_certificate(base64.b64decode(item.certificate)) for item in found]
    assert isinstance(issued[0].public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(issued[1].public_key(), rsa.RSAPublicKey)

    reason = RevokeCertificateRequest.from_dict({"revocationReason": "Superseded"})
    client.certificates.revoke_certificate(serials[0], reason, access_token=token)
    listed = client.certificates.query_certificates(QueryCertificatesRequest.from_dict({}), access_token=token)
    states = {item.certificate_serial_number: item.status.value for item in listed.certificates}
    assert states == {serials[0]: "Revoked", serials[1]: "Active"}


def test_an_independent_client_signs_in_with_a_certificate_it_was_issued(client: Any) -> None:
    from ksef_client.models import RetrieveCertificatesRequest
    from ksef_client.services.csr import generate_csr_ec

    made: list[Any] = []

    def remember(data: dict[str, Any]) -> Any:
        made.append(generate_csr_ec(data))
        return made[0]

    token = access_token(client, make_seal(nip=NIP))
    serial = enroll(client, token, "Authentication", remember).certificate_serial_number
    wanted = RetrieveCertificatesRequest.from_dict({"certificateSerialNumbers": [serial]})
    (item,) = client.certificates.retrieve_certificate(wanted, access_token=token).certificates
    certificate = x509.load_der_x509_certificate(base64.b64decode(item.certificate))
    key = serialization.load_der_private_key(base64.b64decode(made[0].private_key_base64), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert access_token(client, TestCredential(certificate, key))
