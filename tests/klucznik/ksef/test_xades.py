"""The signature, checked by two verifiers that are not ours: signxml's, and the sandbox's, which shares no code."""

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier
from tests.klucznik.ksef.worlds import CHALLENGE, CONTEXT, ec_key, nobody, person, rsa_key, seal, self_signed

from klucznik.errors import CredentialError
from klucznik.ksef.auth_request import NAMESPACE, auth_token_request
from klucznik.ksef.xades import SigningKey, sign_document
from ksef_sandbox.xml import xades as sandbox_xades

DS = "{http://www.w3.org/2000/09/xmldsig#}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
NOW = datetime.now(UTC)


def signed(key: SigningKey, certificate: x509.Certificate | None = None) -> bytes:
    certificate = certificate or self_signed(seal(), key)
    return sign_document(auth_token_request(CHALLENGE, CONTEXT), certificate, key, now=NOW)


KEYS: dict[str, Callable[[], SigningKey]] = {
    "p256": ec_key,
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": rsa_key,
}


@pytest.mark.parametrize("kind", KEYS)
def test_signxml_verifies_the_document_and_the_properties(kind: str) -> None:
    key = KEYS[kind]()
    certificate = self_signed(seal(), key)
    results = XMLVerifier().verify(
        signed(key, certificate),
        x509_cert=certificate,
        expect_config=SignatureConfiguration(
            expect_references=2,
            signature_methods=frozenset(
                {
                    SignatureMethod.ECDSA_SHA256,
                    SignatureMethod.ECDSA_SHA384,
                    SignatureMethod.ECDSA_SHA512,
                    SignatureMethod.RSA_SHA256,
                }
            ),
        ),
    )
    assert isinstance(results, list)
    assert [result.signed_xml.tag for result in results if result.signed_xml is not None] == [
        f"{{{NAMESPACE}}}AuthTokenRequest",
        f"{XADES}SignedProperties",
    ]


@pytest.mark.parametrize("subject", [seal(), person(), nobody()], ids=["seal", "person", "nobody"])
@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_the_sandbox_takes_the_signature_without_a_warning(
    kind: str, subject: list[tuple[x509.ObjectIdentifier, str]]
) -> None:
    key = KEYS[kind]()
    certificate = self_signed(subject, key)
    document = sandbox_xades.verify(signed(key, certificate), compliance="enforce")
    assert document.certificate == certificate
    assert document.warnings == ()


def test_the_shape_is_the_official_signers() -> None:
    certificate = self_signed(seal(), ec_key())
    root = etree.fromstring(signed(ec_key(), certificate))
    references = root.findall(f".//{DS}Reference")
    assert references[0].get("URI") == ""
    assert references[1].get("Type") == "http://uri.etsi.org/01903#SignedProperties"
    assert [[t.get("Algorithm") for t in r.iter(f"{DS}Transform")] for r in references] == [
        [
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/2001/10/xml-exc-c14n#",
        ],
        ["http://www.w3.org/2001/10/xml-exc-c14n#"],
    ]
    assert root.findtext(f".//{DS}X509SerialNumber") == str(certificate.serial_number)
    assert root.find(f".//{XADES}SigningCertificateV2") is None
    assert root.find(f".//{DS}KeyValue") is None
    said = datetime.fromisoformat(root.findtext(f".//{XADES}SigningTime") or "")
    assert said == (NOW - timedelta(minutes=1)).replace(microsecond=0)


def test_an_ec_signature_is_r_and_s_side_by_side() -> None:
    for _ in range(20):  # now and then R or S has a leading zero byte, which must stay
        value = etree.fromstring(signed(ec_key())).findtext(f".//{DS}SignatureValue")
        assert len(base64.b64decode(value or "")) == 64


def test_polish_letters_in_the_issuer_survive() -> None:
    root = etree.fromstring(signed(ec_key()))
    assert "Zażółć" in (root.findtext(f".//{DS}X509IssuerName") or "")


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())],  # noqa: S505
    ids=["short RSA", "foreign curve"],
)
def test_a_key_that_ksef_does_not_take_is_refused_before_sending(key: SigningKey) -> None:
    with pytest.raises(CredentialError, match="signing_key_unsupported"):
        signed(key, self_signed(seal(), ec_key()))


def test_the_document_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests").debug("the capture works")
        signed(ec_key())
    assert "the capture works" in caplog.text
    assert CHALLENGE not in caplog.text
    assert "SignedInfo" not in caplog.text


def test_the_country_is_named_in_the_issuer() -> None:
    certificate = self_signed(seal(), ec_key())
    assert certificate.issuer.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    assert "C=PL" in (etree.fromstring(signed(ec_key(), certificate)).findtext(f".//{DS}X509IssuerName") or "")
