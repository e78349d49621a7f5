"""The client against a whole KSeF: real HTTP, real signatures, real certificates, and a clock that moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.klucznik.ksef.worlds import NIP, PESEL, ec_key, nobody, person, rsa_key, seal, self_signed, signer
from tests.klucznik.world import SandboxClock

from klucznik.domain.certificates import CertificateStatus, CertificateType, RevocationReason
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.environments import Environment, endpoint
from klucznik.domain.identifiers import Context, SubjectType
from klucznik.domain.limits import Allowance
from klucznik.errors import KsefRefused, SignatureNeeded, SignInRefused
from klucznik.keys.csr import build_csr
from klucznik.ksef.auth_request import SubjectIdentifierType
from klucznik.ksef.client import DocumentSigner, KsefClient
from klucznik.ksef.kod2 import sign_link, verify_link
from klucznik.ksef.profile import IssuedCertificate, Issuer, check_issued
from klucznik.ksef.session import Session
from klucznik.ksef.xades import SigningKey, sign_document
from ksef_sandbox import Sandbox

CONTEXT = Context.of_nip(NIP)
OTHER_NIP = "7171642051"
QUICK: dict[str, int | str] = {"auth_delay_ms": 0, "enroll_delay_ms": 0, "revoke_delay_ms": 0, "rate_profile": "off"}


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(seed=1, switches=QUICK) as running:
        yield running


@asynccontextmanager
async def session(
    ksef: Sandbox,
    sign: DocumentSigner | None = None,
    *,
    context: Context = CONTEXT,
    kind: SubjectIdentifierType = SubjectIdentifierType.CERTIFICATE_SUBJECT,
) -> AsyncIterator[Session]:
    async with connection(ksef) as ksef_client:
        yield await ksef_client.sign_in(context, sign or signer(seal()), identifier_type=kind)


def connection(ksef: Sandbox) -> KsefClient:
    return KsefClient(endpoint(Environment.SANDBOX, ksef.base_url), clock=SandboxClock(ksef))


async def issue(
    opened: Session, ksef: Sandbox, type: CertificateType, key: SigningKey
) -> tuple[IssuedCertificate, EnrollmentData]:
    """The whole road of one certificate."""
    data = await opened.enrollment_data()
    ticket = await opened.enroll(name=f"Klucznik {type.value}", type=type, csr=build_csr(data, key))
    while (status := await opened.enrollment_status(ticket.reference_number)).pending:
        await asyncio.sleep(0.01)
    assert status.issued, status
    serial = status.certificate_serial_number
    assert serial is not None
    certificate = (await opened.retrieve([serial]))[serial]
    issued = check_issued(
        certificate.der,
        type=type,
        serial_number=serial,
        public_key=key.public_key(),
        data=data,
        environment=Environment.SANDBOX,
        now=ksef.now(),
    )
    return issued, data


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ec", "rsa"])
async def test_a_company_signs_in_with_its_seal(ksef: Sandbox, key: SigningKey) -> None:
    async with session(ksef, signer(seal(), key)) as opened:
        limits = await opened.limits()
        assert limits.can_request
        assert (limits.enrollment, limits.certificate) == (Allowance(300, 300), Allowance(100, 100))
        assert await opened.enrollment_data() == EnrollmentData(
            common_name="Zażółć",
            country_name="PL",
            organization_name="Zażółć sp. z o.o.",
            organization_identifier=f"VATPL-{NIP}",
        )


async def test_an_owner_signs_in_as_a_person_with_limits_of_her_own(ksef: Sandbox) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    async with session(ksef, signer(person())) as opened:
        limits = await opened.limits()
        assert (limits.enrollment, limits.certificate) == (Allowance(12, 12), Allowance(6, 6))
        data = await opened.enrollment_data()
        assert (data.given_name, data.surname, data.serial_number) == ("Łucja", "Żak", f"PNOPL-{PESEL}")


async def test_a_person_without_rights_is_refused_with_415(ksef: Sandbox) -> None:
    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, signer(person())):
            pass
    assert (caught.value.status, caught.value.code) == (None, 415)
    assert caught.value.details == ("Brak przypisanych uprawnień",)


async def test_a_seal_of_another_company_is_refused_with_415(ksef: Sandbox) -> None:
    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, signer(seal(OTHER_NIP))):
            pass
    assert caught.value.code == 415


async def test_a_certificate_without_an_identity_is_refused_at_once(ksef: Sandbox) -> None:
    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, signer(nobody())):
            pass
    assert caught.value.status == 400
    assert caught.value.code in (21115, 21406)  # facts.md §2.6 names both
    assert caught.value.trace_id


async def test_a_certificate_without_an_identity_signs_in_by_its_fingerprint(ksef: Sandbox) -> None:
    certificate = self_signed(nobody(), ec_key())
    granted = {
        "contextIdentifier": {"type": "Nip", "value": NIP},
        "authorizedIdentifier": {
            "type": "Fingerprint",
            "value": certificate.fingerprint(hashes.SHA256()).hex().upper(),
        },
        "permissions": [{"permissionType": "InvoiceRead", "description": "granted in a test"}],
    }
    httpx.post(f"{ksef.base_url}/testdata/permissions", json=granted, trust_env=False).raise_for_status()
    by_fingerprint: DocumentSigner = lambda xml: sign_document(xml, certificate, ec_key(), now=datetime.now(UTC))  # noqa: E731
    async with session(ksef, by_fingerprint, kind=SubjectIdentifierType.CERTIFICATE_FINGERPRINT) as opened:
        assert (await opened.limits()).enrollment == Allowance(12, 12)


async def test_a_document_signed_for_another_challenge_is_refused(ksef: Sandbox) -> None:
    sign = signer(seal())
    kept: list[bytes] = []

    def keep(xml: bytes) -> bytes:
        signed = sign(xml)
        assert isinstance(signed, bytes)
        kept.append(signed)
        return signed

    async with session(ksef, keep):
        pass
    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, lambda _: kept[0]):
            pass
    assert (caught.value.status, caught.value.code) == (400, 21111)


async def test_a_document_changed_after_signing_is_refused(ksef: Sandbox) -> None:
    sign = signer(seal())

    def change(xml: bytes) -> bytes:
        signed = sign(xml)
        assert isinstance(signed, bytes)
        return signed.replace(f"<Nip>{NIP}".encode(), f"<Nip>{OTHER_NIP}".encode())

    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, change):
            pass
    assert caught.value.code == 9105


async def test_a_slow_sign_in_is_waited_for(ksef: Sandbox) -> None:
    ksef.set(auth_delay_ms=300)
    async with session(ksef):
        pass
    polls = [request for request in ksef.requests(method="GET") if request.path.startswith("/auth/")]
    assert 2 <= len(polls) <= 5


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ec", "rsa"])
async def test_a_pair_is_issued_verified_and_put_to_use(ksef: Sandbox, key: SigningKey) -> None:
    async with session(ksef) as opened:
        first, _ = await issue(opened, ksef, CertificateType.AUTHENTICATION, key)
        second, _ = await issue(opened, ksef, CertificateType.OFFLINE, key)
        limits = await opened.limits()
    assert (limits.enrollment.remaining, limits.certificate.remaining) == (298, 98)
    assert (first.issuer, first.common_name) == (Issuer.SANDBOX, "Zażółć (uwierzytelnienie)")
    certificate = x509.load_der_x509_certificate(first.der)
    by_ksef: DocumentSigner = lambda xml: sign_document(xml, certificate, key, now=ksef.now())  # noqa: E731
    async with session(ksef, by_ksef) as renewed:
        data = await renewed.enrollment_data()
        assert data.common_name == "Zażółć"
    link = sign_link(
        qr_host=endpoint(Environment.SANDBOX, ksef.base_url).qr_host,
        context=CONTEXT,
        seller_nip=NIP,
        serial_number=second.serial_number,
        invoice=b"<Faktura/>",
        private_key=key,
    )
    public_key = x509.load_der_x509_certificate(second.der).public_key()
    verify_link(link, public_key, invoice=b"<Faktura/>")  # type: ignore[arg-type]


async def test_an_offline_certificate_cannot_sign_in(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        issued, _ = await issue(opened, ksef, CertificateType.OFFLINE, ec_key())
    certificate = x509.load_der_x509_certificate(issued.der)
    with pytest.raises(SignInRefused) as caught:
        async with session(ksef, lambda xml: sign_document(xml, certificate, ec_key(), now=ksef.now())):
            pass
    assert caught.value.code == 21115


async def test_a_certificate_is_listed_found_and_revoked(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        issued, _ = await issue(opened, ksef, CertificateType.AUTHENTICATION, ec_key())
        await issue(opened, ksef, CertificateType.OFFLINE, ec_key())
        serials = {record.serial_number: record async for record in opened.certificates()}
        assert len(serials) == 2
        record = serials[issued.serial_number]
        assert (record.type, record.status) == (CertificateType.AUTHENTICATION, CertificateStatus.ACTIVE)
        assert record.subject is not None
        assert (record.subject.type, record.subject.value) == (SubjectType.NIP, NIP)
        assert (record.valid_from, record.valid_to) == (issued.valid_from, issued.valid_to)
        found = [r async for r in opened.certificates(name="Authentication", type=CertificateType.AUTHENTICATION)]
        assert [r.serial_number for r in found] == [issued.serial_number]

        await opened.revoke(issued.serial_number, RevocationReason.SUPERSEDED)
        limits = await opened.limits()
        assert (limits.enrollment.remaining, limits.certificate.remaining) == (298, 99)
        revoked = [r async for r in opened.certificates(status=CertificateStatus.REVOKED)]
        assert [r.serial_number for r in revoked] == [issued.serial_number]
        with pytest.raises(KsefRefused) as twice:
            await opened.revoke(issued.serial_number)
        assert (twice.value.status, twice.value.code) == (400, 25009)


async def test_a_listing_goes_over_several_pages(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        data = await opened.enrollment_data()
        csr = build_csr(data, ec_key())
        for number in range(52):
            if number % 30 == 29:
                ksef.advance(minutes=2)  # KSeF takes 30 of them a minute
            await opened.enroll(name=f"Klucznik {number}", type=CertificateType.OFFLINE, csr=csr)
        names = [record.name async for record in opened.certificates()]
    assert sorted(names) == sorted(f"Klucznik {number}" for number in range(52))
    assert len(ksef.requests(method="POST", path="/certificates/query")) == 2


async def test_limits_that_are_used_up_are_told_and_a_request_is_refused_with_its_code(ksef: Sandbox) -> None:
    ksef.set_limits("Nip", NIP, enrollment=0)
    async with session(ksef) as opened:
        limits = await opened.limits()
        assert (limits.can_request, limits.enrollment.remaining) == (False, 0)
        data = await opened.enrollment_data()
        with pytest.raises(KsefRefused) as caught:
            await opened.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=build_csr(data, ec_key()))
        assert (caught.value.status, caught.value.code) == (400, 25006)
        assert caught.value.text
    assert len(ksef.requests(method="POST", path="/certificates/enrollments")) == 1


async def test_a_csr_that_says_something_else_is_refused(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        csr = build_csr(EnrollmentData(common_name="Obcy", country_name="PL"), ec_key())
        with pytest.raises(KsefRefused) as caught:
            await opened.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=csr)
        assert caught.value.code == 25003
        with pytest.raises(KsefRefused) as broken:
            await opened.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=b"0")
        assert broken.value.code == 25004


async def test_an_unknown_request_and_an_unknown_certificate_have_their_codes(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        with pytest.raises(KsefRefused) as request:
            await opened.enrollment_status("20261123-EH-20F5EE4000-DA48AE4124-46")
        with pytest.raises(KsefRefused) as certificate:
            await opened.revoke("01F20A5D352AE590")
    assert (request.value.code, certificate.value.code) == (25005, 25008)


async def test_a_request_is_gone_after_its_thirty_days(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        data = await opened.enrollment_data()
        ticket = await opened.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=build_csr(data, ec_key()))
    ksef.advance(days=31)
    certificate = self_signed(seal(), ec_key(), start=ksef.now())
    async with session(ksef, lambda xml: sign_document(xml, certificate, ec_key(), now=ksef.now())) as later:
        with pytest.raises(KsefRefused, match="ksef_gone"):
            await later.enrollment_status(ticket.reference_number)


async def test_the_access_token_is_renewed_as_time_goes_on_and_the_session_ends_after_a_week(ksef: Sandbox) -> None:
    async with session(ksef) as opened:
        for _ in range(3):
            ksef.advance(minutes=20)
            await asyncio.gather(opened.limits(), opened.enrollment_data())
        assert len(ksef.requests(path="/auth/token/refresh")) == 3
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded, match="session_over"):
            await opened.limits()


async def test_a_clock_that_is_behind_ksefs_is_no_obstacle(ksef: Sandbox) -> None:
    async with KsefClient(endpoint(Environment.SANDBOX, ksef.base_url)) as ksef_client:
        opened = await ksef_client.sign_in(CONTEXT, signer(seal()))
        ksef.advance(minutes=30)
        assert (await opened.limits()).can_request
    assert [r.status for r in ksef.requests(path="/certificates/limits")] == [401, 200]


async def test_sessions_are_listed_and_ended(ksef: Sandbox) -> None:
    async with session(ksef) as first, session(ksef) as second:
        records = await second.sessions()
        assert sorted(record.is_current for record in records) == [False, True]
        (other,) = (record for record in records if not record.is_current)
        assert other.status.done
        await second.end_session(other.reference_number)
        assert [record.is_current for record in await second.sessions()] == [True]
        ksef.advance(minutes=20)
        with pytest.raises(SignatureNeeded, match="session_over"):
            await first.limits()
        await second.end()
        with pytest.raises(SignatureNeeded, match="session_ended"):
            await second.limits()


class Legacy(httpx.AsyncHTTPTransport):
    """Takes off the wish for problem details, so that the answer comes in the older format."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        del request.headers["X-Error-Format"]
        return await super().handle_async_request(request)


async def test_both_error_formats_of_a_running_ksef_tell_the_same(ksef: Sandbox) -> None:
    told = []
    for transport in (None, Legacy()):
        ksef_client = KsefClient(endpoint(Environment.SANDBOX, ksef.base_url), transport=transport)
        async with ksef_client:
            opened = await ksef_client.sign_in(CONTEXT, signer(seal()))
            with pytest.raises(KsefRefused) as caught:
                await opened.revoke("01F20A5D352AE590")
        assert caught.value.trace_id
        told.append((caught.value.reason, caught.value.status, caught.value.code, caught.value.text))
    assert told[0] == told[1]
    assert told[0][:3] == ("ksef_refused", 400, 25008)
