"""Test certificates and a XAdES signer of our own, independent of klucznik and of the sandbox.
Every knob exists because some test needs a signature that is a little different, or a little wrong.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from lxml import etree

DS_NS = "http://www.w3.org/2000/09/xmldsig#"
XADES_NS = "http://uri.etsi.org/01903/v1.3.2#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
ENVELOPED = f"{DS_NS}enveloped-signature"
BASE64 = f"{DS_NS}base64"
XPATH_NOT_SIGNATURE = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>"
)
FILTER2_SUBTRACT = (
    '<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2">'
    '<f2:XPath xmlns:f2="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract">'
    "/descendant::ds:Signature</f2:XPath></ds:Transform>"
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Form = Literal["enveloped", "enveloping", "enveloping-base64"]
CertificateReference = Literal["v1", "v2", "both", "none"]

DIGESTS = {
    "sha1": f"{DS_NS}sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    "sha3-256": "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "sha3-384": "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "sha3-512": "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}


@dataclass(frozen=True)
class TestCredential:
    """A certificate with its key, as a person or a company would hold it."""

    __test__ = False  # not a test class, whatever its name says

    certificate: x509.Certificate
    private_key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private_key_pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, upper-case hex, as KSeF identifies it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex().upper()


def make_person(
    *,
    pesel: str | None = None,
    nip: str | None = None,
    given_name: str = "Jan",
    surname: str = "Żółć",
    key: PrivateKey | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> TestCredential:
    """A self-signed certificate of a natural person with a PESEL or a NIP."""
    serial_number = f"PNOPL-{pesel}" if pesel else f"TINPL-{nip}"
    attributes = [
        (NameOID.GIVEN_NAME, given_name),
        (NameOID.SURNAME, surname),
        (NameOID.SERIAL_NUMBER, serial_number),
        (NameOID.COMMON_NAME, f"{given_name} {surname}"),
        (NameOID.COUNTRY_NAME, "PL"),
    ]
    return make_credential(attributes, key=key, not_before=not_before, not_after=not_after)


def make_seal(
    *,
    nip: str,
    organization_name: str = "Łódzkie Zakłady Testowe",
    key: PrivateKey | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> TestCredential:
    """A self-signed certificate of an organisation with a NIP."""
    attributes = [
        (NameOID.ORGANIZATION_NAME, organization_name),
        (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{nip}"),
        (NameOID.COMMON_NAME, organization_name),
        (NameOID.COUNTRY_NAME, "PL"),
    ]
    return make_credential(attributes, key=key, not_before=not_before, not_after=not_after)


def make_peppol(peppol_id: str) -> TestCredential:
    """A self-signed seal of a Peppol service provider."""
    return make_credential(
        [
            (NameOID.ORGANIZATION_NAME, "Peppol provider"),
            (NameOID.ORGANIZATION_IDENTIFIER, peppol_id),
            (NameOID.COMMON_NAME, peppol_id),
            (NameOID.COUNTRY_NAME, "PL"),
        ]
    )


def make_anonymous(*, key: PrivateKey | None = None) -> TestCredential:
    """A self-signed certificate without any identifier: only its fingerprint names it."""
    return make_credential([(NameOID.COMMON_NAME, "Anonim"), (NameOID.COUNTRY_NAME, "PL")], key=key)


def make_credential(
    attributes: list[tuple[x509.ObjectIdentifier, str]],
    *,
    key: PrivateKey | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> TestCredential:
    """A self-signed certificate with this subject; EC P-256 unless a key is given."""
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return make_credential_for(name, key=key, not_before=not_before, not_after=not_after)


def make_credential_for(
    name: x509.Name,
    *,
    key: PrivateKey | None = None,
    public_key: CertificatePublicKeyTypes | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> TestCredential:
    """The same for a subject built by hand (multi-valued RDNs, odd string types) or for a foreign public key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    start = not_before or datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(not_after or start + timedelta(days=731))
        .sign(key, hashes.SHA256())
    )
    return TestCredential(certificate, key)


@lru_cache(maxsize=4)
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key for a whole test run: making one takes a tenth of a second."""
    return rsa.generate_private_key(65537, bits)


def auth_token_request(
    challenge: str,
    *,
    nip: str | None = None,
    context: tuple[str, str] | None = None,
    subject: str = "certificateSubject",
    version: str = "2.0",
    policy: str = "",
) -> bytes:
    """An AuthTokenRequest for a NIP or for a `(element name, value)` context; `policy` is raw XML at the end."""
    kind, value = context or ("Nip", nip)
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<AuthTokenRequest xmlns="http://ksef.mf.gov.pl/auth/token/{version}">'
        f"<Challenge>{challenge}</Challenge>"
        f"<ContextIdentifier><{kind}>{value}</{kind}></ContextIdentifier>"
        f"<SubjectIdentifierType>{subject}</SubjectIdentifierType>{policy}"
        "</AuthTokenRequest>"
    ).encode()


def canonical(node: etree._Element, method: str = EXCLUSIVE) -> bytes:
    """Canonical XML of a subtree in its namespace context."""
    alone = etree.fromstring(etree.tostring(node, with_tail=False)) if node.getparent() is not None else node
    comments = method.endswith("WithComments")
    return etree.tostring(alone, method="c14n", exclusive=method.startswith(EXCLUSIVE), with_comments=comments)


def digest_of(name: str, data: bytes) -> str:
    """Base64 of the digest."""
    return base64.b64encode(hashlib.new(name.replace("sha3-", "sha3_"), data, usedforsecurity=False).digest()).decode()


def sign(
    xml: bytes,
    credential: TestCredential,
    *,
    form: Form = "enveloped",
    digest: str = "sha256",
    signature_hash: str = "sha256",
    pss: bool = False,
    c14n: str = EXCLUSIVE,
    reference_c14n: str | None = EXCLUSIVE,
    removal: str = f'<ds:Transform Algorithm="{ENVELOPED}"/>',
    signing_certificate: CertificateReference = "v1",
    signing_certificate_of: TestCredential | None = None,
    issuer_name: str | None = None,
    sign_key_info: bool = False,
    key_info: list[x509.Certificate] | None = None,
    signature_method: str | None = None,
    properties_type: str | None = "http://uri.etsi.org/01903#SignedProperties",
    target: str | None = "#Signature",
    document_uri: str | None = None,
    document_bytes: Callable[[etree._Element], bytes] | None = None,
    extra_reference: str = "",
    extra_object: str = "",
    shape: Callable[[etree._Element], None] = lambda signature: None,
    der_value: bool = False,
) -> bytes:
    """Sign a document as the official C# signer does; every keyword bends one thing.

    `document_bytes` computes what the document's digest covers instead of the canonical document;
    `shape` changes the signature element before its digests are taken; `removal` is the raw transform that leaves
    the signature out; `extra_reference` and `extra_object` are raw XML.
    """
    document = etree.fromstring(xml)
    named = signing_certificate_of or credential
    certificates = _certificates(key_info or [credential.certificate])
    method = _method(credential.private_key, signature_hash, pss) if signature_method is None else signature_method
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS_NS}" Id="Signature"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{c14n}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/>'
        f"{_document_reference(form, digest, reference_c14n, removal, document_uri)}"
        f"{_reference('#SignedProperties', digest, c14n, properties_type)}"
        f"{_reference('#KeyInfo', digest, c14n, None) if sign_key_info else ''}{extra_reference}"
        "</ds:SignedInfo><ds:SignatureValue/>"
        f'<ds:KeyInfo Id="KeyInfo"><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>'
        f"<ds:Object>{_qualifying_properties(named.certificate, digest, signing_certificate, issuer_name, target)}"
        f"</ds:Object>{extra_object}</ds:Signature>"
    )
    root, covered = _compose(document, signature, form, reference_c14n or INCLUSIVE)
    shape(signature)
    _fill_digests(signature, digest, (document_bytes or covered)(root), c14n)
    signed_info = _ds(signature, "SignedInfo")
    value = _sign_value(credential.private_key, canonical(signed_info, c14n), signature_hash, pss, der_value)
    _ds(signature, "SignatureValue").text = base64.b64encode(value).decode()
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def _compose(
    document: etree._Element, signature: etree._Element, form: Form, method: str
) -> tuple[etree._Element, Callable[[etree._Element], bytes]]:
    """Put document and signature together; returns the root and what the document's digest covers in it."""
    if form == "enveloped":
        unsigned = etree.fromstring(etree.tostring(document))
        document.append(signature)
        return document, lambda _: canonical(unsigned, method)
    holder = etree.SubElement(signature, f"{{{DS_NS}}}Object", Id="Document")
    if form == "enveloping":
        holder.append(document)
        return signature, lambda _: canonical(holder, method)
    data = etree.tostring(document)
    holder.text = base64.b64encode(data).decode()
    return signature, lambda _: data


def _fill_digests(signature: etree._Element, digest: str, document: bytes, c14n: str) -> None:
    for reference in signature.iter(f"{{{DS_NS}}}Reference"):
        value = _ds(reference, "DigestValue")
        if value.text:
            continue
        target = signature.xpath("//*[@Id=$id]", id=str(reference.get("URI"))[1:]) if reference.get("URI") else []
        own = reference.get("URI") in {"#SignedProperties", "#KeyInfo"} and isinstance(target, list) and target
        data = canonical(target[0], c14n) if own else document  # type: ignore[index,arg-type]
        value.text = digest_of(digest, data)


def _sign_value(key: PrivateKey, data: bytes, signature_hash: str, pss: bool, der_value: bool) -> bytes:
    algorithm = _HASHES[signature_hash]
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size) if pss else padding.PKCS1v15()
        return key.sign(data, scheme, algorithm)
    der = key.sign(data, ec.ECDSA(algorithm))
    half = (key.key_size + 7) // 8
    r, s = decode_dss_signature(der)
    return der if der_value else r.to_bytes(half) + s.to_bytes(half)


def _method(key: PrivateKey, signature_hash: str, pss: bool) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        year = "2021/04" if signature_hash.startswith("sha3-") else "2001/04"
        return f"http://www.w3.org/{year}/xmldsig-more#ecdsa-{signature_hash}"
    if pss:
        return f"http://www.w3.org/2007/05/xmldsig-more#{signature_hash}-rsa-MGF1"
    return (
        f"{DS_NS}rsa-sha1"
        if signature_hash == "sha1"
        else f"http://www.w3.org/2001/04/xmldsig-more#rsa-{signature_hash}"
    )


def _document_reference(form: Form, digest: str, c14n: str | None, removal: str, uri: str | None) -> str:
    canonicalised = f'<ds:Transform Algorithm="{c14n}"/>' if c14n else ""
    default_uri, transforms = {
        "enveloped": ("", removal + canonicalised),
        "enveloping": ("#Document", canonicalised),
        "enveloping-base64": ("#Document", f'<ds:Transform Algorithm="{BASE64}"/>'),
    }[form]
    return (
        f'<ds:Reference URI="{default_uri if uri is None else uri}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS.get(digest, digest)}"/><ds:DigestValue/></ds:Reference>'
    )


def _reference(uri: str, digest: str, c14n: str, kind: str | None) -> str:
    type_attribute = f' Type="{kind}"' if kind else ""
    return (
        f'<ds:Reference URI="{uri}"{type_attribute}>'
        f'<ds:Transforms><ds:Transform Algorithm="{c14n}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS.get(digest, digest)}"/><ds:DigestValue/></ds:Reference>'
    )


def _certificates(certificates: list[x509.Certificate]) -> str:
    ders = (certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates)
    return "".join(f"<ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate>" for der in ders)


def _qualifying_properties(
    certificate: x509.Certificate, digest: str, version: str, issuer_name: str | None, target: str | None
) -> str:
    der = certificate.public_bytes(serialization.Encoding.DER)
    cert_digest = (
        f'<xades:CertDigest><ds:DigestMethod Algorithm="{DIGESTS.get(digest, digest)}"/>'
        f"<ds:DigestValue>{digest_of(digest, der)}</ds:DigestValue></xades:CertDigest>"
    )
    issuer = issuer_name or certificate.issuer.rfc4514_string()
    issuer_serial = (
        f"<xades:IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber></xades:IssuerSerial>"
    )
    v1 = f"<xades:SigningCertificate><xades:Cert>{cert_digest}{issuer_serial}</xades:Cert></xades:SigningCertificate>"
    v2 = f"<xades:SigningCertificateV2><xades:Cert>{cert_digest}</xades:Cert></xades:SigningCertificateV2>"
    chosen = {"v1": v1, "v2": v2, "both": v1 + v2, "none": ""}[version]
    time = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    target_attribute = f' Target="{target}"' if target else ""
    return (
        f'<xades:QualifyingProperties xmlns:xades="{XADES_NS}"{target_attribute}>'
        '<xades:SignedProperties Id="SignedProperties"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{time}</xades:SigningTime>{chosen}"
        "</xades:SignedSignatureProperties></xades:SignedProperties></xades:QualifyingProperties>"
    )


def _ds(parent: etree._Element, name: str) -> etree._Element:
    found = parent.find(f"{{{DS_NS}}}{name}")
    assert found is not None, name
    return found
