"""Who signed a document elsewhere, and which certificates KSeF would not let in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.klucznik.signers import PERSON_OF_TRUST, by_dss, issued
from tests.project import source
from tests.sandbox.signing import TestCredential, make_anonymous, make_credential, make_person, make_seal, rsa_key, sign

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.errors import SignedDocumentError
from klucznik.ksef.auth_request import SubjectIdentifierType, auth_token_request
from klucznik.messages import words_in
from klucznik.messages.errors import error_text
from klucznik.services.signed_by import Doubt, SignedBy, SignedWith, check_signed

pytestmark = pytest.mark.sqlite

NIP, PESEL = "5265877635", "80010112345"
CHALLENGE = "20250625-CR-20F5EE4000-DA48AE4124-46"
GIVEN = auth_token_request(CHALLENGE, Context.of_nip(NIP))
BY_FINGERPRINT = auth_token_request(CHALLENGE, Context.of_nip(NIP), SubjectIdentifierType.CERTIFICATE_FINGERPRINT)
NOW = datetime.now(UTC)
PERSON = Subject(SubjectType.PESEL, PESEL)
SEAL_NAME = [
    (NameOID.ORGANIZATION_NAME, "Firma"),
    (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{NIP}"),
    (NameOID.COMMON_NAME, "Firma"),
    (NameOID.COUNTRY_NAME, "PL"),
]
MINISTRY = [
    (NameOID.ORGANIZATION_NAME, "Ministerstwo Cyfryzacji"),
    (NameOID.ORGANIZATION_IDENTIFIER, "VATPL-5252955037"),
    (NameOID.COMMON_NAME, "Minister do spraw informatyzacji - pieczęć podpisu zaufanego"),
    (NameOID.COUNTRY_NAME, "PL"),
]


def check(
    credential: TestCredential,
    *,
    environment: Environment = Environment.TEST,
    given: bytes = GIVEN,
    wanted: Subject | None = None,
    now: datetime = NOW,
) -> SignedBy:
    return check_signed(sign(given, credential), given, environment=environment, now=now, wanted=wanted)


def test_a_person_signs_as_the_pesel_of_the_certificate() -> None:
    signed = check(make_person(pesel=PESEL), wanted=PERSON)
    assert (signed.subject, signed.signed_with, signed.common_name) == (PERSON, SignedWith.PERSON, "Jan Żółć")
    assert signed.valid_from < NOW < signed.valid_to
    assert "Żółć" not in repr(signed)


def test_a_seal_signs_as_its_nip_also_where_more_numbers_stand_in_it() -> None:
    plain = check(make_seal(nip=NIP))
    crowded = [(oid, f"{value} NTRPL-0001040934" if "VATPL" in value else value) for oid, value in SEAL_NAME]
    assert plain.subject == check(make_credential(crowded)).subject == Subject(SubjectType.NIP, NIP)
    assert plain.signed_with is SignedWith.SEAL


def test_an_authentication_certificate_of_ksef_signs_in() -> None:
    signed = check(issued(SEAL_NAME, "TEST CCK KSeF"))
    assert (signed.signed_with, signed.issuer) == (SignedWith.KSEF, "TEST CCK KSeF")


def test_where_the_fingerprint_was_asked_for_it_is_the_subject() -> None:
    stranger = make_anonymous()
    signed = check(stranger, given=BY_FINGERPRINT)
    assert signed.subject == Subject(SubjectType.FINGERPRINT, stranger.fingerprint)


def test_behind_the_ministry_s_seal_stands_the_person_whom_the_signature_names() -> None:
    role = PERSON_OF_TRUST.format(pesel=PESEL)
    ministry = issued(MINISTRY, "CUZ Sigillum - QCA1")
    signed = check_signed(by_dss(GIVEN, ministry, role=role), GIVEN, environment=Environment.PRODUCTION, now=NOW)
    assert (signed.subject, signed.signed_with) == (PERSON, SignedWith.TRUSTED_PROFILE)
    assert signed.doubts == (Doubt.TRUSTED_PROFILE,)


def test_nobody_becomes_another_person_by_claiming_to_be_one_in_a_signature_of_one_s_own() -> None:
    signed = by_dss(GIVEN, make_seal(nip=NIP), role=PERSON_OF_TRUST.format(pesel=PESEL))
    found = check_signed(signed, GIVEN, environment=Environment.TEST, now=NOW)
    assert found.subject == Subject(SubjectType.NIP, NIP)


def test_a_certificate_that_begins_now_may_be_ahead_of_our_clock() -> None:
    assert check(make_seal(nip=NIP, not_before=NOW + timedelta(minutes=4))).signed_with is SignedWith.SEAL


def test_rsa_pss_is_allowed_and_told_as_doubtful() -> None:
    signed = sign(GIVEN, make_seal(nip=NIP, key=rsa_key()), pss=True)
    assert check_signed(signed, GIVEN, environment=Environment.TEST, now=NOW).doubts == (Doubt.RSA_PSS,)


def check_broken_name() -> SignedBy:
    seal = make_credential(SEAL_NAME)
    der = seal.certificate.public_bytes(Encoding.DER).replace(b"Firma", b"Fi\xffma")
    broken = TestCredential(x509.load_der_x509_certificate(der), seal.private_key)
    signed = sign(GIVEN, broken, issuer_name="CN=Firma")
    return check_signed(signed, GIVEN, environment=Environment.TEST, now=NOW)


def test_the_company_in_a_document_is_told_as_people_write_it() -> None:
    signed = sign(GIVEN.replace(NIP.encode(), b"1111111111"), make_seal(nip=NIP))
    with pytest.raises(SignedDocumentError) as refused:
        check_signed(signed, GIVEN, environment=Environment.TEST, now=NOW)
    assert f"NIP 1111111111 zamiast NIP {NIP}" in error_text(refused.value, words_in("pl")).what


WRONG: dict[str, tuple[str, Callable[[], object]]] = {
    "expired": ("signed_certificate_expired", lambda: check(make_seal(nip=NIP, not_after=NOW - timedelta(hours=1)))),
    "from tomorrow on": (
        "signed_certificate_not_yet_valid",
        lambda: check(make_seal(nip=NIP, not_before=NOW + timedelta(days=1))),
    ),
    "no number in it": ("signed_without_identity", lambda: check(make_anonymous())),
    "a PESEL that is none, behind the Ministry's seal": (
        "signed_without_identity",
        lambda: check_signed(
            by_dss(GIVEN, issued(MINISTRY, "QCA"), role=PERSON_OF_TRUST.format(pesel="00000000000")),
            GIVEN,
            environment=Environment.PRODUCTION,
            now=NOW,
        ),
    ),
    "a seal with a person in it": (
        "signed_by_seal_with_person",
        lambda: check(make_credential([*SEAL_NAME, (NameOID.GIVEN_NAME, "Jan")])),
    ),
    "an Offline certificate": (
        "signed_with_offline_certificate",
        lambda: check(issued(SEAL_NAME, "TEST CCK KSeF", offline=True)),
    ),
    "a KSeF certificate of another environment": (
        "signed_certificate_of_other_environment",
        lambda: check(issued(SEAL_NAME, "TEST CCK KSeF"), environment=Environment.PRODUCTION),
    ),
    "self-signed on production": (
        "signed_by_self_signed",
        lambda: check(make_seal(nip=NIP), environment=Environment.PRODUCTION),
    ),
    "self-signed on demo": (
        "signed_by_self_signed",
        lambda: check(make_seal(nip=NIP), environment=Environment.DEMO),
    ),
    "somebody else": ("signed_by_other_subject", lambda: check(make_seal(nip=NIP), wanted=PERSON)),
    "a name that breaks its encoding": ("signed_certificate_unreadable", check_broken_name),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_certificate_that_cannot_sign_in_is_called_by_its_name(name: str) -> None:
    reason, mistaken = WRONG[name]
    with pytest.raises(SignedDocumentError) as refused:
        mistaken()
    assert refused.value.reason == reason
    for language in ("pl", "en"):
        said = error_text(refused.value, words_in(language))
        assert said.now
        assert PESEL not in f"{said.what} {said.now}"


def test_the_table_holds_every_reason_that_a_certificate_can_be_refused_for() -> None:
    given = {one.name for one in source.reasons() if one.where.startswith("services/signed_by")}
    assert given == {reason for reason, _ in WRONG.values()}


def test_demo_and_production_share_an_issuer_so_ksef_decides() -> None:
    for environment in (Environment.DEMO, Environment.PRODUCTION):
        assert check(issued(SEAL_NAME, "CCK KSeF"), environment=environment).signed_with is SignedWith.KSEF
