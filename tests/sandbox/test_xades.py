"""Signatures that must be accepted: every allowed form, algorithm and shape of the signers in use (facts.md §2.4)."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from tests.sandbox.signing import (
    EXCLUSIVE,
    FILTER2_SUBTRACT,
    INCLUSIVE,
    INCLUSIVE_11,
    XPATH_NOT_SIGNATURE,
    CertificateReference,
    Form,
    TestCredential,
    auth_token_request,
    make_person,
    make_seal,
    rsa_key,
    sign,
)

from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.xml.auth_request import AuthTokenRequest, parse
from ksef_sandbox.xml.xades import WARNING, Compliance, SignedDocument, verify

CHALLENGE = "20250625-CR-20F5EE4000-DA48AE4124-46"
REQUEST = auth_token_request(CHALLENGE, nip="5265877635")
READ = AuthTokenRequest(CHALLENGE, ContextIdentifier(ContextType.NIP, "5265877635"), "certificateSubject", None)
PERSON = make_person(pesel="80010112345")


def accepted(body: bytes, credential: TestCredential, compliance: Compliance = "enforce") -> SignedDocument:
    """Verify, and check that the document and the signer are the ones meant."""
    document = verify(body, compliance=compliance)
    assert parse(document.root, accept=frozenset({"2.0", "2.1"})) == READ
    assert document.certificate == credential.certificate
    return document


def rsa_seal() -> TestCredential:
    return make_seal(nip="5265877635", key=rsa_key())


def test_the_shape_of_the_official_signer_is_accepted() -> None:
    assert accepted(sign(REQUEST, PERSON), PERSON).warnings == ()


@pytest.mark.parametrize("removal", [XPATH_NOT_SIGNATURE, FILTER2_SUBTRACT])
def test_the_shapes_of_dss_are_accepted(removal: str) -> None:
    accepted(sign(REQUEST, PERSON, removal=removal, digest="sha512"), PERSON)


@pytest.mark.parametrize("form", ["enveloping", "enveloping-base64"])
@pytest.mark.parametrize("reference_c14n", [EXCLUSIVE, INCLUSIVE, None])
def test_an_enveloping_signature_is_accepted(form: Form, reference_c14n: str | None) -> None:
    accepted(sign(REQUEST, PERSON, form=form, reference_c14n=reference_c14n), PERSON)


@pytest.mark.parametrize("signature_c14n", [EXCLUSIVE, INCLUSIVE, INCLUSIVE_11])
@pytest.mark.parametrize("reference_c14n", [EXCLUSIVE, INCLUSIVE, INCLUSIVE_11, None])
def test_every_canonicalisation_is_accepted(signature_c14n: str, reference_c14n: str | None) -> None:
    accepted(sign(REQUEST, PERSON, c14n=signature_c14n, reference_c14n=reference_c14n), PERSON)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
def test_every_digest_is_accepted(digest: str) -> None:
    accepted(sign(REQUEST, PERSON, digest=digest), PERSON)


@pytest.mark.parametrize("signature_hash", ["sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1()])
def test_every_ecdsa_method_is_accepted(curve: ec.EllipticCurve, signature_hash: str) -> None:
    credential = make_person(pesel="80010112345", key=ec.generate_private_key(curve))
    accepted(sign(REQUEST, credential, signature_hash=signature_hash), credential)


@pytest.mark.parametrize("signature_hash", ["sha1", "sha256", "sha384", "sha512"])
def test_every_rsa_pkcs1_method_is_accepted(signature_hash: str) -> None:
    credential = rsa_seal()
    accepted(sign(REQUEST, credential, signature_hash=signature_hash), credential)


@pytest.mark.parametrize("signature_hash", ["sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
def test_every_rsa_pss_method_is_accepted(signature_hash: str) -> None:
    credential = rsa_seal()
    accepted(sign(REQUEST, credential, signature_hash=signature_hash, pss=True), credential)


@pytest.mark.parametrize("version", ["v1", "v2", "both"])
def test_either_form_of_signing_certificate_is_accepted(version: CertificateReference) -> None:
    accepted(sign(REQUEST, PERSON, signing_certificate=version), PERSON)


def test_a_signed_key_info_stands_in_for_the_signing_certificate() -> None:
    assert accepted(sign(REQUEST, PERSON, signing_certificate="none", sign_key_info=True), PERSON).warnings == ()


def test_the_signer_is_found_in_a_chain_in_any_order() -> None:
    issuer = make_seal(nip="5265877635")
    accepted(sign(REQUEST, PERSON, key_info=[issuer.certificate, PERSON.certificate]), PERSON)


@pytest.mark.parametrize(
    ("compliance", "warnings"), [("warn", (WARNING,)), ("off", ())], ids=["with a warning", "silently"]
)
def test_a_signature_without_signing_certificate_passes_when_compliance_is_relaxed(
    compliance: Compliance, warnings: tuple[str, ...]
) -> None:
    body = sign(REQUEST, PERSON, signing_certificate="none")
    assert accepted(body, PERSON, compliance).warnings == warnings
    with pytest.raises(BadRequest):
        verify(body, compliance="enforce")


def test_a_byte_order_mark_and_whitespace_do_no_harm() -> None:
    accepted(b"\xef\xbb\xbf" + sign(REQUEST, PERSON) + b"\n\n", PERSON)


def test_a_signature_between_the_elements_of_the_document_is_accepted() -> None:
    root = etree.fromstring(sign(REQUEST, PERSON))
    root.insert(1, root[-1])
    accepted(etree.tostring(root), PERSON)


def test_comments_change_nothing_that_is_read() -> None:
    body = sign(REQUEST, PERSON).replace(b"<Nip>5265", b"<Nip>5265<!-- 1111111111 -->")
    accepted(b"<!-- before -->" + body.split(b"?>", 1)[1] + b"<!-- after -->", PERSON)


def test_what_is_returned_is_apart_from_what_was_sent() -> None:
    document = verify(sign(REQUEST, PERSON, form="enveloping"), compliance="enforce")
    assert document.root.getparent() is None
    assert b"Signature" not in etree.tostring(document.root.getroottree())


@pytest.mark.parametrize("credential", [PERSON, rsa_seal()], ids=["ec", "rsa"])
def test_a_signature_by_signxml_is_accepted(credential: TestCredential) -> None:
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.xades.xades import XAdESSigner

    method = SignatureMethod.ECDSA_SHA256 if credential is PERSON else SignatureMethod.RSA_SHA256
    signer = XAdESSigner(signature_algorithm=method, digest_algorithm=DigestAlgorithm.SHA256)
    signed = signer.sign(
        etree.fromstring(REQUEST), key=credential.private_key_pem, cert=credential.certificate_pem.decode()
    )
    accepted(etree.tostring(signed), credential)


@pytest.mark.parametrize("credential", [PERSON, rsa_seal()], ids=["ec", "rsa"])
def test_a_signature_by_ksef_client_is_accepted(credential: TestCredential) -> None:
    from ksef_client.services.xades import sign_xades_enveloped

    signed: str = sign_xades_enveloped(
        REQUEST.decode(), credential.certificate_pem.decode(), credential.private_key_pem.decode()
    )
    accepted(signed.encode(), credential)


@pytest.mark.parametrize("form", ["enveloped", "enveloping"])
def test_our_test_signer_is_right_by_another_verifier(form: Form) -> None:
    """signxml verifies what `signing.sign` makes, so that signer and sandbox cannot share one misreading."""
    from signxml.verifier import SignatureConfiguration
    from signxml.xades.xades import XAdESVerifier

    body = sign(REQUEST, PERSON, form=form)
    results = XAdESVerifier().verify(
        body, x509_cert=PERSON.certificate, expect_config=SignatureConfiguration(expect_references=2)
    )
    assert len(results) == 2


def test_the_test_credential_is_a_working_pair() -> None:
    key = load_pem_private_key(PERSON.private_key_pem, None)
    assert x509.load_pem_x509_certificate(PERSON.certificate_pem).public_key() == key.public_key()
