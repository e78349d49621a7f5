"""What a signature covers: its references, what they are transformed to, and whether the digests fit (facts.md §2.4).

Every transform is on a list and none can leave anything out but the signature itself, so what is digested is what is
read. A digest that does not fit is explained: most often a program has indented the file after it was signed.
"""

from __future__ import annotations

import base64
import binascii
import re
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from klucznik.errors import SignedDocumentError
from klucznik.ksef import signature_value
from klucznik.ksef.signed_content import Form, Located, content, text_of
from klucznik.ksef.xml_names import C14N_EXCLUSIVE, DS_NS, ds, xades

_MOST_REFERENCES = 20
_MOST_PREFIXES = 50

_ENVELOPED = f"{DS_NS}enveloped-signature"
_BASE64 = f"{DS_NS}base64"
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
# Whether it is exclusive, and whether it keeps comments. Version 1.1 differs only in what it inherits of xml:id and
# xml:base; a file that has either above what is signed is refused.
_CANONICAL = {
    _INCLUSIVE: (False, False),
    f"{_INCLUSIVE}#WithComments": (False, True),
    "http://www.w3.org/2006/12/xml-c14n11": (False, False),
    "http://www.w3.org/2006/12/xml-c14n11#WithComments": (False, True),
    C14N_EXCLUSIVE: (True, False),
    f"{C14N_EXCLUSIVE}WithComments": (True, True),
}
_NOT_THE_SIGNATURE = re.compile(r"not\(ancestor-or-self::([\w.-]+):Signature\)")
_THE_SIGNATURE = re.compile(r"(?:/descendant::|/descendant-or-self::|//)([\w.-]+):Signature")
_XML_ATTRIBUTE = "{http://www.w3.org/XML/1998/namespace}"


@dataclass(frozen=True)
class _Plan:
    """What the transforms of one reference do."""

    removes_signature: bool = False
    decodes: bool = False
    canonical: str = _INCLUSIVE
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Covered:
    """What the references of a signature cover, once their digests fit."""

    document: bool
    properties: bool
    key_info: bool


def canonical(element: etree._Element, algorithm: str, *, comments: bool, prefixes: tuple[str, ...] = ()) -> bytes:
    """The canonical form of an element.

    Raises:
        SignedDocumentError: ``signed_transform``: an algorithm that KSeF does not take.
    """
    if algorithm not in _CANONICAL:
        raise SignedDocumentError("signed_transform", algorithm=algorithm[:100])
    exclusive, with_comments = _CANONICAL[algorithm]
    inherited = [] if exclusive else [name for node in element.iterancestors() for name in node.attrib]
    if any(str(name).startswith(_XML_ATTRIBUTE) for name in inherited):
        raise SignedDocumentError("signed_shape", part="xml:")
    try:
        return etree.tostring(
            element,
            method="c14n",
            exclusive=exclusive,
            with_comments=comments and with_comments,
            inclusive_ns_prefixes=list(prefixes) if exclusive and prefixes else None,
        )
    except (etree.C14NError, ValueError):
        raise SignedDocumentError("signed_shape", part="xmlns") from None


def without_indent(element: etree._Element) -> etree._Element:
    """A copy in its place without the white space that programs put between elements."""
    root = element.getroottree().getroot()
    place = next(number for number, node in enumerate(root.iter()) if node is element)
    copy = next(node for number, node in enumerate(deepcopy(root).iter()) if number == place)
    for node in copy.iter():
        if len(node) and node.text is not None and not node.text.strip():
            node.text = None
        if node is not copy and node.tail is not None and not node.tail.strip():
            node.tail = None
    return copy


def check_references(located: Located, signed_info: etree._Element, given: etree._Element) -> Covered:
    """Whether every digest fits.

    Args:
        given: the root of the document as we gave it.

    Raises:
        SignedDocumentError: a form that KSeF does not take, something outside the file is signed, or a digest does
            not fit (``signed_reindented``, ``signed_digest_wrong``).
    """
    references = signed_info.findall(ds("Reference"))
    if not 0 < len(references) <= _MOST_REFERENCES:
        raise SignedDocumentError("signed_shape", part="Reference")
    checks = [_Check(located, reference, given) for reference in references]
    for check in checks:
        check.run()
    covered = {check.covers for check in checks}
    return Covered("document" in covered, "properties" in covered, "key_info" in covered)


def properties_of(signature: etree._Element) -> etree._Element:
    """The signed properties of XAdES.

    Raises:
        SignedDocumentError: ``signed_not_xades``: there are none.
    """
    path = f"{ds('Object')}/{xades('QualifyingProperties')}/{xades('SignedProperties')}"
    found = signature.findall(path)
    if not found:
        raise SignedDocumentError("signed_not_xades")
    if len(found) > 1:
        raise SignedDocumentError("signed_shape", part="SignedProperties")
    return found[0]


class _Check:
    """One reference, judged."""

    def __init__(self, located: Located, reference: etree._Element, given: etree._Element) -> None:
        self._located = located
        self._given = given
        self._plan = _plan(reference)
        self._target = self._resolve(reference.get("URI"))
        self._algorithm = only(reference, "DigestMethod").get("Algorithm") or ""
        self._expected = decoded(only(reference, "DigestValue"))
        self.covers = self._what()

    def run(self) -> None:
        if self._fits(self._target):
            return
        if self._plan.decodes:
            raise SignedDocumentError("signed_digest_wrong", part=self._said())
        if self._fits(without_indent(self._target)) or self._spaces_differ():
            raise SignedDocumentError("signed_reindented")
        raise SignedDocumentError("signed_digest_wrong", part=self._said())

    def _resolve(self, uri: str | None) -> etree._Element:
        located = self._located
        if uri and not uri.startswith("#"):
            raise SignedDocumentError("signed_detached")
        if uri == "":
            if located.form is not Form.ENVELOPED or not self._plan.removes_signature:
                raise SignedDocumentError("signed_shape", part="Reference")
            return located.document
        if self._plan.removes_signature or uri is None:
            raise SignedDocumentError("signed_shape", part="Reference")
        found = [
            node
            for node in located.signature.getroottree().iter(tag=etree.Element)
            if any(str(name).lower().rpartition("}")[2] == "id" and value == uri[1:] for name, value in node.items())
        ]
        if len(found) != 1 or located.signature not in found[0].iterancestors():
            raise SignedDocumentError("signed_shape", part="Id")
        return found[0]

    def _what(self) -> str:
        target, located = self._target, self._located
        if target is (located.document if located.form is Form.ENVELOPED else located.holder):
            return "document"
        if self._plan.decodes:
            raise SignedDocumentError("signed_shape", part="Transform")
        if target is properties_of(located.signature):
            return "properties"
        return "key_info" if target is located.signature.find(ds("KeyInfo")) else "other"

    def _fits(self, target: etree._Element) -> bool:
        return signature_value.digest(self._algorithm, self._data(target)) == self._expected

    def _data(self, target: etree._Element) -> bytes:
        if self._plan.decodes:
            if self._located.decoded is None:
                raise SignedDocumentError("signed_shape", part="Transform")
            return self._located.decoded
        if self._plan.removes_signature:
            target = _without_signature(target)
        # A reference within the file never covers comments.
        return canonical(target, self._plan.canonical, comments=False, prefixes=self._plan.prefixes)

    def _spaces_differ(self) -> bool:
        if self.covers != "document":
            return False
        return _skeleton(self._located.document) != _skeleton(self._given)

    def _said(self) -> str:
        return "AuthTokenRequest" if self.covers == "document" else etree.QName(self._target).localname


def _skeleton(document: etree._Element) -> tuple[object, ...]:
    """All texts of a document, those between its elements too."""
    bare = _without_signature(document)
    return (content(bare, spaces=True), *(text for node in bare.iter() for text in (node.text, node.tail) if text))


def _without_signature(document: etree._Element) -> etree._Element:
    copy = deepcopy(document)
    signature = copy.find(ds("Signature"))
    if signature is not None:
        before, tail = signature.getprevious(), signature.tail or ""
        if before is not None:
            before.tail = (before.tail or "") + tail
        else:
            copy.text = (copy.text or "") + tail
        copy.remove(signature)
    copy.tail = None
    return copy


def _plan(reference: etree._Element) -> _Plan:
    """What the transforms do.

    Raises:
        SignedDocumentError: ``signed_transform``: one that KSeF does not take, or none of us can follow.
    """
    plan = _Plan()
    transforms = reference.findall(f"{ds('Transforms')}/{ds('Transform')}")
    for number, transform in enumerate(transforms, 1):
        algorithm = transform.get("Algorithm") or ""
        last = number == len(transforms)
        if algorithm in _CANONICAL and last:
            plan = _Plan(plan.removes_signature, canonical=algorithm, prefixes=prefixes_in(transform))
        elif algorithm == _BASE64 and len(transforms) == 1 and not len(transform):
            plan = _Plan(decodes=True)
        elif number == 1 and _removes_signature(transform, algorithm):
            plan = _Plan(removes_signature=True)
        else:
            raise SignedDocumentError("signed_transform", algorithm=algorithm[:100])
    return plan


def _removes_signature(transform: etree._Element, algorithm: str) -> bool:
    """Whether it takes the signature out and does nothing else."""
    if algorithm == _ENVELOPED:
        return not len(transform)
    if len(transform) != 1:
        return False
    path = transform[0]
    expression = "".join(text_of(path).split())
    if algorithm == _XPATH and path.tag == ds("XPath"):
        found = _NOT_THE_SIGNATURE.fullmatch(expression)
    elif algorithm == _FILTER2 and path.tag == f"{{{_FILTER2}}}XPath" and path.get("Filter") == "subtract":
        found = _THE_SIGNATURE.fullmatch(expression)
    else:
        return False
    return found is not None and path.nsmap.get(found[1]) == DS_NS


def prefixes_in(method: etree._Element) -> tuple[str, ...]:
    """The prefixes that an exclusive canonical form treats as the inclusive one does."""
    if not len(method):
        return ()
    named = method[0]
    prefixes = tuple((named.get("PrefixList") or "").split())
    if len(method) != 1 or named.tag != f"{{{C14N_EXCLUSIVE}}}InclusiveNamespaces" or len(prefixes) > _MOST_PREFIXES:
        raise SignedDocumentError("signed_transform", algorithm="InclusiveNamespaces")
    return prefixes


def decoded(element: etree._Element) -> bytes:
    """The bytes of a text in Base64; empty where it is none, which fits nothing."""
    try:
        return base64.b64decode("".join(text_of(element).split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def only(parent: etree._Element, name: str) -> etree._Element:
    """The one child of that name in the namespace of signatures.

    Raises:
        SignedDocumentError: ``signed_shape``: there is none, or there are several.
    """
    found = parent.findall(ds(name))
    if len(found) != 1:
        raise SignedDocumentError("signed_shape", part=name)
    return found[0]
