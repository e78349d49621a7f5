"""AuthTokenRequest, schema 2.0 and 2.1: our own validator and the typed request it yields (facts.md §2.2).
It sees the document that the signature covers, after `xml/xades.py`; challenge, context and rights are checked later.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from lxml import etree

from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import ContextIdentifier, ContextType

NAMESPACES: Final = {
    "http://ksef.mf.gov.pl/auth/token/2.0": "2.0",
    "http://ksef.mf.gov.pl/auth/token/2.1": "2.1",
}
_MAX_IP_ENTRIES: Final = 10
_XML_SPACE: Final = " \t\r\n"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_SCHEMA_HINTS: Final = frozenset({f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"})

_NIP: Final = r"[1-9](?:[0-9][1-9]|[1-9][0-9])[0-9]{7}"
# VAT identifiers of the EU by country, https://ec.europa.eu/taxation_customs/vies/#/faq question 11.
_VAT_UE: Final = "|".join(
    (
        r"ATU[0-9]{8}",
        r"BE[01][0-9]{9}",
        r"BG[0-9]{9,10}",
        r"CY[0-9]{8}[A-Z]",
        r"CZ[0-9]{8,10}",
        r"DE[0-9]{9}",
        r"DK[0-9]{8}",
        r"EE[0-9]{9}",
        r"EL[0-9]{9}",
        r"ES(?:[A-Z][0-9]{8}|[0-9]{8}[A-Z]|[A-Z][0-9]{7}[A-Z])",
        r"FI[0-9]{8}",
        r"FR[A-Z0-9]{2}[0-9]{9}",
        r"HR[0-9]{11}",
        r"HU[0-9]{8}",
        r"IE(?:[0-9]{7}[A-Z]{2}|[0-9][A-Z0-9+*][0-9]{5}[A-Z])",
        r"IT[0-9]{11}",
        r"LT(?:[0-9]{9}|[0-9]{12})",
        r"LU[0-9]{8}",
        r"LV[0-9]{11}",
        r"MT[0-9]{8}",
        r"NL[A-Z0-9+*]{12}",
        r"PT[0-9]{9}",
        r"RO[0-9]{2,10}",
        r"SE[0-9]{12}",
        r"SI[0-9]{8}",
        r"SK[0-9]{10}",
        r"XI(?:[0-9]{9}|[0-9]{12}|(?:GD|HA)[0-9]{3})",
    )
)
CONTEXT_PATTERNS: Final = {
    ContextType.NIP: re.compile(_NIP),
    ContextType.INTERNAL_ID: re.compile(rf"{_NIP}-[0-9]{{5}}"),
    # The official patterns of these two carry stray anchors that XSD reads as letters; meant is what stands here.
    ContextType.NIP_VAT_UE: re.compile(rf"{_NIP}-(?:{_VAT_UE})"),
    ContextType.PEPPOL_ID: re.compile(r"P[A-Z]{2}[0-9]{6}"),
}
_CHALLENGE: Final = re.compile(r"[0-9]{8}-CR-[A-F0-9]{10}-[A-F0-9]{10}-[A-F0-9]{2}")
_SUBJECT_IDENTIFIER_TYPES: Final = frozenset({"certificateSubject", "certificateFingerprint"})
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IP4: Final = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
IP_PATTERNS: Final = {
    "Ip4Address": re.compile(_IP4),
    "Ip4Range": re.compile(rf"{_IP4}-{_IP4}"),
    "Ip4Mask": re.compile(rf"{_IP4}/(?:[12]?[0-9]|3[0-2])"),
}


@dataclass(frozen=True, slots=True)
class IpPolicy:
    """From where the tokens of this sign-in may be used: IPv4 addresses, `a-b` ranges, CIDR masks."""

    addresses: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()

    def allows(self, client_ip: str) -> bool:
        """Whether a call from this address may use the token; a policy without entries restricts nothing."""
        if not (self.addresses or self.ranges or self.masks):
            return True
        try:
            client = ipaddress.IPv4Address(client_ip)
        except ipaddress.AddressValueError:
            return False
        if client_ip in self.addresses:
            return True
        if any(client in ipaddress.IPv4Network(mask, strict=False) for mask in self.masks):
            return True
        bounds = (text.split("-") for text in self.ranges)
        return any(ipaddress.IPv4Address(low) <= client <= ipaddress.IPv4Address(high) for low, high in bounds)


@dataclass(frozen=True, slots=True)
class AuthTokenRequest:
    """What the signer asks for; `subject_identifier_type` is certificateSubject or certificateFingerprint."""

    challenge: str
    context: ContextIdentifier
    subject_identifier_type: str
    ip_policy: IpPolicy | None


def parse(root: etree._Element, *, accept: frozenset[str]) -> AuthTokenRequest:
    """Validate the signed document and read it.

    `accept` names the schema versions taken, of "2.0" and "2.1". Raises BadRequest 21401 with one detail that
    names the element and the broken rule (facts.md §2.2, §2.6).
    """
    name = etree.QName(root)
    version = NAMESPACES.get(name.namespace or "")
    if name.localname != "AuthTokenRequest" or version is None or version not in accept:
        _refuse(f"The '{root.tag}' element is not declared.")
    children = _children(root)
    challenge = _required(children, root, "Challenge")
    context = _required(children, root, "ContextIdentifier")
    subject_type = _required(children, root, "SubjectIdentifierType")
    policy = children.pop(0) if children and _local(children[0], root) == "AuthorizationPolicy" else None
    if children:
        _unexpected(children[0], root)
    return AuthTokenRequest(
        challenge=_token(challenge, _CHALLENGE),
        context=_context(context),
        subject_identifier_type=_subject_identifier_type(subject_type),
        ip_policy=None if policy is None else _ip_policy(policy, version),
    )


def _context(element: etree._Element) -> ContextIdentifier:
    children = _children(element)
    if not children:
        _refuse(f"The element '{element.tag}' has incomplete content.")
    if len(children) > 1:
        _unexpected(children[1], element)
    try:
        kind = ContextType(_local(children[0], element) or "")
    except ValueError:
        _unexpected(children[0], element)
    value = _text(children[0])
    if not CONTEXT_PATTERNS[kind].fullmatch(value):
        _bad_value(children[0], value, "Pattern")
    return ContextIdentifier(kind, value)


def _subject_identifier_type(element: etree._Element) -> str:
    value = _collapsed(_text(element))
    if value not in _SUBJECT_IDENTIFIER_TYPES:
        _bad_value(element, value, "Enumeration")
    return value


def _ip_policy(policy: etree._Element, version: str) -> IpPolicy:
    children = _children(policy)
    allowed = _required(children, policy, "AllowedIps")
    if children:
        _unexpected(children[0], policy)
    entries = _children(allowed)
    found: dict[str, tuple[str, ...]] = {}
    for name, pattern in IP_PATTERNS.items():
        values: list[str] = []
        while entries and _local(entries[0], allowed) == name and len(values) < _MAX_IP_ENTRIES:
            values.append(_ip_value(entries.pop(0), pattern, version))
        found[name] = tuple(values)
    if entries:
        _unexpected(entries[0], allowed)
    return IpPolicy(found["Ip4Address"], found["Ip4Range"], found["Ip4Mask"])


def _ip_value(element: etree._Element, pattern: re.Pattern[str], version: str) -> str:
    value = _token(element, pattern)
    if version == "2.0":
        # The patterns of 2.0 hold ^, $ and \b, no anchors to XSD: no address can match (facts.md §2.2).
        _bad_value(element, value, "Pattern")
    return value


def _token(element: etree._Element, pattern: re.Pattern[str]) -> str:
    value = _collapsed(_text(element))
    if not pattern.fullmatch(value):
        _bad_value(element, value, "Pattern")
    return value


def _children(element: etree._Element) -> list[etree._Element]:
    """Child elements of an element-only type; text between them and attributes are refused."""
    _no_attributes(element)
    children: list[etree._Element] = []
    texts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            children.append(child)
        texts.append(child.tail or "")
    if "".join(texts).strip(_XML_SPACE):
        _refuse(f"The element '{element.tag}' cannot contain text.")
    return children


def _text(element: etree._Element) -> str:
    """Text of a simple type; comments inside do not cut it short."""
    _no_attributes(element)
    texts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            _unexpected(child, element)
        texts.append(child.tail or "")
    return "".join(texts)


def _no_attributes(element: etree._Element) -> None:
    for name in element.attrib:
        if name not in _SCHEMA_HINTS:
            _refuse(f"The '{name!s}' attribute is not declared.")


def _required(children: list[etree._Element], parent: etree._Element, name: str) -> etree._Element:
    if not children:
        _refuse(f"The element '{parent.tag}' has incomplete content. Expected: '{name}'.")
    if _local(children[0], parent) != name:
        _unexpected(children[0], parent)
    return children.pop(0)


def _local(child: etree._Element, parent: etree._Element) -> str | None:
    """Local name of a child in its parent's namespace; None for one of another namespace."""
    name = etree.QName(child)
    return name.localname if name.namespace == etree.QName(parent).namespace else None


def _collapsed(text: str) -> str:
    """Whitespace as xsd:token treats it."""
    return " ".join(part for part in re.split(f"[{_XML_SPACE}]+", text) if part)


def _unexpected(child: etree._Element, parent: etree._Element) -> NoReturn:
    _refuse(f"The element '{parent.tag}' has invalid child element '{child.tag}'.")


def _bad_value(element: etree._Element, value: str, rule: str) -> NoReturn:
    _refuse(f"The '{element.tag}' element is invalid - The value '{value[:100]}' - The {rule} constraint failed.")


def _refuse(detail: str) -> NoReturn:
    raise BadRequest(21401, detail)
