"""XML Signature as KSeF allows it (facts.md §2.4): algorithms, transforms, SignedInfo, references.
Only the listed algorithms and shapes exist here; what XAdES adds, and what must be signed, is in `xml/xades.py`.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from ksef_sandbox.xml.reading import canonical, leaf_text, reread

DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007: Final = "http://www.w3.org/2007/05/xmldsig-more#"
_MORE_2021: Final = "http://www.w3.org/2021/04/xmldsig-more#"
_ENC: Final = "http://www.w3.org/2001/04/xmlenc#"

ENVELOPED: Final = f"{_DSIG}enveloped-signature"
BASE64: Final = f"{_DSIG}base64"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
INCLUSIVE_C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_C14N_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"

NEGATIVE: Final = "Podpis zweryfikowany negatywnie."
MIN_RSA_BITS: Final = 2048
MIN_CURVE_BITS: Final = 256
_MAX_PREFIXES: Final = 50  # each is looked for at each element


class Refused(Exception):
    """The signature breaks a rule; the sentences say which, in Polish, for the details of the answer."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.sentences = sentences


class Mismatch(Refused):
    """The signature is well formed, but the signature value or a digest does not fit."""


@dataclass(frozen=True, slots=True)
class C14n:
    """A canonicalisation method."""

    exclusive: bool
    with_comments: bool
    inclusive_prefixes: tuple[str, ...] = ()

    def apply(self, node: etree._Element, *, keep_comments: bool = False) -> bytes:
        """Canonical bytes; a same-document reference has no comments, whatever the method says (XMLDSig §4.4.3.3)."""
        try:
            return canonical(
                node,
                exclusive=self.exclusive,
                with_comments=self.with_comments and keep_comments,
                inclusive_prefixes=self.inclusive_prefixes,
            )
        except ValueError as error:
            raise Refused("Nie można sprowadzić podpisanych danych do postaci kanonicznej.") from error


@dataclass(frozen=True, slots=True)
class Reference:
    """One ds:Reference.

    `removes_signature`: a transform takes the signature out; `decodes_base64`: the text of the target is decoded.
    """

    uri: str | None
    type: str | None
    removes_signature: bool
    decodes_base64: bool
    c14n: C14n
    digest: hashes.HashAlgorithm
    value: bytes

    def check(self, data: bytes) -> None:
        """Raise Mismatch unless the data has the digest."""
        if digest(self.digest, data) != self.value:
            raise Mismatch(f"Nieprawidłowa wartość skrótu dla referencji wskazującej na element '{self.uri}'.")


@dataclass(frozen=True, slots=True)
class SignedInfo:
    """What the signature value covers, read from the very bytes that it covers."""

    canonical_bytes: bytes
    signature_method: str
    references: tuple[Reference, ...]


_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    f"{_DSIG}sha1": hashes.SHA1(),  # noqa: S303 -- KSeF still lists it
    f"{_ENC}sha256": hashes.SHA256(),
    f"{_MORE}sha384": hashes.SHA384(),
    f"{_ENC}sha512": hashes.SHA512(),
    f"{_MORE_2007}sha3-256": hashes.SHA3_256(),
    f"{_MORE_2007}sha3-384": hashes.SHA3_384(),
    f"{_MORE_2007}sha3-512": hashes.SHA3_512(),
}
_SHA1_AND_2: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 -- KSeF still lists it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_SHA3: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
_RSA_PKCS1: Final = {
    f"{_DSIG if name == 'sha1' else _MORE}rsa-{name}": algorithm for name, algorithm in _SHA1_AND_2.items()
}
_RSA_PSS: Final = {f"{_MORE_2007}{name}-rsa-MGF1": algorithm for name, algorithm in (_SHA1_AND_2 | _SHA3).items()}
_ECDSA: Final = {f"{_MORE}ecdsa-{name}": algorithm for name, algorithm in _SHA1_AND_2.items()} | {
    f"{_MORE_2021}ecdsa-{name}": algorithm for name, algorithm in _SHA3.items()
}
SIGNATURE_METHODS: Final = frozenset(_RSA_PKCS1) | frozenset(_RSA_PSS) | frozenset(_ECDSA)
_C14N: Final = {
    INCLUSIVE_C14N: C14n(exclusive=False, with_comments=False),
    f"{INCLUSIVE_C14N}#WithComments": C14n(exclusive=False, with_comments=True),
    _C14N_11: C14n(exclusive=False, with_comments=False),
    f"{_C14N_11}#WithComments": C14n(exclusive=False, with_comments=True),
    EXCLUSIVE_C14N: C14n(exclusive=True, with_comments=False),
    f"{EXCLUSIVE_C14N}WithComments": C14n(exclusive=True, with_comments=True),
}


def read_signed_info(signature: etree._Element) -> SignedInfo:
    """Canonicalise SignedInfo and read it back from the canonical bytes, so that nothing unsigned is believed."""
    node = only_child(signature, "SignedInfo")
    method = _c14n(only_child(node, "CanonicalizationMethod"))
    canonical_bytes = method.apply(node, keep_comments=True)
    signed = reread(canonical_bytes)
    return SignedInfo(
        canonical_bytes=canonical_bytes,
        signature_method=_algorithm(only_child(signed, "SignatureMethod")),
        references=tuple(_reference(node) for node in signed.iterchildren(f"{DS}Reference")),
    )


def verify_value(signed_info: SignedInfo, value: bytes, key: CertificatePublicKeyTypes) -> None:
    """Check the signature value with the certificate's key.

    Raises Refused for a method or key that is not allowed, Mismatch for the value.
    """
    method = signed_info.signature_method
    if method not in SIGNATURE_METHODS:
        raise Refused(f"Niedozwolony algorytm podpisu '{method}'.")
    try:
        if method in _ECDSA:
            _verify_ecdsa(signed_info.canonical_bytes, value, key, _ECDSA[method])
        else:
            _verify_rsa(signed_info.canonical_bytes, value, key, method)
    except InvalidSignature as error:
        raise Mismatch(NEGATIVE) from error


def _verify_ecdsa(data: bytes, value: bytes, key: CertificatePublicKeyTypes, algorithm: hashes.HashAlgorithm) -> None:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused("Algorytm podpisu nie pasuje do klucza certyfikatu.")
    if key.key_size < MIN_CURVE_BITS:
        raise Refused(f"Klucz EC krótszy niż {MIN_CURVE_BITS} bitów.")
    half = (key.key_size + 7) // 8
    if len(value) != 2 * half:
        # DER instead of R||S is the commonest mistake of all (facts.md §2.4).
        raise Mismatch(NEGATIVE, f"Oczekiwano R||S o długości {2 * half} bajtów, jest {len(value)}.")
    r, s = int.from_bytes(value[:half]), int.from_bytes(value[half:])
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(algorithm))


def _verify_rsa(data: bytes, value: bytes, key: CertificatePublicKeyTypes, method: str) -> None:
    if not isinstance(key, rsa.RSAPublicKey):
        raise Refused("Algorytm podpisu nie pasuje do klucza certyfikatu.")
    if key.key_size < MIN_RSA_BITS:
        raise Refused(f"Klucz RSA krótszy niż {MIN_RSA_BITS} bitów.")
    if method in _RSA_PKCS1:
        key.verify(value, data, padding.PKCS1v15(), _RSA_PKCS1[method])
    else:
        algorithm = _RSA_PSS[method]
        key.verify(value, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)


def digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    """The digest of the data."""
    context = hashes.Hash(algorithm)
    context.update(data)
    return context.finalize()


def digest_method(node: etree._Element) -> hashes.HashAlgorithm:
    """The allowed algorithm that a ds:DigestMethod names."""
    algorithm = _algorithm(node)
    if algorithm not in _DIGESTS:
        raise Refused(f"Niedozwolony algorytm skrótu '{algorithm}'.")
    return _DIGESTS[algorithm]


def only_child(parent: etree._Element, local_name: str) -> etree._Element:
    """The one child element of that name in the ds namespace."""
    children = list(parent.iterchildren(f"{DS}{local_name}"))
    if len(children) != 1:
        raise Refused(f"Oczekiwano dokładnie jednego elementu ds:{local_name}.")
    return children[0]


def octets(node: etree._Element) -> bytes:
    """The Base64 content of an element; whitespace is allowed, anything else is not."""
    try:
        return base64.b64decode("".join(leaf_text(node).split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused(f"Nieprawidłowa wartość elementu {etree.QName(node).localname}.") from error


def _reference(node: etree._Element) -> Reference:
    transforms = [transform for holder in node.iterchildren(f"{DS}Transforms") for transform in holder]
    removing, rest = 0, list(transforms)
    while rest and (check := _REMOVERS.get(_algorithm(rest[0]))) is not None:
        check(rest.pop(0))
        removing += 1
    decodes = bool(rest) and _algorithm(rest[0]) == BASE64
    if decodes:
        rest.pop(0)
    method = _c14n(rest.pop(0)) if rest else None
    if rest or (decodes and method is not None):
        raise Refused("Niedozwolony zestaw transformacji referencji.")
    return Reference(
        uri=_attribute(node, "URI"),
        type=_attribute(node, "Type"),
        removes_signature=removing > 0,
        decodes_base64=decodes,
        c14n=method or _C14N[INCLUSIVE_C14N],
        digest=digest_method(only_child(node, "DigestMethod")),
        value=octets(only_child(node, "DigestValue")),
    )


def _c14n(node: etree._Element) -> C14n:
    method = _C14N.get(_algorithm(node))
    if method is None:
        raise Refused(f"Niedozwolona transformacja '{_algorithm(node)}'.")
    prefixes: tuple[str, ...] = ()
    for child in node:
        if child.tag != f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces" or not method.exclusive:
            raise Refused("Niedozwolony parametr transformacji.")
        prefixes += tuple((_attribute(child, "PrefixList") or "").split())
    if len(prefixes) > _MAX_PREFIXES:
        raise Refused("Zbyt długa lista prefiksów InclusiveNamespaces.")
    return C14n(method.exclusive, method.with_comments, prefixes)


def _check_enveloped(transform: etree._Element) -> None:
    if len(transform):
        raise Refused("Niedozwolony parametr transformacji.")


def _check_xpath(transform: etree._Element) -> None:
    """Only the one expression that leaves the signature out; any other could leave out more."""
    expression = only_child(transform, "XPath")
    _expect(transform, expression, {"not(ancestor-or-self::ds:Signature)"})


def _check_filter2(transform: etree._Element) -> None:
    """Only a subtraction of the signature itself."""
    children = list(transform)
    if len(children) != 1 or children[0].tag != f"{{{FILTER2}}}XPath" or children[0].get("Filter") != "subtract":
        raise Refused("Niedozwolony filtr XPath.")
    expressions = {"/descendant::ds:Signature", "//ds:Signature", "here()/ancestor::ds:Signature[1]"}
    _expect(transform, children[0], expressions)


def _expect(transform: etree._Element, expression: etree._Element, allowed: set[str]) -> None:
    try:
        text = "".join(leaf_text(expression).split())
    except ValueError as error:
        raise Refused("Niedozwolone wyrażenie XPath.") from error
    if len(transform) != 1 or text not in allowed or expression.nsmap.get("ds") != _DSIG:
        raise Refused("Niedozwolone wyrażenie XPath.")


_REMOVERS: Final[dict[str, Callable[[etree._Element], None]]] = {
    ENVELOPED: _check_enveloped,
    XPATH: _check_xpath,
    FILTER2: _check_filter2,
}


def _algorithm(node: etree._Element) -> str:
    return _attribute(node, "Algorithm") or ""


def _attribute(node: etree._Element, name: str) -> str | None:
    value = node.get(name)
    return None if value is None else str(value)
