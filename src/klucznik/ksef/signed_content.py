"""Where in a signed file our document is, and whether it is still the one that we gave (facts.md §2.2)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from klucznik.errors import SignedDocumentError
from klucznik.ksef import signed_file
from klucznik.ksef.xml_names import ds

_ROOT = "AuthTokenRequest"
_MARKUP = (b"<", b"\xff\xfe", b"\xfe\xff")

# Tag, attributes and text of an element, and the same of its children.
Content = tuple[str, tuple[tuple[str, str], ...], str, "tuple[Content, ...]"]


class Form(StrEnum):
    ENVELOPED = "enveloped"  # the signature stands in the document
    ENVELOPING = "enveloping"  # the document stands in the signature


@dataclass(frozen=True)
class Located:
    """The parts of a signed file.

    Attributes:
        document: our document, ``AuthTokenRequest``.
        holder: the ``ds:Object`` that holds it, in the enveloping form.
        decoded: the bytes of the document, where the holder holds them in Base64.
    """

    form: Form
    signature: etree._Element
    document: etree._Element
    holder: etree._Element | None = None
    decoded: bytes | None = None


def locate(root: etree._Element) -> Located:
    """Find the document and its one signature.

    Raises:
        SignedDocumentError: there is none, there are several, or they do not stand together as KSeF wants it.
    """
    signatures = list(root.iter(ds("Signature")))
    if len(signatures) > 1:
        raise SignedDocumentError("signed_more_than_once", count=len(signatures))
    if _local(root) == _ROOT:
        if not signatures:
            raise SignedDocumentError("signed_not_signed")
        if signatures[0].getparent() is not root:
            raise SignedDocumentError("signed_shape", part="Signature")
        return Located(Form.ENVELOPED, signatures[0], root)
    if root.tag == ds("Signature"):
        return _enveloping(root)
    if signatures and (_is_detached(signatures[0]) or _documents_in(root)):
        raise SignedDocumentError("signed_detached")
    raise SignedDocumentError("signed_not_ours")


def _enveloping(signature: etree._Element) -> Located:
    found = [
        Located(Form.ENVELOPING, signature, child, holder)
        for holder in signature.findall(ds("Object"))
        for child in holder
        if _local(child) == _ROOT
    ]
    found += [
        Located(Form.ENVELOPING, signature, inner, holder, decoded)
        for holder in signature.findall(ds("Object"))
        if not len(holder) and (decoded := _decoded(holder)) is not None
        for inner in [signed_file.parse(decoded)]
    ]
    if not found:
        raise SignedDocumentError("signed_detached" if _is_detached(signature) else "signed_not_ours")
    located = found[0]
    holder = located.holder
    if len(found) > 1 or (holder is not None and located.decoded is None and _stranger_beside(holder)):
        raise SignedDocumentError("signed_shape", part="Object")
    if located.decoded is not None:
        if _local(located.document) != _ROOT:
            raise SignedDocumentError("signed_not_ours")
        if next(located.document.iter(ds("Signature")), None) is not None:
            raise SignedDocumentError("signed_more_than_once", count=2)
    return located


def _decoded(holder: etree._Element) -> bytes | None:
    """What an Object holds in Base64, where that looks like XML."""
    try:
        decoded = base64.b64decode("".join(text_of(holder).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_MARKUP) else None


def _stranger_beside(holder: etree._Element) -> bool:
    loose = [holder.text, *(child.tail for child in holder)]
    return len(list(holder.iterchildren(tag=etree.Element))) != 1 or any(text and text.strip() for text in loose)


def _is_detached(signature: etree._Element) -> bool:
    """Whether it signs something outside the file. Signatures of containers and of `.xades` files do."""
    uris = [reference.get("URI") for reference in signature.iter(ds("Reference"))]
    return any(uri is not None and uri != "" and not uri.startswith("#") for uri in uris)


def _documents_in(root: etree._Element) -> bool:
    return any(_local(node) == _ROOT for node in root.iter(tag=etree.Element))


def challenge_in(document: etree._Element) -> str:
    """The challenge that a document says, without the space around it; empty where it says none."""
    return _value(document, "Challenge").strip()


def compare(document: etree._Element, given: etree._Element) -> None:
    """Whether the document says what ours said, apart from the space between words.

    Raises:
        SignedDocumentError: ``signed_other_challenge``, ``signed_other_context``, ``signed_text_changed``.
    """
    challenge, ours = challenge_in(document), challenge_in(given)
    if challenge != ours:
        raise SignedDocumentError("signed_other_challenge", found_challenge=challenge[:36], challenge=ours)
    context, wanted = _context(document), _context(given)
    if context != wanted:
        raise SignedDocumentError("signed_other_context", found_context=context[:60], our_context=wanted)
    if content(document, spaces=False) != content(given, spaces=False):
        raise SignedDocumentError("signed_text_changed")


def content(element: etree._Element, *, spaces: bool) -> Content:
    """What an element says, without comments and without a signature in it; with or without space around its texts."""
    children = [child for child in element.iterchildren(tag=etree.Element) if child.tag != ds("Signature")]
    text = "" if children and not _loose_text(element) else text_of(element)
    return (
        str(element.tag),
        tuple(sorted((str(name), str(value)) for name, value in element.attrib.items())),
        text if spaces else text.strip(),
        tuple(content(child, spaces=spaces) for child in children),
    )


def text_of(element: etree._Element) -> str:
    """All text in an element; a comment cuts it nowhere short."""
    return str(element.xpath("string()"))


def _loose_text(element: etree._Element) -> bool:
    texts = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in texts)


def _context(document: etree._Element) -> str:
    found = [node for node in document.iterchildren(tag=etree.Element) if _local(node) == "ContextIdentifier"]
    return " ".join(f"{_local(child)} {text_of(child).strip()}" for node in found for child in node)


def _value(document: etree._Element, name: str) -> str:
    return " ".join(text_of(node) for node in document.iterchildren(tag=etree.Element) if _local(node) == name)


def _local(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""
