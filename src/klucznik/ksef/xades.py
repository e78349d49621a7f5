"""Signing the sign-in document with a key at hand: XAdES, enveloped, shaped like the official signer's (facts.md §2.4).

signxml signs; here is only what XAdES adds, in the form that KSeF takes. Documents signed elsewhere never come here.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml import methods
from signxml.signer import XMLSigner

from klucznik.errors import CredentialError
from klucznik.ksef.xml_names import C14N_EXCLUSIVE, SHA256, SIGNED_PROPERTIES, XADES_NS, ds, xades

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_ECDSA = {
    "secp256r1": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "secp384r1": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "secp521r1": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
}
# The official signer does the same: with clocks a little apart, a signature must not come from KSeF's future.
_BACKDATED = timedelta(minutes=1)


def sign_document(xml: bytes, certificate: x509.Certificate, private_key: SigningKey, *, now: datetime) -> bytes:
    """``xml`` with an enveloped XAdES signature: RSA PKCS#1 v1.5 with SHA-256, or ECDSA as R||S with the curve's SHA-2.

    Args:
        xml: the unsigned document of `auth_token_request`.
        certificate: the signer's; it is put into the signature.
        private_key: its key.
        now: the present moment, UTC; the signature says one minute earlier.

    Raises:
        CredentialError: the key is of a kind that KSeF does not take (``signing_key_unsupported``).
    """
    # At DEBUG signxml would log the document.
    logging.getLogger("signxml").setLevel(logging.INFO)
    signer = XMLSigner(
        method=methods.enveloped,
        signature_algorithm=_algorithm(private_key),
        digest_algorithm=SHA256,
        c14n_algorithm=C14N_EXCLUSIVE,
    )
    signer.signature_annotators.append(_Properties(certificate, now - _BACKDATED))
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    signed = signer.sign(etree.fromstring(xml, parser), key=private_key, cert=[certificate])
    return etree.tostring(signed, encoding="utf-8", xml_declaration=True)


def _algorithm(private_key: SigningKey) -> str:
    if isinstance(private_key, rsa.RSAPrivateKey) and private_key.key_size >= 2048:
        return _RSA_SHA256
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and private_key.curve.name in _ECDSA:
        return _ECDSA[private_key.curve.name]
    raise CredentialError("signing_key_unsupported")


class _Properties:
    """Adds the signed properties, which KSeF demands (§2.4): when, and with which certificate."""

    def __init__(self, certificate: x509.Certificate, signing_time: datetime) -> None:
        self._certificate = certificate
        self._signing_time = signing_time

    def __call__(self, signature: etree._Element, *, signing_settings: object) -> None:
        identifier = f"id-{uuid4()}"
        signature.set("Id", identifier)
        holder = etree.SubElement(signature, ds("Object"))
        qualifying = etree.SubElement(
            holder, xades("QualifyingProperties"), nsmap={"xades": XADES_NS}, Target=f"#{identifier}"
        )
        properties = etree.SubElement(qualifying, xades("SignedProperties"), Id=f"{identifier}-properties")
        self._describe(etree.SubElement(properties, xades("SignedSignatureProperties")))
        signed_info = signature.find(ds("SignedInfo"))
        if signed_info is None:
            raise AssertionError("signxml has built no SignedInfo")
        _refer(signed_info, properties)

    def _describe(self, properties: etree._Element) -> None:
        _text(properties, xades("SigningTime"), self._signing_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        # Version 1 of the element, as both official libraries write it; not SigningCertificateV2.
        certificate = etree.SubElement(etree.SubElement(properties, xades("SigningCertificate")), xades("Cert"))
        digest = etree.SubElement(certificate, xades("CertDigest"))
        _digest(digest, self._certificate.public_bytes(Encoding.DER))
        issuer = etree.SubElement(certificate, xades("IssuerSerial"))
        # An RFC 2253 string; the form with slashes is refused (facts.md §2.4). The serial number is decimal here.
        _text(issuer, ds("X509IssuerName"), self._certificate.issuer.rfc4514_string())
        _text(issuer, ds("X509SerialNumber"), str(self._certificate.serial_number))


def _refer(signed_info: etree._Element, properties: etree._Element) -> None:
    """A reference to ``properties`` that names its canonicalization: unsaid, it would be the inclusive one."""
    reference = etree.SubElement(signed_info, ds("Reference"), URI=f"#{properties.get('Id')}", Type=SIGNED_PROPERTIES)
    etree.SubElement(etree.SubElement(reference, ds("Transforms")), ds("Transform"), Algorithm=C14N_EXCLUSIVE)
    _digest(reference, etree.tostring(properties, method="c14n", exclusive=True))


def _digest(parent: etree._Element, data: bytes) -> None:
    etree.SubElement(parent, ds("DigestMethod"), Algorithm=SHA256)
    _text(parent, ds("DigestValue"), base64.b64encode(hashlib.sha256(data).digest()).decode("ascii"))


def _text(parent: etree._Element, tag: str, text: str) -> None:
    etree.SubElement(parent, tag).text = text
