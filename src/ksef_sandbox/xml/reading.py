"""Untrusted XML into a tree, safely: no DTD, no entities, no network, bounded; and canonical bytes out of it.
Nothing here knows of signatures (`xml/dsig.py`) or of what a document means (`xml/auth_request.py`).
"""

import re
from typing import Final

from lxml import etree

from ksef_sandbox.errors import BadRequest

MAX_BODY_BYTES: Final = 1_000_000
# Canonicalisation compares the namespaces in scope with each other for each element, and the attributes of an element
# with each other: without these bounds a document of allowed size would cost minutes. An honest one has a tenth.
MAX_NODES: Final = 2_000  # elements and attributes
MAX_NAMESPACE_DECLARATIONS: Final = 100
_BYTE_ORDER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_DECLARED_ENCODING: Final = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
_XML_ATTRIBUTE: Final = "{http://www.w3.org/XML/1998/namespace}"


def read(body: bytes) -> etree._Element:
    """Parse a document of at most MAX_BODY_BYTES and return its root.

    Raises BadRequest (facts.md §2.6): 21217 when it is not UTF-8, 21001 when it is not well-formed XML or has a DTD,
    9101 when it is too large, has too many parts or holds processing instructions.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(9101, f"Dokument jest większy niż {MAX_BODY_BYTES} bajtów.")
    _check_encoding(body)
    if b"<!DOCTYPE" in body:
        raise BadRequest(21001, "Deklaracja DTD nie jest dozwolona.")
    if body.count(b"xmlns") > MAX_NAMESPACE_DECLARATIONS:
        raise BadRequest(9101, "Zbyt wiele deklaracji przestrzeni nazw.")
    try:
        root = etree.fromstring(body, _parser())
    except etree.XMLSyntaxError as error:
        raise BadRequest(21001, str(error.msg)) from error
    if root.xpath("boolean(//processing-instruction())"):
        raise BadRequest(9101, "Instrukcje przetwarzania nie są dozwolone.")
    _check_size(root)
    return root


def canonical(
    node: etree._Element, *, exclusive: bool, with_comments: bool = False, inclusive_prefixes: tuple[str, ...] = ()
) -> bytes:
    """Canonical XML 1.0 (or 1.1, the same here) of a whole document or of a subtree, inclusive or exclusive.

    A document root brings its siblings along. Raises ValueError where the subtree would inherit `xml:` attributes:
    that is the one place where 1.0 and 1.1 differ, and no signer of these documents writes them.
    """
    if node.getparent() is not None:
        if any(name.startswith(_XML_ATTRIBUTE) for ancestor in node.iterancestors() for name in _names(ancestor)):
            raise ValueError("inherited xml: attributes")
        # A subtree on its own forgets the namespaces it inherits; written out and read again it has them.
        node = detached(node)
    try:
        return etree.tostring(
            node,
            method="c14n",
            exclusive=exclusive,
            with_comments=with_comments,
            inclusive_ns_prefixes=list(inclusive_prefixes) or None,
        )
    except etree.LxmlError as error:
        raise ValueError(f"cannot be canonicalised: {error}") from error


def detached(node: etree._Element) -> etree._Element:
    """A copy of a subtree as a document of its own, with the namespaces in scope."""
    return etree.fromstring(etree.tostring(node, with_tail=False), _parser())


def reread(canonical_bytes: bytes) -> etree._Element:
    """The tree of bytes that were canonicalised here, so of bytes already checked by `read`."""
    return etree.fromstring(canonical_bytes, _parser())


def remove(node: etree._Element) -> None:
    """Take a subtree out of its document; the text that follows it stays."""
    parent = node.getparent()
    if parent is None:
        raise ValueError("the root cannot be removed")
    previous, tail = node.getprevious(), node.tail or ""
    if previous is not None:
        previous.tail = (previous.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    node.tail = None
    parent.remove(node)


def leaf_text(node: etree._Element) -> str:
    """Text of an element that holds nothing else; ValueError where a comment or an element splits it."""
    if len(node):
        raise ValueError(f"{node.tag} holds more than text")
    return node.text or ""


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        dtd_validation=False,
        huge_tree=False,
        collect_ids=False,
    )


def _check_encoding(body: bytes) -> None:
    if body.startswith(_BYTE_ORDER_MARKS) or b"\x00" in body[:4]:
        raise BadRequest(21217)
    declared = _DECLARED_ENCODING.match(body.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() != b"utf-8":
        raise BadRequest(21217)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(21217) from error


def _check_size(root: etree._Element) -> None:
    """Count elements and attributes, no further than the bound."""
    nodes = 0
    for node in root.iter(etree.Element):
        nodes += 1 + len(node.attrib)
        if nodes > MAX_NODES:
            raise BadRequest(9101, f"Dokument ma więcej niż {MAX_NODES} elementów i atrybutów.")


def _names(node: etree._Element) -> list[str]:
    return [str(name) for name in node.attrib]
