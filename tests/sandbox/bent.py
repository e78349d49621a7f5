"""Signatures honestly computed over dishonest shapes: every digest and value fits, only the shape is wrong.
What is changed after signing is in `hostile.py`; the table of attacks is `test_hostile_documents.py`.
"""

import base64
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from lxml import etree
from tests.sandbox.hostile import ATTACKER, DS, EVIL_REQUEST, KSEF_NS, REQUEST, VICTIM, drop, find, text, tree
from tests.sandbox.signing import (
    BASE64,
    DS_NS,
    EXCLUSIVE,
    XADES_NS,
    canonical,
    make_credential_for,
    make_seal,
    rsa_key,
    sign,
)

NOT_SIGNATURE = "not(ancestor-or-self::ds:Signature)"
K = f'xmlns:k="{KSEF_NS}"'


def transform(algorithm: str, inner: str = "") -> str:
    return f'<ds:Transform Algorithm="{algorithm}">{inner}</ds:Transform>'


def xpath(expression: str, namespaces: str = "") -> str:
    inner = f"<ds:XPath {namespaces}>{expression}</ds:XPath>"
    return transform("http://www.w3.org/TR/1999/REC-xpath-19991116", inner)


def filter2(kind: str, expression: str) -> str:
    inner = f'<f:XPath xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2" {K} Filter="{kind}">{expression}</f:XPath>'
    return transform("http://www.w3.org/2002/06/xmldsig-filter2", inner)


def filtered(removal: str, *left_out: str) -> bytes:
    """Signed with this filter, the digest taken over the document without the signature and these elements."""

    def digested(root: etree._Element) -> bytes:
        copy = tree(text(root))
        for name in ("ds:Signature", *left_out):
            drop(name)(copy)
        return canonical(copy)

    return sign(REQUEST, VICTIM, removal=removal, document_bytes=digested)


def xpath_with_a_stranger() -> bytes:
    inner = f"<ds:XPath>{NOT_SIGNATURE}</ds:XPath><ds:Stranger/>"
    return filtered(transform("http://www.w3.org/TR/1999/REC-xpath-19991116", inner))


def two_xpath_expressions() -> bytes:
    """The allowed expression and behind it one that nobody should overlook."""
    inner = f"<ds:XPath>{NOT_SIGNATURE}</ds:XPath><ds:XPath>true()</ds:XPath>"
    return filtered(transform("http://www.w3.org/TR/1999/REC-xpath-19991116", inner))


def without_text() -> bytes:
    """A filter that keeps the elements and drops every text: any context would fit the digest."""

    def digested(root: etree._Element) -> bytes:
        copy = tree(text(root))
        drop("ds:Signature")(copy)
        for node in copy.iter():
            node.text = node.tail = None
        return canonical(copy)

    return sign(REQUEST, VICTIM, removal=xpath("not(self::text())"), document_bytes=digested)


def base64_of_the_document() -> bytes:
    """Only the text of the document, decoded, is digested: elements could be exchanged freely."""
    removal = transform(f"{DS_NS}enveloped-signature") + transform(BASE64)
    digested = base64.b64decode("5265877635AA")
    return sign(REQUEST, VICTIM, removal=removal, reference_c14n=None, document_bytes=lambda _: digested)


def signed_part(name: str) -> bytes:
    """Only one element is signed, by its Id."""
    document = tree(REQUEST)
    find(document, name).set("Id", "Part")
    return sign(
        text(document),
        VICTIM,
        document_uri="#Part",
        removal="",
        document_bytes=lambda root: canonical(find(root, name)),
    )


def canonicalised_by(algorithm: str, inner: str = "", extra: str = "") -> bytes:
    """A c14n transform with parameters, of an unknown kind, or with one more behind it."""
    transforms = transform(f"{DS_NS}enveloped-signature") + transform(algorithm, inner) + extra
    return sign(REQUEST, VICTIM, reference_c14n=None, removal=transforms)


def signed_root(**attributes: str) -> bytes:
    """The document signed with these attributes on its root."""
    root = tree(REQUEST)
    for name, value in attributes.items():
        root.set(name, value)
    return sign(text(root), VICTIM)


def xincluded() -> bytes:
    """An XInclude in place of the NIP."""
    namespace = b'xmlns:xi="http://www.w3.org/2001/XInclude"'
    include = b"<Nip " + namespace + b'><xi:include href="file:///etc/hostname" parse="text"/></Nip>'
    return sign(REQUEST.replace(b"<Nip>5265877635</Nip>", include), VICTIM)


def with_method(algorithm: str) -> bytes:
    """SignatureMethod names this algorithm; the value was made by ECDSA with SHA-256."""
    return sign(REQUEST, VICTIM, signature_method=algorithm)


def ec_method_for_an_rsa_key() -> bytes:
    seal = make_seal(nip="5265877635", key=rsa_key())
    return sign(REQUEST, seal, signature_method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")


def comment_in_a_digest() -> bytes:
    """A comment inside a DigestValue that the canonicalisation of SignedInfo keeps, so that it is signed."""

    def change(signature: etree._Element) -> None:
        value = find(signature, "ds:DigestValue")
        value.text = "AAAA"
        value.append(etree.Comment("here"))

    return sign(REQUEST, VICTIM, c14n=f"{EXCLUSIVE}WithComments", shape=change)


def ec_key(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve)


def ed25519_certificate() -> bytes:
    """A certificate with a key of a kind that XML Signature has no method for here."""
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    other = make_credential_for(VICTIM.certificate.subject, public_key=key)
    return sign(REQUEST, VICTIM, key_info=[other.certificate], signing_certificate_of=other)


def two_lists(signature: etree._Element) -> None:
    """SigningCertificateV2 of another certificate beside the right v1 one."""
    other = tree(sign(REQUEST, ATTACKER, signing_certificate="v2"))
    find(signature, "xades:SigningCertificate").addnext(find(other, "xades:SigningCertificateV2"))


def many_certs(signature: etree._Element) -> None:
    """The right xades:Cert behind a hundred others: each would have to be compared with each certificate."""
    right = find(signature, "xades:Cert")
    other = find(tree(sign(REQUEST, ATTACKER)), "xades:Cert")
    for _ in range(100):
        right.addprevious(tree(etree.tostring(other, with_tail=False)))


def other_serial(signature: etree._Element) -> None:
    find(signature, "ds:X509SerialNumber").text = "1"


def drop_document_reference(signature: etree._Element) -> None:
    drop("ds:Reference")(signature)


def drop_properties_reference(signature: etree._Element) -> None:
    references = list(signature.iter(f"{DS}Reference"))
    find(signature, "ds:SignedInfo").remove(references[1])


def enveloped_properties(signature: etree._Element) -> None:
    """The enveloped-signature transform on the reference to SignedProperties."""
    transforms = list(signature.iter(f"{DS}Transforms"))[1]
    transforms.insert(0, etree.Element(f"{DS}Transform", Algorithm=f"{DS_NS}enveloped-signature"))


def properties_by_another_id(signature: etree._Element) -> None:
    """SignedProperties named by an attribute that XAdES does not take for an Id."""
    properties = find(signature, "xades:SignedProperties")
    properties.set("ID", str(properties.attrib.pop("Id")))


def properties_in_key_info(signature: etree._Element) -> None:
    """A second QualifyingProperties where nobody looks for one."""
    other = tree(sign(REQUEST, ATTACKER))
    properties = find(other, "xades:QualifyingProperties")
    find(properties, "xades:SignedProperties").set("Id", "Other")
    find(signature, "ds:KeyInfo").append(properties)


def object_in_object(signature: etree._Element) -> None:
    """The signed Object one floor deeper, honestly signed."""
    inner = signature.findall(f"{DS}Object")[-1]
    outer = etree.SubElement(signature, f"{DS}Object")
    outer.append(inner)


def drop_uri(signature: etree._Element) -> None:
    del find(signature, "ds:Reference").attrib["URI"]


def plain(signature: etree._Element) -> None:
    """XML Signature without anything of XAdES."""
    drop_properties_reference(signature)
    drop("ds:Object")(signature)


def old_xades(signature: etree._Element) -> None:
    """The same properties in the namespace of XAdES 1.1.1."""
    properties = find(signature, "xades:QualifyingProperties")
    old = tree(text(properties).replace(XADES_NS.encode(), b"http://uri.etsi.org/01903/v1.1.1#"))
    find(signature, "ds:Object").replace(properties, old)


def enveloping(change: Callable[[etree._Element], None]) -> bytes:
    """An enveloping signature that was changed before signing; the digest is taken over its Object as it then is."""
    return sign(
        REQUEST,
        VICTIM,
        form="enveloping",
        shape=change,
        document_bytes=_last_object,
    )


def _last_object(root: etree._Element) -> bytes:
    """The Object that holds the document, wherever it is."""
    return canonical(next(node for node in root.iter(f"{DS}Object") if node.get("Id") == "Document"))


def with_a_second_document(signature: etree._Element) -> None:
    signature.findall(f"{DS}Object")[-1].append(tree(EVIL_REQUEST))


def with_loose_text(signature: etree._Element) -> None:
    signature.findall(f"{DS}Object")[-1].text = "1111111111"


def with_removal(signature: etree._Element) -> None:
    """The enveloped-signature transform where it would take the document away."""
    etree.SubElement(find(signature, "ds:Transforms"), f"{DS}Transform", Algorithm=f"{DS_NS}enveloped-signature")


def base64_of(content: bytes) -> bytes:
    """An honest enveloping signature over whatever bytes stand in its Object."""

    def payload(signature: etree._Element) -> None:
        signature.findall(f"{DS}Object")[-1].text = base64.b64encode(content).decode()

    return sign(REQUEST, VICTIM, form="enveloping-base64", shape=payload, document_bytes=lambda _: content)


def manifest() -> str:
    return f'<ds:Object><ds:Manifest Id="M">{reference_to("http://127.0.0.1:9/x")}</ds:Manifest></ds:Object>'


def hidden_signature() -> str:
    """A complete second signature as raw XML for one more Object."""
    inner = sign(EVIL_REQUEST, VICTIM).split(b"?>", 1)[1].decode()
    return f"<ds:Object>{inner}</ds:Object>"


def reference_to(uri: str, *, digest: str = "AAAA") -> str:
    """One more ds:Reference, raw; an empty digest is filled by the signer with the document's."""
    return (
        f'<ds:Reference URI="{uri}"><ds:Transforms>{transform(EXCLUSIVE)}</ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
    )


def relative_namespace() -> bytes:
    """Canonical XML is not defined for relative namespace names."""
    return REQUEST.replace(b"<Challenge>", b'<Challenge xmlns:r="relative/path">')
