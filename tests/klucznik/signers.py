"""Programs that people sign with: xmlsec1 (Debian's), and the shape of DSS, written here without any code of ours.

The shape of the official C# signer, with a knob for everything, is `tests.sandbox.signing`.
"""

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from tests import needs
from tests.sandbox.signing import TestCredential

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
PERSON_OF_TRUST = (
    '<ppZP:PodpisZP xmlns:ppZP="http://crd.gov.pl/xml/schematy/ppzp/"><ppZP:DaneZP><ppZP:DaneZPOsobyFizycznej>'
    '<os:PESEL xmlns:os="http://crd.gov.pl/xml/schematy/osoba/2009/03/06/">{pesel}</os:PESEL>'
    "</ppZP:DaneZPOsobyFizycznej></ppZP:DaneZP></ppZP:PodpisZP>"
)


def by_xmlsec1(document: bytes, credential: TestCredential, directory: Path, *, enveloping: bool = False) -> bytes:
    """What `xmlsec1 --sign` makes of a XAdES template; digests, value and certificate are its own work."""
    template, key, certificate = directory / "template.xml", directory / "key.pem", directory / "certificate.pem"
    template.write_bytes(_template(document, credential, enveloping=enveloping))
    key.write_bytes(credential.private_key_pem)
    certificate.write_bytes(credential.certificate_pem)
    ids = ["--id-attr:Id", f"{XADES}:SignedProperties", "--id-attr:Id", f"{DS}:Object"]
    signed = directory / "signed.xml"
    subprocess.run(
        [needs.xmlsec1(), "--sign", "--privkey-pem", f"{key},{certificate}", *ids, "--output", signed, template],
        check=True,
        capture_output=True,
    )
    return signed.read_bytes()


def by_dss(document: bytes, credential: TestCredential, *, role: str = "", later: str = "") -> bytes:
    """XAdES Baseline B as the library DSS of the European Commission builds it.

    Args:
        role: XML of a claimed role, as the trusted profile puts it there.
        later: XML of unsigned properties, as the longer profiles add them.
    """
    root = etree.fromstring(document)
    reference = (
        '<ds:Reference Id="r-id-1" Type="" URI=""><ds:Transforms>'
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
        "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>"
        f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>{_digest(_canonical(root))}</ds:Reference>'
    )
    roles = (
        f"<xades:SignerRole><xades:ClaimedRoles><xades:ClaimedRole>{role}</xades:ClaimedRole></xades:ClaimedRoles>"
        "</xades:SignerRole>"
        if role
        else ""
    )
    properties = (
        f'<xades:SignedProperties xmlns:xades="{XADES}" xmlns:ds="{DS}" Id="xades-id-1">'
        f"<xades:SignedSignatureProperties><xades:SigningTime>{_now()}</xades:SigningTime>"
        f"{_signing_certificate(credential.certificate)}{roles}</xades:SignedSignatureProperties>"
        '<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#r-id-1">'
        "<xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat></xades:SignedDataObjectProperties>"
        "</xades:SignedProperties>"
    )
    about_properties = (
        '<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#xades-id-1"><ds:Transforms>'
        f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
        f"{_digest(_canonical(etree.fromstring(properties)))}</ds:Reference>"
    )
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{_method(credential)}"/>{reference}{about_properties}</ds:SignedInfo>'
    )
    value = _value(credential, _canonical(etree.fromstring(signed_info)))
    unsigned = f"<xades:UnsignedProperties>{later}</xades:UnsignedProperties>" if later else ""
    signature = (
        f'<ds:Signature xmlns:ds="{DS}" Id="id-1">{signed_info}'
        f'<ds:SignatureValue Id="value-id-1">{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{_base64(credential.certificate)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#id-1">{properties}{unsigned}'
        "</xades:QualifyingProperties></ds:Object></ds:Signature>"
    )
    root.append(etree.fromstring(signature))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=False)


def issued(
    attributes: list[tuple[x509.ObjectIdentifier, str]], issuer: str, *, offline: bool = False
) -> TestCredential:
    """A certificate that somebody else issued: `issuer` is the common name, the key usage one of KSeF's two."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - timedelta(days=1)
    usage = x509.KeyUsage(not offline, offline, False, False, False, False, False, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=700))
        .add_extension(usage, critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return TestCredential(certificate, key)


def _template(document: bytes, credential: TestCredential, *, enveloping: bool) -> bytes:
    """An unsigned XAdES signature: everything but what a signing program computes."""
    empty = f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue/></ds:Reference>'
    canonical = f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
    removal = "" if enveloping else f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS}" Id="S"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{_method(credential)}"/>'
        f'<ds:Reference URI="{"#Content" if enveloping else ""}"><ds:Transforms>{removal}{canonical}{empty}'
        f'<ds:Reference URI="#SP" Type="http://uri.etsi.org/01903#SignedProperties"><ds:Transforms>{canonical}{empty}'
        "</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate/></ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#S"><xades:SignedProperties Id="SP">'
        f"<xades:SignedSignatureProperties><xades:SigningTime>{_now()}</xades:SigningTime>"
        f"{_signing_certificate(credential.certificate)}</xades:SignedSignatureProperties></xades:SignedProperties>"
        "</xades:QualifyingProperties></ds:Object></ds:Signature>"
    )
    root = etree.fromstring(document)
    if enveloping:
        etree.SubElement(signature, f"{{{DS}}}Object", Id="Content").append(root)
        return etree.tostring(signature, encoding="UTF-8", xml_declaration=True)
    root.append(signature)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _signing_certificate(certificate: x509.Certificate) -> str:
    digest = base64.b64encode(certificate.fingerprint(hashes.SHA256())).decode()
    return (
        f'<xades:SigningCertificate><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="{SHA256}"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></xades:CertDigest><xades:IssuerSerial>"
        f"<ds:X509IssuerName>{certificate.issuer.rfc4514_string()}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert>"
        "</xades:SigningCertificate>"
    )


def _method(credential: TestCredential) -> str:
    return RSA_SHA256 if isinstance(credential.private_key, rsa.RSAPrivateKey) else ECDSA_SHA256


def _value(credential: TestCredential, data: bytes) -> str:
    key = credential.private_key
    if isinstance(key, rsa.RSAPrivateKey):
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    half = (key.key_size + 7) // 8
    return base64.b64encode(r.to_bytes(half) + s.to_bytes(half)).decode()


def _digest(data: bytes) -> str:
    value = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{value}</ds:DigestValue>'


def _canonical(node: etree._Element) -> bytes:
    return etree.tostring(node, method="c14n", exclusive=True)


def _base64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _now() -> str:
    return (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
