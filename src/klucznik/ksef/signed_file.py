"""From the bytes that a person brings to a tree of XML: what kind of file it is, and whether it may be read at all.

No signature is looked at here (`signed_document`). Nothing outside the file is ever fetched, no entity is expanded,
and what could cost much to read is refused before it is parsed.
"""

from __future__ import annotations

import base64
import binascii
import re

from lxml import etree

from klucznik.errors import SignedDocumentError

# A signature of the longest profile (LTA) carries certificates, revocation lists and time stamps: some hundred kB.
MOST_BYTES = 5_000_000
MOST_TAGS = 50_000
# Some steps of the parser and of the canonical form take the square of these; an honest file has a few dozen of each.
MOST_QUOTES = 10_000  # each attribute has two
MOST_NAMESPACES = 300

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# ASCII is UTF-8 too, and some programs declare it.
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"']{0,40})["']""")
# The object identifier of signed data in CMS (PKCS#7): 1.2.840.113549.1.7.2.
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_SPACES = re.compile(rb"\s+")


def parse(content: bytes) -> etree._Element:
    """The root of a file that should be a signed XML document.

    Raises:
        SignedDocumentError: it is something else, and what; or it cannot be read, and why.
    """
    _check_kind(content)
    _check_size(content)
    _check_encoding(content)
    if b"<!DOCTYPE" in content:
        raise SignedDocumentError("signed_has_doctype")
    return parse_xml(content)


def parse_xml(content: bytes) -> etree._Element:
    """The root of XML whose size and encoding have been judged; raises as `parse`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise SignedDocumentError("signed_not_xml")
    return root


def _check_kind(content: bytes) -> None:
    start = content[:1024].removeprefix(_UTF8_MARK).lstrip()
    if not start:
        raise SignedDocumentError("signed_file_empty")
    if b"%PDF-" in content[:1024]:
        raise SignedDocumentError("signed_is_pdf")
    if start.startswith(b"PK\x03\x04"):
        asic = b"application/vnd.etsi.asic" in content[:200] or b"META-INF/" in content
        raise SignedDocumentError("signed_is_asic" if asic else "signed_is_zip")
    if _is_cms(content):
        raise SignedDocumentError("signed_is_cms")
    if start.lower().startswith((b"<!doctype html", b"<html")):
        raise SignedDocumentError("signed_is_html")


def _is_cms(content: bytes) -> bool:
    """Whether it is a signature in the form of CMS: a .p7s or .p7m file, or its text in Base64."""
    if content.startswith((b"-----BEGIN PKCS7", b"-----BEGIN CMS")):
        return True
    if content.startswith(b"MI"):
        text = _SPACES.sub(b"", content[:200])
        try:
            content = base64.b64decode(text[: len(text) // 4 * 4])
        except binascii.Error:
            return False
    return content[:1] == b"\x30" and _SIGNED_DATA in content[:64]


def _check_size(content: bytes) -> None:
    if len(content) > MOST_BYTES:
        raise SignedDocumentError("signed_file_too_big", bytes=len(content), most=MOST_BYTES)
    quotes = content.count(b'"') + content.count(b"'")
    if content.count(b"<") > MOST_TAGS or quotes > MOST_QUOTES or content.count(b"xmlns") > MOST_NAMESPACES:
        raise SignedDocumentError("signed_not_ours")


def _check_encoding(content: bytes) -> None:
    if content.startswith(_UTF16_MARKS) or b"\0" in content[:4]:
        raise SignedDocumentError("signed_not_utf8", encoding="UTF-16")
    declared = _ENCODING.match(content.removeprefix(_UTF8_MARK))
    if declared is not None and declared[1].lower().decode("ascii", "replace") not in _ENCODINGS:
        raise SignedDocumentError("signed_not_utf8", encoding=declared[1].decode("ascii", "replace"))
    try:
        content.decode()
    except UnicodeDecodeError:
        raise SignedDocumentError("signed_not_utf8", encoding=None) from None
