"""A document that a person signed in another program, checked before KSeF sees it: a mistake is named in words here,
where KSeF would answer with a bare 9105 or 21115 and the challenge would be spent.

Pure: the bytes that came back, and the document that we gave. Whose the certificate is, and whether it may sign in, is
for the services to say. KSeF has the last word, so what facts.md §2.4 allows is allowed here.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from klucznik.errors import SignedDocumentError
from klucznik.ksef import signed_content, signed_file
from klucznik.ksef.signature_value import Method, check_key, digest, fits, fits_as_der, method_of
from klucznik.ksef.signed_content import Form, Located, text_of
from klucznik.ksef.signed_references import (
    Covered,
    canonical,
    check_references,
    decoded,
    only,
    prefixes_in,
    properties_of,
    without_indent,
)
from klucznik.ksef.xml_names import XADES_NS, ds, xades

__all__ = ["Form", "SignedDocument", "challenge_in", "check_signed_document"]

_MOST_CERTIFICATES = 10
# How the trusted profile (Profil Zaufany) tells for whom the Ministry's seal was put: in the signed properties.
_TRUSTED_PROFILE = "{http://crd.gov.pl/xml/schematy/ppzp/}PodpisZP"
_PERSON = re.compile(r"\{http://crd\.gov\.pl/xml/schematy/osoba/[^}]*\}PESEL")


@dataclass(frozen=True)
class SignedDocument:
    """A signature that is right in itself.

    Attributes:
        certificate: the signer's.
        for_pesel: the person for whom the Ministry's seal was put (trusted profile); None: the certificate's holder.
        rsa_pss: by a method that is on KSeF's list and was once reported as refused (facts.md §2.4).
    """

    certificate: x509.Certificate
    form: Form
    for_pesel: str | None = field(default=None, repr=False)
    rsa_pss: bool = False


def challenge_in(signed: bytes) -> str:
    """The challenge that a signed file says; by it we know what it was signed for. Nothing is verified.

    Raises:
        SignedDocumentError: the file is no signed document of ours.
    """
    return signed_content.challenge_in(signed_content.locate(signed_file.parse(signed)).document)


def check_signed_document(signed: bytes, given: bytes) -> SignedDocument:
    """Check a signed document as KSeF will.

    Args:
        signed: the file that the person brings.
        given: the unsigned document of `auth_token_request` that the person got.

    Raises:
        SignedDocumentError: it cannot be handed in; its reason says what is wrong.
    """
    root = signed_file.parse(signed)
    located = signed_content.locate(root)
    ours = signed_file.parse_xml(given)
    signed_content.compare(located.document, ours)
    if root.xpath("boolean(//processing-instruction())"):
        raise SignedDocumentError("signed_shape", part="<?")
    document = _verified(located, ours)
    if signed_content.content(located.document, spaces=True) != signed_content.content(ours, spaces=True):
        raise SignedDocumentError("signed_text_changed")
    return document


def _verified(located: Located, ours: etree._Element) -> SignedDocument:
    signature = located.signature
    signed_info = only(signature, "SignedInfo")
    method = method_of(only(signed_info, "SignatureMethod").get("Algorithm") or "")
    properties = properties_of(signature)
    covered = check_references(located, signed_info, ours)
    if not covered.document:
        raise SignedDocumentError("signed_shape", part="AuthTokenRequest")
    if not covered.properties:
        raise SignedDocumentError("signed_not_xades")
    certificate = _signer(signature, signed_info, properties, method, covered)
    return SignedDocument(
        certificate=certificate,
        form=located.form,
        for_pesel=_person_behind(properties),
        rsa_pss=method.kind == "rsa-pss",
    )


def _signer(
    signature: etree._Element,
    signed_info: etree._Element,
    properties: etree._Element,
    method: Method,
    covered: Covered,
) -> x509.Certificate:
    """The certificate that signed: named in the signed properties, and its key fits the value."""
    candidates = _named(_certificates(signature), properties, key_info_signed=covered.key_info)
    for certificate in candidates:
        check_key(certificate, method)
    value = decoded(only(signature, "SignatureValue"))
    data = _signed_bytes(signed_info)
    for certificate in candidates:
        if fits(value, data, certificate, method):
            return certificate
    if any(fits_as_der(value, data, certificate, method) for certificate in candidates):
        raise SignedDocumentError("signed_value_der")
    bare = _signed_bytes(without_indent(signed_info))
    if any(fits(value, bare, certificate, method) for certificate in candidates):
        raise SignedDocumentError("signed_reindented")
    raise SignedDocumentError("signed_value_wrong")


def _signed_bytes(signed_info: etree._Element) -> bytes:
    method = only(signed_info, "CanonicalizationMethod")
    return canonical(signed_info, method.get("Algorithm") or "", comments=True, prefixes=prefixes_in(method))


def _certificates(signature: etree._Element) -> list[x509.Certificate]:
    elements = signature.findall(f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}")
    if not elements or len(signature.findall(ds("KeyInfo"))) > 1:
        raise SignedDocumentError("signed_without_certificate")
    if len(elements) > _MOST_CERTIFICATES:
        raise SignedDocumentError("signed_shape", part="KeyInfo")
    return [_certificate(decoded(element)) for element in elements]


def _certificate(der: bytes) -> x509.Certificate:
    try:
        with warnings.catch_warnings(action="ignore"):
            return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        pass
    raise SignedDocumentError("signed_certificate_unreadable")


def _named(
    certificates: list[x509.Certificate], properties: etree._Element, *, key_info_signed: bool
) -> list[x509.Certificate]:
    """Those of the certificates that the signed properties name: whoever exchanges a certificate is found out."""
    path = f"{xades('SignedSignatureProperties')}/{{{XADES_NS}}}"
    lists = [*properties.findall(f"{path}SigningCertificate"), *properties.findall(f"{path}SigningCertificateV2")]
    if not lists:
        if not key_info_signed:
            raise SignedDocumentError("signed_without_signing_certificate")
        return certificates
    for one in lists:
        named = one.findall(xades("Cert"))
        if not 0 < len(named) <= _MOST_CERTIFICATES:
            raise SignedDocumentError("signed_without_signing_certificate")
        certificates = [item for item in certificates if any(_names(name, item) for name in named)]
    if not certificates:
        raise SignedDocumentError("signed_certificate_named_other")
    return certificates


def _names(name: etree._Element, certificate: x509.Certificate) -> bool:
    """Whether a ``xades:Cert`` means this certificate."""
    found = name.find(xades("CertDigest"))
    if found is None:
        return False
    algorithm = only(found, "DigestMethod").get("Algorithm") or ""
    der = certificate.public_bytes(Encoding.DER)
    if digest(algorithm, der) != decoded(only(found, "DigestValue")):
        return False
    issuer = name.find(xades("IssuerSerial"))
    if issuer is None:
        return True
    if text_of(only(issuer, "X509IssuerName")).strip().startswith("/"):
        raise SignedDocumentError("signed_issuer_with_slashes")
    with warnings.catch_warnings(action="ignore"):
        return text_of(only(issuer, "X509SerialNumber")).strip() == str(certificate.serial_number)


def _person_behind(properties: etree._Element) -> str | None:
    for role in properties.iter(_TRUSTED_PROFILE):
        for node in role.iter(tag=etree.Element):
            if _PERSON.fullmatch(str(node.tag)):
                return text_of(node).strip()
    return None
