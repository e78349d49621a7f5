"""A document that a person signed elsewhere: whatever KSeF takes is taken, every mistake has its own name.

Signatures are made by xmlsec1 and by two signers of the tests; the sandbox, which shares no code with klucznik, judges
the same files.
"""

import ast
import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.klucznik.signers import by_dss, by_xmlsec1
from tests.project import source
from tests.sandbox import hostile
from tests.sandbox.hostile import ATTACKER, CHALLENGE, REQUEST, VICTIM
from tests.sandbox.signing import (
    DIGESTS,
    EXCLUSIVE,
    FILTER2_SUBTRACT,
    INCLUSIVE,
    INCLUSIVE_11,
    XPATH_NOT_SIGNATURE,
    Form,
    TestCredential,
    auth_token_request,
    make_person,
    make_seal,
    rsa_key,
    sign,
)
from tests.sandbox.test_hostile_documents import ATTACKS, read

from klucznik.domain.identifiers import Context
from klucznik.errors import SignedDocumentError
from klucznik.ksef import signed_document, signed_file
from klucznik.ksef.auth_request import auth_token_request as our_request
from klucznik.ksef.signed_document import challenge_in, check_signed_document
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.xml.xades import verify

RSA_VICTIM = make_seal(nip="5265877635", key=rsa_key())
OURS = our_request(CHALLENGE, Context.of_nip("5265877635"))
FORMS: tuple[Form, ...] = ("enveloped", "enveloping", "enveloping-base64")
CANONICAL = (EXCLUSIVE, INCLUSIVE, INCLUSIVE_11, f"{EXCLUSIVE}WithComments", f"{INCLUSIVE}#WithComments")
HASHES = tuple(DIGESTS)
LONG = (
    "<xades:UnsignedSignatureProperties><xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>{stamp}"
    "</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp><xades:CertificateValues><xades:EncapsulatedX509Certificate>"
    "{stamp}</xades:EncapsulatedX509Certificate></xades:CertificateValues></xades:UnsignedSignatureProperties>"
).format(stamp="QUJD" * 50_000)


def accepted(signed: bytes, credential: TestCredential, document: bytes = REQUEST) -> signed_document.SignedDocument:
    """Both judges say yes and name the same certificate."""
    checked = check_signed_document(signed, document)
    assert checked.certificate == verify(signed, compliance="enforce").certificate == credential.certificate
    assert challenge_in(signed) == CHALLENGE
    return checked


def refusal(signed: bytes, document: bytes = REQUEST) -> SignedDocumentError:
    with pytest.raises(SignedDocumentError) as refused:
        check_signed_document(signed, document)
    return refused.value


@pytest.mark.parametrize("credential", [VICTIM, RSA_VICTIM], ids=["EC", "RSA"])
@pytest.mark.parametrize("enveloping", [False, True], ids=["enveloped", "enveloping"])
def test_a_signature_by_xmlsec1_is_accepted(credential: TestCredential, enveloping: bool, tmp_path: Path) -> None:
    signed = by_xmlsec1(OURS, credential, tmp_path, enveloping=enveloping)
    assert accepted(signed, credential, OURS).form == ("enveloping" if enveloping else "enveloped")


@pytest.mark.parametrize("credential", [VICTIM, RSA_VICTIM], ids=["EC", "RSA"])
@pytest.mark.parametrize("later", ["", LONG], ids=["Baseline B", "with what LT adds"])
def test_a_signature_in_the_shape_of_dss_is_accepted(credential: TestCredential, later: str) -> None:
    accepted(by_dss(OURS, credential, later=later), credential, OURS)


def test_every_form_and_algorithm_that_ksef_takes_is_taken() -> None:
    signatures = [
        (sign(REQUEST, credential, form=form, reference_c14n=inner, c14n=outer), credential)
        for credential in (VICTIM, RSA_VICTIM)
        for form in FORMS
        for inner in (*CANONICAL, None)
        for outer in CANONICAL
    ]
    signatures += [(sign(REQUEST, VICTIM, digest=one, signature_hash=one), VICTIM) for one in HASHES]
    signatures += [(sign(REQUEST, RSA_VICTIM, signature_hash=one, pss=True), RSA_VICTIM) for one in HASHES]
    signatures += [
        (sign(REQUEST, RSA_VICTIM, signature_hash=one), RSA_VICTIM) for one in ("sha1", "sha256", "sha384", "sha512")
    ]
    signatures += [(sign(REQUEST, VICTIM, removal=one), VICTIM) for one in (XPATH_NOT_SIGNATURE, FILTER2_SUBTRACT)]
    signatures += [
        (sign(REQUEST, VICTIM, signing_certificate="v2"), VICTIM),
        (sign(REQUEST, VICTIM, signing_certificate="both"), VICTIM),
        (sign(REQUEST, VICTIM, signing_certificate="none", sign_key_info=True), VICTIM),
        (sign(REQUEST, VICTIM, key_info=[ATTACKER.certificate, VICTIM.certificate]), VICTIM),
        (b"\xef\xbb\xbf" + sign(REQUEST, VICTIM) + b"\r\n", VICTIM),
        (sign(REQUEST, VICTIM).replace(b"?>", b"?><!-- podpisano -->", 1), VICTIM),
    ]
    for signed, credential in signatures:
        accepted(signed, credential)


def test_only_rsa_pss_is_told_as_doubtful() -> None:
    assert accepted(sign(REQUEST, RSA_VICTIM, pss=True), RSA_VICTIM).rsa_pss
    assert not accepted(sign(REQUEST, RSA_VICTIM), RSA_VICTIM).rsa_pss


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def indented(signed: bytes) -> bytes:
    tree = etree.ElementTree(etree.fromstring(signed))
    etree.indent(tree)
    return etree.tostring(tree, encoding="utf-8", xml_declaration=True)


def indented_signature(signed: bytes, part: str) -> bytes:
    root = etree.fromstring(signed)
    etree.indent(hostile.find(root, part))
    return etree.tostring(root)


CMS = bytes.fromhex("308204b206092a864886f70d010702a08204a3308204") + bytes(800)
OTHER_CHALLENGE = auth_token_request(CHALLENGE.replace("2025", "2024"), nip="5265877635")
SHORT_KEY = make_person(nip="1111111111", key=rsa_key(1024))
ONE_MISTAKE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an empty file": ("signed_file_empty", lambda: b"\n"),
    "a huge file": ("signed_file_too_big", lambda: b"<a>" + b" " * signed_file.MOST_BYTES + b"</a>"),
    "a PDF": ("signed_is_pdf", lambda: b"%PDF-1.7\n..."),
    "an ASiC container": (
        "signed_is_asic",
        lambda: zipped("mimetype", b"application/vnd.etsi.asic-e+zip") + zipped("META-INF/signatures.xml", b"<a/>"),
    ),
    "a ZIP": ("signed_is_zip", lambda: zipped("wniosek.xml", REQUEST)),
    "a .p7s": ("signed_is_cms", lambda: CMS),
    "a .p7s as text": ("signed_is_cms", lambda: base64.encodebytes(CMS)),
    "a .p7s as PEM": ("signed_is_cms", lambda: b"-----BEGIN PKCS7-----\nMII\n"),
    "a web page": ("signed_is_html", lambda: b"<!DOCTYPE html><html>"),
    "UTF-16": ("signed_not_utf8", lambda: sign(REQUEST, VICTIM).decode().encode("utf-16")),
    "text": ("signed_not_xml", "Dzień dobry".encode),
    "a DTD": ("signed_has_doctype", lambda: b"<!DOCTYPE a><a/>"),
    "another XML": ("signed_not_ours", lambda: b"<Faktura/>"),
    "a flood of attributes": (
        "signed_not_ours",
        lambda: hostile.replaced(b"<ds:KeyInfo", b"<ds:KeyInfo" + b"".join(b' a%d="1"' % n for n in range(6000))),
    ),
    "the file that we gave": ("signed_not_signed", lambda: REQUEST),
    "signed twice": ("signed_more_than_once", lambda: sign(sign(REQUEST, VICTIM), ATTACKER)),
    "a detached signature": (
        "signed_detached",
        lambda: etree.tostring(hostile.find(hostile.tree(sign(REQUEST, VICTIM, document_uri="a.xml")), "ds:Signature")),
    ),
    "an earlier document": ("signed_other_challenge", lambda: sign(OTHER_CHALLENGE, VICTIM)),
    "another company": ("signed_other_context", lambda: sign(hostile.EVIL_REQUEST, VICTIM)),
    "the kind of context changed": (
        "signed_other_context",
        lambda: sign(REQUEST.replace(b"Nip>", b"InternalId>"), VICTIM),
    ),
    "the kind of identity changed": (
        "signed_text_changed",
        lambda: sign(REQUEST.replace(b"certificateSubject", b"certificateFingerprint"), VICTIM),
    ),
    "space in the challenge, then signed": (
        "signed_text_changed",
        lambda: sign(REQUEST.replace(b"<Challenge>", b"<Challenge> "), VICTIM),
    ),
    "indented after signing": ("signed_reindented", lambda: indented(sign(REQUEST, VICTIM))),
    "indented after signing by xmlsec1's way": ("signed_reindented", lambda: indented(by_dss(REQUEST, VICTIM))),
    "the enveloping form indented": ("signed_reindented", lambda: indented(sign(REQUEST, VICTIM, form="enveloping"))),
    "SignedInfo alone indented": (
        "signed_reindented",
        lambda: indented_signature(sign(REQUEST, VICTIM), "ds:SignedInfo"),
    ),
    "the properties alone indented": (
        "signed_reindented",
        lambda: indented_signature(sign(REQUEST, VICTIM), "xades:SignedProperties"),
    ),
    "a changed signing time": (
        "signed_digest_wrong",
        lambda: hostile.with_text("xades:SigningTime", "2020-01-01T00:00:00Z"),
    ),
    "ECDSA in DER": ("signed_value_der", lambda: sign(REQUEST, VICTIM, der_value=True)),
    "a wrong value": ("signed_value_wrong", lambda: hostile.signature_value(hostile.flipped)),
    "a strange place for the signature": ("signed_shape", ATTACKS["signature inside the context"][1]),
    "a strange transform": ("signed_transform", lambda: sign(REQUEST, VICTIM, removal=XPATH_NOT_SIGNATURE * 2)),
    "MD5": ("signed_algorithm", lambda: hostile.replaced(b"xmlenc#sha256", b"xmldsig-more#md5")),
    "RSA of 1024 bits": ("signed_key_too_short", lambda: sign(REQUEST, SHORT_KEY)),
    "an EC method for an RSA key": ("signed_key_kind", ATTACKS["an EC method for an RSA key"][1]),
    "no certificate": ("signed_without_certificate", ATTACKS["no KeyInfo"][1]),
    "a damaged certificate": ("signed_certificate_unreadable", ATTACKS["a truncated certificate"][1]),
    "plain XMLDSig": ("signed_not_xades", ATTACKS["plain XMLDSig"][1]),
    "no SigningCertificate": (
        "signed_without_signing_certificate",
        lambda: sign(REQUEST, VICTIM, signing_certificate="none"),
    ),
    "SigningCertificate of another": (
        "signed_certificate_named_other",
        lambda: sign(REQUEST, VICTIM, signing_certificate_of=ATTACKER),
    ),
    "the issuer with slashes": ("signed_issuer_with_slashes", lambda: sign(REQUEST, VICTIM, issuer_name="/C=PL/O=X")),
}


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_a_mistake_is_called_by_its_name(name: str) -> None:
    reason, mistaken = ONE_MISTAKE[name]
    assert refusal(mistaken()).reason == reason


def test_the_table_holds_every_reason_that_the_check_can_give() -> None:
    given = {one.name for one in source.reasons() if one.where.startswith(("ksef/signed_", "ksef/signature_value"))}
    assert given == {reason for reason, _ in ONE_MISTAKE.values()}


# Honest in every respect that matters: the sandbox is stricter, what KSeF does with them is unknown.
TOLERATED = {
    "a comment in the signature value",
    "a comment in the certificate",
    "prefixes for inclusive c14n",
    "other properties in KeyInfo",
    "Target of another signature",
    "no Target",
    "no Type",
}


def test_no_attack_passes_and_what_is_tolerated_names_the_true_signer() -> None:
    passed = set()
    for name, (_, attack) in ATTACKS.items():
        try:
            checked = check_signed_document(attack(), REQUEST)
        except SignedDocumentError:
            continue
        passed.add(name)
        assert checked.certificate == VICTIM.certificate
    assert passed == TOLERATED


def test_a_signature_over_another_file_in_base64_is_no_signature_of_ours() -> None:
    holder = etree.fromstring(sign(REQUEST, VICTIM, form="enveloping-base64"))
    next(node for node in holder if node.get("Id") == "Document").text = base64.b64encode(b"%PDF-1.7").decode()
    assert refusal(etree.tostring(holder)).reason == "signed_not_ours"


GOOD = (
    sign(REQUEST, VICTIM),
    sign(REQUEST, RSA_VICTIM, form="enveloping"),
    sign(REQUEST, VICTIM, form="enveloping-base64"),
    by_dss(REQUEST, VICTIM),
)


PUT = (b" ", b"<", b">", b"&amp;", b"<!---->", b"<a/>")


@settings(max_examples=400, deadline=None)
@given(
    signed=st.sampled_from(GOOD),
    place=st.floats(0, 1, exclude_max=True),
    change=st.sampled_from(("put", "insert", "cut")),
    put=st.one_of(st.binary(min_size=1, max_size=1), st.sampled_from(PUT)),
)
def test_any_change_of_a_good_file_is_refused_by_name_or_harmless(
    signed: bytes, place: float, change: str, put: bytes
) -> None:
    """No other exception escapes, nobody else becomes the signer, and what the sandbox takes is never turned away."""
    at = int(place * len(signed))
    after = signed[at:] if change == "insert" else signed[at + 1 :]
    changed = signed[:at] + (b"" if change == "cut" else put) + after
    try:
        checked = check_signed_document(changed, REQUEST)
    except SignedDocumentError:
        with pytest.raises(BadRequest):
            read(changed)
    else:
        assert checked.certificate in (VICTIM.certificate, RSA_VICTIM.certificate)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode)))
def test_any_bytes_are_answered_with_a_name(content: bytes) -> None:
    with pytest.raises(SignedDocumentError):
        check_signed_document(content, REQUEST)
    with pytest.raises(SignedDocumentError):
        challenge_in(content)


def test_an_error_holds_nothing_of_the_document_but_what_we_gave_and_its_own_challenge() -> None:
    told = refusal(sign(hostile.EVIL_REQUEST, ATTACKER))
    assert "80010112345" not in str(told)


def test_the_check_imports_nothing_that_reaches_out() -> None:
    """No network library and none of the sandbox: only parsing and arithmetic."""
    package = Path(signed_document.__file__).parent
    for file in [*package.glob("signed_*.py"), package / "signature_value.py"]:
        imported = [
            node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        assert not {name.split(".")[0] for name in imported} - {
            "__future__", "collections", "copy", "cryptography", "dataclasses", "enum", "klucznik", "lxml",
        }  # fmt: skip
