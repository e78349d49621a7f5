"""Builders of hostile documents: what they start from, and the small knives they are cut with.
The table of attacks is `test_hostile_documents.py`; honest signatures are made by `signing.py`.
"""

import base64
from collections.abc import Callable

from lxml import etree
from tests.sandbox.signing import (
    DS_NS,
    XADES_NS,
    auth_token_request,
    make_person,
    make_seal,
    sign,
)

CHALLENGE = "20250625-CR-20F5EE4000-DA48AE4124-46"
KSEF_NS = "http://ksef.mf.gov.pl/auth/token/2.0"
VICTIM = make_seal(nip="5265877635")
ATTACKER = make_person(pesel="80010112345")
REQUEST = auth_token_request(CHALLENGE, nip="5265877635")
EVIL_REQUEST = auth_token_request(CHALLENGE, nip="1111111111")
DS = f"{{{DS_NS}}}"
XADES = f"{{{XADES_NS}}}"


def tree(body: bytes) -> etree._Element:
    return etree.fromstring(body)


def text(root: etree._Element) -> bytes:
    return etree.tostring(root)


def find(root: etree._Element, name: str) -> etree._Element:
    """The first element of that name; `ds:` and `xades:` prefixes, no prefix for the request's own."""
    prefix, _, local = name.rpartition(":")
    namespace = {"ds": DS_NS, "xades": XADES_NS, "": KSEF_NS}[prefix]
    return next(root.iter(f"{{{namespace}}}{local}"))


def cut(change: Callable[[etree._Element], object], body: bytes | None = None) -> bytes:
    """An honestly signed document, changed after signing."""
    root = tree(sign(REQUEST, VICTIM) if body is None else body)
    change(root)
    return text(root)


def replaced(before: bytes, after: bytes, body: bytes | None = None) -> bytes:
    """The same by text; the text must occur."""
    signed = sign(REQUEST, VICTIM) if body is None else body
    assert before in signed, before
    return signed.replace(before, after, 1)


def wrap_in_evil_root(body: bytes) -> bytes:
    """The signed document hidden in an Object of its own signature, which now sits in the attacker's document."""
    original = tree(body)
    signature = find(original, "ds:Signature")
    original.remove(signature)
    holder = etree.SubElement(signature, f"{DS}Object")
    holder.append(original)
    evil = tree(EVIL_REQUEST)
    evil.append(signature)
    return text(evil)


def enveloping_inside_evil_root() -> bytes:
    """A valid enveloping signature, carried whole inside the attacker's document."""
    evil = tree(EVIL_REQUEST)
    evil.append(tree(sign(REQUEST, VICTIM, form="enveloping")))
    return text(evil)


def evil_object(identifier: str, *, first: bool) -> bytes:
    """A valid enveloping signature with a second Object that carries the attacker's document."""
    root = tree(sign(REQUEST, VICTIM, form="enveloping"))
    holder = etree.Element(f"{DS}Object", Id=identifier)
    holder.append(tree(EVIL_REQUEST))
    objects = root.findall(f"{DS}Object")
    (objects[0].addprevious if first else objects[-1].addnext)(holder)
    return text(root)


def evil_sibling() -> bytes:
    """The attacker's document beside the signed one in the same Object, not covered when the Object is not."""
    root = tree(sign(REQUEST, VICTIM, form="enveloping"))
    find(root, "AuthTokenRequest").addprevious(tree(EVIL_REQUEST))
    return text(root)


def second_signed_properties(*, same_id: bool) -> bytes:
    """SignedProperties that name the attacker's certificate, put before the signed ones."""
    attacker = tree(sign(REQUEST, ATTACKER))
    evil = find(attacker, "xades:QualifyingProperties")
    if not same_id:
        find(evil, "xades:SignedProperties").set("Id", "Other")
    return cut(lambda root: find(root, "ds:Object").addprevious(_object_with(evil)))


def _object_with(content: etree._Element) -> etree._Element:
    holder = etree.Element(f"{DS}Object")
    holder.append(content)
    return holder


def moved_signed_properties() -> bytes:
    """The signed SignedProperties moved out of their place; unsigned ones stand where they were."""

    def change(root: etree._Element) -> None:
        properties = find(root, "xades:SignedProperties")
        holder = find(root, "xades:QualifyingProperties")
        evil = find(tree(sign(REQUEST, ATTACKER)), "xades:SignedProperties")
        evil.set("Id", "Other")
        holder.replace(properties, evil)
        find(root, "ds:Signature").append(_object_with(properties))

    return cut(change)


def detached() -> bytes:
    """A signature beside the document that it signs by Id."""
    wrapper = tree(b"<wrapper/>")
    enveloping = tree(sign(REQUEST, VICTIM, form="enveloping", document_uri="#Document"))
    holder = enveloping.findall(f"{DS}Object")[-1]
    wrapper.append(holder)
    wrapper.append(enveloping)
    return text(wrapper)


def key_info_swapped(*, signing_certificate: bool) -> bytes:
    """The victim's signature with the attacker's certificate in KeyInfo."""
    body = sign(REQUEST, VICTIM, signing_certificate="v1" if signing_certificate else "none")
    evil = find(tree(sign(REQUEST, ATTACKER)), "ds:X509Certificate").text
    return cut(lambda root: setattr(find(root, "ds:X509Certificate"), "text", evil), body)


def signature_value(change: Callable[[bytes], bytes], body: bytes | None = None) -> bytes:
    """The honest signature value, changed byte by byte."""

    def apply(root: etree._Element) -> None:
        node = find(root, "ds:SignatureValue")
        node.text = base64.b64encode(change(base64.b64decode(node.text or ""))).decode()

    return cut(apply, body)


def flipped(value: bytes) -> bytes:
    """One bit of the last byte is another."""
    return value[:-1] + bytes([value[-1] ^ 1])


def commented(name: str) -> bytes:
    """A comment in the middle of a value of the signature."""

    def change(root: etree._Element) -> None:
        node = find(root, name)
        value = node.text or ""
        node.text = value[:10]
        comment = etree.Comment(" ")
        comment.tail = value[10:]
        node.append(comment)

    return cut(change)


def with_attribute(name: str, attribute: str, value: str) -> bytes:
    return cut(lambda root: find(root, name).set(attribute, value))


def with_text(name: str, value: str) -> bytes:
    return cut(lambda root: setattr(find(root, name), "text", value))


def with_dtd(subset: str, entity: str = "") -> bytes:
    """A document type before the document and an entity in front of the context's value."""
    typed = replaced(b"<AuthTokenRequest", f"<!DOCTYPE AuthTokenRequest {subset}><AuthTokenRequest".encode())
    return typed.replace(b"<Nip>", f"<Nip>{entity}".encode(), 1)


def with_namespaces(count: int) -> bytes:
    declarations = " ".join(f'xmlns:n{number}="urn:{number}"' for number in range(count))
    return replaced(b"<Challenge>", f"<Challenge {declarations}>".encode())


def flooded(piece: str, count: int, start: str = "<x>", end: str = "</x>") -> bytes:
    """So many copies of a piece, each with its number for `{n}`, in front of the context's value."""
    flood = start + "".join(piece.replace("{n}", str(number)) for number in range(count)) + end
    return replaced(b"<Nip>", flood.encode() + b"<Nip>")


def signature_moved_into(place: str) -> bytes:
    return cut(lambda root: find(root, place).append(find(root, "ds:Signature")))


def changed_certificate(change: Callable[[bytes], bytes]) -> bytes:
    """The certificate in KeyInfo, changed byte by byte."""

    def apply(root: etree._Element) -> None:
        node = find(root, "ds:X509Certificate")
        node.text = base64.b64encode(change(base64.b64decode(node.text or ""))).decode()

    return cut(apply)


def countersigned() -> bytes:
    def change(root: etree._Element) -> None:
        unsigned = etree.SubElement(find(root, "xades:QualifyingProperties"), f"{XADES}UnsignedProperties")
        etree.SubElement(etree.SubElement(unsigned, f"{XADES}CounterSignature"), f"{DS}Signature")

    return cut(change)


def markup_in_base64() -> bytes:
    """An element inside the Base64 text: what is decoded would depend on how one reads text."""

    def change(root: etree._Element) -> None:
        etree.SubElement(root.findall(f"{DS}Object")[-1], "x").tail = "AAAA"

    return cut(change, sign(REQUEST, VICTIM, form="enveloping-base64"))


def drop(name: str) -> Callable[[etree._Element], None]:
    """Take the first element of that name out."""

    def change(root: etree._Element) -> None:
        node = find(root, name)
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)

    return change


def double(name: str) -> Callable[[etree._Element], None]:
    """Put a copy of the first element of that name behind it."""

    def change(root: etree._Element) -> None:
        node = find(root, name)
        copy = tree(etree.tostring(node, with_tail=False))
        node.addnext(copy)

    return change
