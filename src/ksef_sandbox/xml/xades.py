"""The XAdES check of POST /auth/xades-signature: form, profile, certificate, what is covered (facts.md §2.4).
Written apart from any signing library, so that no mistake is shared; trust in the certificate is judged elsewhere.
"""

from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from lxml import etree

from ksef_sandbox.errors import BadRequest
from ksef_sandbox.xml import dsig
from ksef_sandbox.xml.dsig import DS, Refused
from ksef_sandbox.xml.reading import detached, leaf_text, read, remove, reread

Compliance = Literal["enforce", "warn", "off"]

BAD_PROFILE: Final = "Format podpisu niezgodny z akceptowanymi profilami XAdES."
WARNING: Final = "sig-001: Format podpisu niezgodny z akceptowanymi profilami XAdES"

_XADES: Final = "{http://uri.etsi.org/01903/v1.3.2#}"
_SIGNED_PROPERTIES_TYPE: Final = "http://uri.etsi.org/01903#SignedProperties"
_ID_NAMES: Final = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_MAX_CERTIFICATES: Final = 10
_MAX_REFERENCES: Final = 3  # the document, SignedProperties, KeyInfo


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A verified document. `root` was read back from the signed bytes: it holds what was signed and nothing else.

    `certificate` is the signer's; `warnings` are texts for the header X-System-Warning (facts.md §1.3).
    """

    root: etree._Element
    certificate: x509.Certificate
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Signature:
    """The parts of the one signature while it is being checked."""

    node: etree._Element
    root: etree._Element
    info: dsig.SignedInfo
    ids: dict[str, etree._Element]
    faults: list[str]

    @property
    def enveloping(self) -> bool:
        return self.node is self.root


@dataclass(frozen=True, slots=True)
class _References:
    """The references by what they must cover."""

    document: dsig.Reference
    properties: dsig.Reference
    key_info: dsig.Reference | None


def verify(body: bytes, *, compliance: Compliance) -> SignedDocument:
    """Check a signed document completely and return what it signs.

    `compliance` says what happens to signatures that verify but miss a demand of API 2.1.0 (SigningCertificate or a
    signed KeyInfo, Type, Target): refused, warned about, or let through.
    Raises BadRequest 21001, 21217, 9101 (unreadable), 9102 (no signature), 9103 (more than one), 9105 (wrong),
    21115 (certificate unreadable); facts.md §2.4, §2.6.
    """
    root = read(body)
    node = _only_signature(root)
    try:
        signature = _Signature(node, root, dsig.read_signed_info(node), _ids(root), [])
        certificate, document = _verify(signature)
    except dsig.Mismatch as error:
        raise BadRequest(9105, *error.sentences) from error
    except Refused as error:
        raise BadRequest(9105, BAD_PROFILE, *error.sentences) from error
    if signature.faults and compliance == "enforce":
        raise BadRequest(9105, BAD_PROFILE, *signature.faults)
    warned = bool(signature.faults) and compliance == "warn"
    return SignedDocument(document, certificate, (WARNING,) if warned else ())


def _only_signature(root: etree._Element) -> etree._Element:
    signatures = list(root.iter(f"{DS}Signature"))
    if not signatures:
        raise BadRequest(9102)
    if len(signatures) > 1:
        raise BadRequest(9103)
    return signatures[0]


def _ids(root: etree._Element) -> dict[str, etree._Element]:
    """Elements by Id. One value twice, in any spelling of the attribute, is how wrapping begins: refused."""
    found: dict[str, etree._Element] = {}
    for node in root.iter(etree.Element):
        for name in _ID_NAMES:
            value = node.get(name)
            if value is None:
                continue
            if str(value) in found:
                raise Refused(f"Identyfikator '{value}' występuje więcej niż raz.")
            found[str(value)] = node
    return found


def _verify(signature: _Signature) -> tuple[x509.Certificate, etree._Element]:
    """Certificate and document; every byte that is believed has been covered by a checked digest."""
    if not signature.enveloping and signature.node.getparent() is not signature.root:
        raise Refused("Podpis musi być bezpośrednim elementem dokumentu (enveloped) albo go zawierać (enveloping).")
    references = _sort_references(signature)
    properties_bytes = _target_bytes(signature, references.properties)
    key_info = dsig.only_child(signature.node, "KeyInfo")
    certificate = _signing_certificate(signature, reread(properties_bytes), key_info, references.key_info)
    dsig.verify_value(signature.info, dsig.octets(dsig.only_child(signature.node, "SignatureValue")), _key(certificate))
    references.properties.check(properties_bytes)
    if references.key_info is not None:
        references.key_info.check(_target_bytes(signature, references.key_info))
    return certificate, _signed_document(signature, references.document)


def _sort_references(signature: _Signature) -> _References:
    """Exactly one reference to the document and one to SignedProperties; KeyInfo may be signed too; nothing else."""
    if len(signature.info.references) > _MAX_REFERENCES:
        raise Refused("Zbyt wiele referencji.")
    properties_node = _signed_properties(signature)
    key_info_node = signature.node.find(f"{DS}KeyInfo")
    document: list[dsig.Reference] = []
    properties: list[dsig.Reference] = []
    key_info: list[dsig.Reference] = []
    for reference in signature.info.references:
        target = _target(signature, reference)
        if target is properties_node:
            properties.append(reference)
        elif target is key_info_node:
            key_info.append(reference)
        else:
            document.append(reference)
    if len(document) != 1 or len(properties) != 1 or len(key_info) > 1:
        raise Refused("Podpis musi obejmować dokument i SignedProperties, po jednej referencji.")
    for reference in (*properties, *key_info):
        if reference.removes_signature or reference.decodes_base64:
            raise Refused("Niedozwolony zestaw transformacji referencji.")
    if properties[0].type != _SIGNED_PROPERTIES_TYPE:
        signature.faults.append("Referencja do SignedProperties bez właściwego atrybutu Type.")
    return _References(document[0], properties[0], key_info[0] if key_info else None)


def _target(signature: _Signature, reference: dsig.Reference) -> etree._Element:
    """The element a reference points to: the root for an empty URI, otherwise an element of this document by Id."""
    if reference.uri == "":
        return signature.root
    if reference.uri is None or not reference.uri.startswith("#"):
        raise Refused("Referencja wskazuje poza dokument (podpis detached nie jest dozwolony).")
    target = signature.ids.get(reference.uri[1:])
    if target is None or target.get("Id") != reference.uri[1:]:
        raise Refused(f"Referencja wskazuje na nieistniejący element '{reference.uri}'.")
    return target


def _target_bytes(signature: _Signature, reference: dsig.Reference) -> bytes:
    return reference.c14n.apply(_target(signature, reference))


def _signed_properties(signature: _Signature) -> etree._Element:
    """The SignedProperties of this signature, at the one place where XAdES puts them."""
    holders = signature.node.findall(f"{DS}Object/{_XADES}QualifyingProperties")
    if len(holders) != 1 or len(list(signature.root.iter(f"{_XADES}QualifyingProperties"))) != 1:
        raise Refused("Oczekiwano dokładnie jednego elementu xades:QualifyingProperties.")
    properties = holders[0].findall(f"{_XADES}SignedProperties")
    if len(properties) != 1:
        raise Refused("Oczekiwano dokładnie jednego elementu xades:SignedProperties.")
    target, signature_id = holders[0].get("Target"), signature.node.get("Id")
    if target is None or signature_id is None:
        signature.faults.append("Brak atrybutu Target lub Id podpisu.")
    elif target != f"#{signature_id}":
        raise Refused("QualifyingProperties wskazuje na inny podpis.")
    return properties[0]


def _signing_certificate(
    signature: _Signature,
    properties: etree._Element,
    key_info: etree._Element,
    key_info_reference: dsig.Reference | None,
) -> x509.Certificate:
    """The certificate of KeyInfo that the signed SigningCertificate names, in its v1 or V2 form."""
    certificates = _certificates(key_info)
    settings = f"{_XADES}SignedSignatureProperties/{_XADES}"
    lists = [
        *properties.findall(f"{settings}SigningCertificate"),
        *properties.findall(f"{settings}SigningCertificateV2"),
    ]
    if not lists:
        if key_info_reference is None:
            signature.faults.append("Brak xades:SigningCertificate i niepodpisany ds:KeyInfo.")
        return certificates[0]
    if sum(len(signing_certificate) for signing_certificate in lists) > _MAX_CERTIFICATES:
        raise Refused("xades:SigningCertificate wymienia zbyt wiele certyfikatów.")
    for certificate in certificates:
        if all(_names(signing_certificate, certificate) for signing_certificate in lists):
            return certificate
    raise Refused("xades:SigningCertificate nie wskazuje certyfikatu z ds:KeyInfo.")


def _certificates(key_info: etree._Element) -> list[x509.Certificate]:
    nodes = key_info.findall(f"{DS}X509Data/{DS}X509Certificate")
    if not nodes or len(nodes) > _MAX_CERTIFICATES:
        raise Refused("ds:KeyInfo nie zawiera certyfikatu albo zawiera ich zbyt wiele.")
    try:
        return [x509.load_der_x509_certificate(dsig.octets(node)) for node in nodes]
    except (ValueError, x509.InvalidVersion) as error:
        raise BadRequest(21115, "Nieczytelny certyfikat.") from error


def _names(signing_certificate: etree._Element, certificate: x509.Certificate) -> bool:
    """Whether one of its xades:Cert entries is this certificate."""
    return any(_is_cert(entry, certificate) for entry in signing_certificate.iterchildren(f"{_XADES}Cert"))


def _is_cert(entry: etree._Element, certificate: x509.Certificate) -> bool:
    cert_digest = entry.find(f"{_XADES}CertDigest")
    if cert_digest is None:
        raise Refused("Element xades:Cert bez xades:CertDigest.")
    algorithm = dsig.digest_method(dsig.only_child(cert_digest, "DigestMethod"))
    if dsig.octets(dsig.only_child(cert_digest, "DigestValue")) != certificate.fingerprint(algorithm):
        return False
    issuer_serial = entry.find(f"{_XADES}IssuerSerial")
    if issuer_serial is not None:
        _check_issuer_serial(issuer_serial, certificate)
    return True


def _check_issuer_serial(issuer_serial: etree._Element, certificate: x509.Certificate) -> None:
    """Serial in decimal, issuer as an RFC 2253 name and not in the `/C=PL/…` form (facts.md §2.4)."""
    try:
        serial = leaf_text(dsig.only_child(issuer_serial, "X509SerialNumber")).strip()
        issuer = leaf_text(dsig.only_child(issuer_serial, "X509IssuerName")).strip()
    except ValueError as error:
        raise Refused("Nieprawidłowy element xades:IssuerSerial.") from error
    if serial != str(certificate.serial_number) or issuer.startswith("/") or "=" not in issuer:
        raise Refused("xades:IssuerSerial nie odpowiada certyfikatowi.")


def _key(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    try:
        return certificate.public_key()
    except Exception as error:  # the library raises several unrelated types for keys it cannot read
        raise Refused("Nieobsługiwany klucz publiczny certyfikatu.") from error


def _signed_document(signature: _Signature, reference: dsig.Reference) -> etree._Element:
    """Check the document's digest and return the document as the signed bytes have it."""
    if signature.enveloping:
        return _enveloped_object(signature, reference)
    if reference.uri != "" or not reference.removes_signature or reference.decodes_base64:
        raise Refused("Referencja musi obejmować cały dokument bez podpisu.")
    remove(signature.node)
    data = reference.c14n.apply(signature.root)
    reference.check(data)
    return reread(data)


def _enveloped_object(signature: _Signature, reference: dsig.Reference) -> etree._Element:
    """The document inside a ds:Object, as XML or as Base64 text."""
    target = _target(signature, reference)
    if target.tag != f"{DS}Object" or target.getparent() is not signature.node or reference.removes_signature:
        raise Refused("Referencja podpisu enveloping musi wskazywać na jego ds:Object.")
    if reference.decodes_base64:
        data = dsig.octets(target)
        reference.check(data)
        return _unsigned(read(data))
    data = reference.c14n.apply(target)
    reference.check(data)
    signed_object = reread(data)
    around = (signed_object.text or "") + "".join(child.tail or "" for child in signed_object)
    if len(signed_object) != 1 or around.strip():
        raise Refused("ds:Object musi zawierać dokładnie jeden dokument.")
    return detached(signed_object[0])


def _unsigned(document: etree._Element) -> etree._Element:
    """A document inside Base64 must not bring a signature of its own."""
    if next(document.iter(f"{DS}Signature"), None) is not None:
        raise BadRequest(9103)
    return document
