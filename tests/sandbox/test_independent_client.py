"""The sandbox driven by `ksef-client` from PyPI, a client that shares no code with it: sign-in, sessions, KSeF tokens,
certificates, limits and test data, by both of its faces. Permissions are in `test_independent_rights.py`.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ksef_client import models
from ksef_client.exceptions import KsefApiError
from ksef_client.services.csr import generate_csr_ec, generate_csr_rsa
from tests.sandbox.granting import identifier
from tests.sandbox.independent import FACES, Client, Face, connected
from tests.sandbox.signing import TestCredential, make_person, make_seal, rsa_key

from ksef_sandbox import Sandbox

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
DAY = "2026-01-01T00:00:00Z"


async def enroll(client: Client, token: str, kind: str, make_csr: Callable[[dict[str, Any]], Any]) -> Any:
    """Data, CSR, request, status, by the client's own means; the finished status."""
    data = (await client.certificates.get_enrollment_data(token)).to_dict()
    csr = make_csr({name: value for name, value in data.items() if value is not None})
    request = models.EnrollCertificateRequest.from_dict(
        {"certificateName": f"Independent {kind}", "certificateType": kind, "csr": csr.csr_base64}
    )
    sent = await client.certificates.send_enrollment(request, access_token=token)
    return await client.certificates.get_enrollment_status(sent.reference_number, access_token=token)


async def retrieve(client: Client, token: str, *serials: str) -> list[x509.Certificate]:
    wanted = models.RetrieveCertificatesRequest.from_dict({"certificateSerialNumbers": list(serials)})
    found = await client.certificates.retrieve_certificate(wanted, access_token=token)
    return [x509.load_der_x509_certificate(base64.b64decode(item.certificate)) for item in found.certificates]


async def states(client: Client, token: str) -> dict[str, str]:
    everything = models.QueryCertificatesRequest.from_dict({})
    listed = await client.certificates.query_certificates(everything, page_size=10, access_token=token)
    return {item.certificate_serial_number: item.status.value for item in listed.certificates}


async def code_of(call: Awaitable[Any]) -> int:
    """KSeF's code of the refusal, as the client read it."""
    with pytest.raises(KsefApiError) as caught:
        await call
    assert caught.value.exception_response is not None
    refusal = caught.value.exception_response.to_dict()
    return int(refusal["exception"]["exceptionDetailList"][0]["exceptionCode"])


@pytest.mark.parametrize("face", FACES)
async def test_it_signs_in_by_certificate_and_token_and_ends_its_sessions(ksef: Sandbox, face: Face) -> None:
    async with connected(ksef, face) as client:
        first, second = [await client.sign_in(make_seal(nip=NIP), NIP) for _ in range(2)]
        refreshed = await client.auth.refresh_access_token(first.refresh_token.token)
        token = refreshed.access_token.token
        sessions = (await client.auth.get_active_sessions(page_size=10, access_token=token)).items
        assert [item.is_current for item in sessions] == [False, True]
        await client.auth.revoke_session(sessions[0].reference_number, access_token=token)
        assert await code_of(client.auth.refresh_access_token(second.refresh_token.token)) == 21301

        request = models.GenerateTokenRequest.from_dict(
            {"permissions": ["InvoiceRead"], "description": "Token testowy"}
        )
        made = await client.tokens.generate_token(request, access_token=token)
        inside = await client.sign_in_with_token(made.token, NIP)
        listed = await client.tokens.list_tokens(statuses=["Active"], access_token=inside.access_token.token)
        assert [item.reference_number for item in listed.tokens] == [made.reference_number]
        await client.tokens.revoke_token(made.reference_number, access_token=token)
        status = await client.tokens.get_token_status(made.reference_number, access_token=token)
        assert status.status.value == "Revoked"
        with pytest.raises((KsefApiError, RuntimeError), match="450"):
            await client.sign_in_with_token(made.token, NIP)

        keys = await client.security.get_public_key_certificates()
        assert await client.security.get_public_key_certificate_pem("KsefTokenEncryption") in {
            key.certificate for key in keys
        }
        await client.auth.revoke_current_session(token)
        assert await code_of(client.auth.refresh_access_token(first.refresh_token.token)) == 21301
        for service in (client.auth, client.tokens, client.security):
            assert service.recorder.unused == set()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(make_seal(nip=NIP), id="seal, EC"),
        pytest.param(make_seal(nip=NIP, key=rsa_key()), id="seal, RSA"),
        pytest.param(make_person(pesel=PESEL), id="linked person"),
    ],
)
async def test_it_gets_revokes_and_lists_certificates(ksef: Sandbox, credential: TestCredential, face: Face) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    async with connected(ksef, face) as client:
        token = (await client.sign_in(credential, NIP)).access_token.token
        before = await client.certificates.get_limits(token)
        statuses = [
            await enroll(client, token, "Authentication", generate_csr_ec),
            await enroll(client, token, "Offline", generate_csr_rsa),
        ]
        assert [status.status.code for status in statuses] == [200, 200]
        after = await client.certificates.get_limits(token)
        assert before.enrollment.remaining - after.enrollment.remaining == 2
        assert before.certificate.remaining - after.certificate.remaining == 2

        serials = [status.certificate_serial_number for status in statuses]
        issued = await retrieve(client, token, *serials)
        assert isinstance(issued[0].public_key(), ec.EllipticCurvePublicKey)
        assert isinstance(issued[1].public_key(), rsa.RSAPublicKey)
        reason = models.RevokeCertificateRequest.from_dict({"revocationReason": "Superseded"})
        await client.certificates.revoke_certificate(serials[0], reason, access_token=token)
        assert await states(client, token) == {serials[0]: "Revoked", serials[1]: "Active"}
        assert client.certificates.recorder.unused == set()


@pytest.mark.parametrize(("make_csr", "face"), [(generate_csr_ec, "sync"), (generate_csr_rsa, "async")])
async def test_it_signs_in_with_a_certificate_it_was_issued(ksef: Sandbox, make_csr: Any, face: Face) -> None:
    made: list[Any] = []

    def remember(data: dict[str, Any]) -> Any:
        made.append(make_csr(data))
        return made[0]

    async with connected(ksef, face) as client:
        token = (await client.sign_in(make_seal(nip=NIP), NIP)).access_token.token
        serial = (await enroll(client, token, "Authentication", remember)).certificate_serial_number
        (certificate,) = await retrieve(client, token, serial)
        key = serialization.load_der_private_key(base64.b64decode(made[0].private_key_base64), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        assert await client.sign_in(TestCredential(certificate, key), NIP)


@pytest.mark.parametrize("face", FACES)
async def test_it_reads_the_limits_that_test_data_set(ksef: Sandbox, face: Face) -> None:
    ksef.set(api_version="2.9")  # which its models are made for
    async with connected(ksef, face) as client:
        token = (await client.sign_in(make_seal(nip=NIP), NIP)).access_token.token
        usual = await client.limits.get_context_limits(token)
        sizes = {"maxInvoiceSizeInMB": 5, "maxInvoiceWithAttachmentSizeInMB": 10, "maxInvoices": 7}
        session = {"onlineSession": sizes, "batchSession": sizes, "collectiveIdentifier": {"maxInvoices": 9}}
        changed = models.SetSessionLimitsRequest.from_dict(session)
        await client.testdata.change_session_limits(changed, access_token=token)
        assert (await client.limits.get_context_limits(token)).to_dict() == session
        await client.testdata.reset_session_limits(access_token=token)
        assert await client.limits.get_context_limits(token) == usual

        maxima = {"enrollment": {"maxEnrollments": 1}, "certificate": {"maxCertificates": 2}}
        wanted = models.SetSubjectLimitsRequest.from_dict(maxima)
        await client.testdata.change_certificate_limits(wanted, access_token=token)
        assert (await client.limits.get_subject_limits(token)).to_dict() == maxima
        await enroll(client, token, "Offline", generate_csr_ec)
        assert await code_of(enroll(client, token, "Offline", generate_csr_ec)) == 25006
        await client.testdata.reset_certificate_limits(access_token=token)
        assert (await enroll(client, token, "Offline", generate_csr_ec)).status.code == 200

        await client.testdata.restore_production_rate_limits(access_token=token)
        rates = await client.rate_limits.get_rate_limits(token)
        assert (rates.other.per_hour, rates.anonymous.per_second, rates.global_.per_second) == (120, 60, -1)
        values = rates.to_dict() | {"other": {"perSecond": 99, "perMinute": 100, "perHour": 101}}
        own = models.SetRateLimitsRequest.from_dict({"rateLimits": values})
        await client.testdata.set_rate_limits(own, access_token=token)
        assert (await client.rate_limits.get_rate_limits(token)).other.per_hour == 101
        await client.testdata.reset_rate_limits(access_token=token)
        for service in (client.limits, client.rate_limits):
            assert service.recorder.unused == set()


@pytest.mark.parametrize("face", FACES)
async def test_it_builds_a_world_of_test_data_and_takes_it_down(ksef: Sandbox, face: Face) -> None:
    person, seal = make_person(pesel=PESEL), make_seal(nip=NIP)
    async with connected(ksef, face) as client:
        data = client.testdata

        async def is_refused(code: int) -> None:
            with pytest.raises((KsefApiError, RuntimeError), match=str(code)):
                await client.sign_in(person, NIP)

        await is_refused(415)
        link = {"nip": NIP, "pesel": PESEL, "isBailiff": False, "description": "Właścicielka"}
        await data.create_person(models.PersonCreateRequest.from_dict(link))
        assert await client.sign_in(person, NIP)
        await data.remove_person(models.PersonRemoveRequest.from_dict({"nip": NIP}))
        await is_refused(415)

        pair = {"contextIdentifier": identifier("Nip", NIP), "authorizedIdentifier": identifier("Pesel", PESEL)}
        entry = {"permissionType": "InvoiceRead", "description": "ZAW-FA na papierze"}
        granted = models.TestDataPermissionsGrantRequest.from_dict({**pair, "permissions": [entry]})
        await data.grant_permissions(granted)
        assert await client.sign_in(person, NIP)
        block = {"contextIdentifier": identifier("Nip", NIP)}
        await data.block_context_authentication(models.BlockContextAuthenticationRequest.from_dict(block))
        await is_refused(480)
        await data.unblock_context_authentication(models.UnblockContextAuthenticationRequest.from_dict(block))
        assert await client.sign_in(person, NIP)
        await data.revoke_permissions(models.TestDataPermissionsRevokeRequest.from_dict(pair))
        await is_refused(415)

        token = (await client.sign_in(seal, NIP)).access_token.token
        await data.enable_attachment(models.AttachmentPermissionGrantRequest.from_dict({"nip": NIP}))
        assert (await client.permissions.check_attachment_permission_status(token)).is_attachment_allowed
        await data.disable_attachment(models.AttachmentPermissionRevokeRequest.from_dict({"nip": NIP}))
        assert not (await client.permissions.check_attachment_permission_status(token)).is_attachment_allowed

        units = [{"subjectNip": OTHER_NIP, "description": "Jednostka podrzędna"}]
        group = {"subjectNip": NIP, "subjectType": "JST", "description": "Gmina testowa", "subunits": units}
        await data.create_subject(models.SubjectCreateRequest.from_dict(group))
        assert len((await client.permissions.query_entities_roles(access_token=token)).roles) == 1
        await data.remove_subject(models.SubjectRemoveRequest.from_dict({"subjectNip": NIP}))
        assert (await client.permissions.query_entities_roles(access_token=token)).roles == []

        serial = (await enroll(client, token, "Offline", generate_csr_ec)).certificate_serial_number
        past = models.TestDataUpdateCertificateRequest.from_dict({"validTo": DAY})
        await data.update_certificate(serial, past, access_token=token)
        assert await states(client, token) == {serial: "Expired"}
        limits = {name for name in data.recorder.unused if name.endswith("_limits")}
        assert data.recorder.unused == limits  # the other test asks for them
