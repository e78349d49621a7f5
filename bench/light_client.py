"""A client that costs almost nothing, so that the sandbox is what is measured: raw HTTP, EC keys, canonical XML.

It trusts the sandbox to answer well and stops at the first answer that it does not expect.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PAIR = ("Authentication", "Offline")

_NIP_WEIGHTS = (6, 5, 7, 2, 3, 4, 5, 6, 7)
_DATA_OIDS = {
    "commonName": NameOID.COMMON_NAME,
    "countryName": NameOID.COUNTRY_NAME,
    "organizationName": NameOID.ORGANIZATION_NAME,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
}
_DS = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
# Every part is written as exclusive canonicalisation leaves it: what is hashed is what is sent.
_REQUEST = (
    '<AuthTokenRequest xmlns="http://ksef.mf.gov.pl/auth/token/2.0"><Challenge>{challenge}</Challenge>'
    "<ContextIdentifier><Nip>{nip}</Nip></ContextIdentifier>"
    "<SubjectIdentifierType>certificateSubject</SubjectIdentifierType>{signature}</AuthTokenRequest>"
)
_PROPERTIES = (
    '<xades:SignedProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Id="properties">'
    "<xades:SignedSignatureProperties><xades:SigningTime>{now}</xades:SigningTime><xades:SigningCertificateV2>"
    f'<xades:Cert><xades:CertDigest><ds:DigestMethod xmlns:ds="{_DS}" Algorithm="{_SHA256}"></ds:DigestMethod>'
    f'<ds:DigestValue xmlns:ds="{_DS}">{{digest}}</ds:DigestValue></xades:CertDigest></xades:Cert>'
    "</xades:SigningCertificateV2></xades:SignedSignatureProperties></xades:SignedProperties>"
)
_DIGEST = f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod><ds:DigestValue>{{}}</ds:DigestValue>'
_SIGNED_INFO = (
    f'<ds:SignedInfo xmlns:ds="{_DS}">'
    f'<ds:CanonicalizationMethod Algorithm="{_EXCLUSIVE}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></ds:SignatureMethod>'
    f'<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="{_DS}enveloped-signature"></ds:Transform>'
    f'<ds:Transform Algorithm="{_EXCLUSIVE}"></ds:Transform></ds:Transforms>'
    f"{_DIGEST.format('{document}')}</ds:Reference>"
    '<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#properties">'
    f'<ds:Transforms><ds:Transform Algorithm="{_EXCLUSIVE}"></ds:Transform></ds:Transforms>'
    f"{_DIGEST.format('{properties}')}</ds:Reference></ds:SignedInfo>"
)
_SIGNATURE = (
    f'<ds:Signature xmlns:ds="{_DS}" Id="signature">{{info}}<ds:SignatureValue>{{value}}</ds:SignatureValue>'
    "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    '<ds:Object><xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Target="#signature">'
    "{properties}</xades:QualifyingProperties></ds:Object></ds:Signature>"
)


@dataclass(frozen=True)
class Company:
    """A NIP with a self-signed seal (DER) and a key, with which it also asks for certificates."""

    nip: str
    key: ec.EllipticCurvePrivateKey
    certificate: bytes

    def signed_request(self, challenge: str) -> bytes:
        """An AuthTokenRequest for its own context, signed as XAdES demands."""
        document = _REQUEST.format(challenge=challenge, nip=self.nip, signature="")
        digest = base64.b64encode(hashlib.sha256(self.certificate).digest()).decode()
        properties = _PROPERTIES.format(now=datetime.now(UTC).isoformat(), digest=digest)
        info = _SIGNED_INFO.format(document=_sha256(document), properties=_sha256(properties))
        r, s = decode_dss_signature(self.key.sign(info.encode(), ec.ECDSA(hashes.SHA256())))
        signature = _SIGNATURE.format(
            info=info,
            value=base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode(),
            certificate=base64.b64encode(self.certificate).decode(),
            properties=properties,
        )
        return _REQUEST.format(challenge=challenge, nip=self.nip, signature=signature).encode()

    def csr(self, data: Mapping[str, str | None]) -> str:
        """A certificate request in Base64 for these enrollment data."""
        values = [(_DATA_OIDS[name], value) for name, value in data.items() if value is not None]
        name = x509.Name([x509.NameAttribute(oid, value) for oid, value in values])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self.key, hashes.SHA256())
        return base64.b64encode(request.public_bytes(Encoding.DER)).decode()


def companies(first: int) -> Iterator[Company]:
    """As many as are asked for, with valid NIPs from the nine digits `first` on."""
    for number in range(first, 1_000_000_000):
        check = sum(weight * int(digit) for weight, digit in zip(_NIP_WEIGHTS, str(number), strict=True)) % 11
        if check < 10 and str(number)[1:3] != "00":
            yield _company(f"{number}{check}")


def some_companies(first: int, count: int) -> list[Company]:
    """The first so many of them."""
    return list(islice(companies(first), count))


def _company(nip: str) -> Company:
    key = ec.generate_private_key(ec.SECP256R1())
    values = [
        (NameOID.COUNTRY_NAME, "PL"),
        (NameOID.ORGANIZATION_NAME, "Spółka Testowa"),
        (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{nip}"),
        (NameOID.COMMON_NAME, "Spółka Testowa"),
    ]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in values])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=730))
    return Company(nip, key, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class UnexpectedAnswer(RuntimeError):
    """The sandbox did not answer as it should: what was measured then would be something else."""


class Connection:
    """One kept-alive connection. Sends a request in one piece, reads an answer that tells its length."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"{host}:{port}"
        self.client_ip = "127.0.0.1"  # from which the sandbox takes the requests to come

    def close(self) -> None:
        self._socket.close()

    def get(self, path: str, token: str) -> dict[str, object]:
        return self._call("GET", path, token, "", b"")

    def post(self, path: str, token: str = "", body: Mapping[str, object] | None = None) -> dict[str, object]:
        content = b"" if body is None else json.dumps(body).encode()
        return self._call("POST", path, token, "application/json", content)

    def post_xml(self, path: str, body: bytes) -> dict[str, object]:
        return self._call("POST", path, "", "application/xml", body)

    def _call(self, method: str, path: str, token: str, media_type: str, body: bytes) -> dict[str, object]:
        lines = [f"{method} /v2{path} HTTP/1.1", f"Host: {self._host}", f"X-Forwarded-For: {self.client_ip}"]
        lines += [f"Content-Length: {len(body)}"] if body or method == "POST" else []
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Content-Type: {media_type}"] if media_type else []
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        status, content = self._answer()
        if status not in (200, 202):
            raise UnexpectedAnswer(f"{method} {path}: {status} {content.decode()}")
        answer: dict[str, object] = json.loads(content)
        return answer

    def _answer(self) -> tuple[int, bytes]:
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, content = received.partition(b"\r\n\r\n")
        _, _, after = head.lower().partition(b"content-length:")
        length = int(after.partition(b"\r\n")[0])
        while len(content) < length:
            content += self._more()
        return int(head.split(b" ", 2)[1]), content

    def _more(self) -> bytes:
        piece = self._socket.recv(65536)
        if not piece:
            raise UnexpectedAnswer("the sandbox has closed the connection")
        return piece


def sign_in(ksef: Connection, company: Company) -> str:
    """The four requests of a sign-in, from an address of the company's own; returns the access token."""
    ksef.client_ip = str(IPv4Address(int(company.nip[:9])))
    challenge = str(ksef.post("/auth/challenge")["challenge"])
    begun = ksef.post_xml("/auth/xades-signature", company.signed_request(challenge))
    token = _text(begun["authenticationToken"], "token")
    _expect_200(ksef.get(f"/auth/{begun['referenceNumber']}", token))
    return _text(ksef.post("/auth/token/redeem", token)["accessToken"], "token")


def pair(ksef: Connection, company: Company) -> None:
    """The eleven requests from nothing to both certificates."""
    token = sign_in(ksef, company)
    ksef.get("/certificates/limits", token)
    data = {name: value for name, value in ksef.get("/certificates/enrollments/data", token).items() if value}
    csr = company.csr({name: str(value) for name, value in data.items()})
    filed = [
        ksef.post(
            "/certificates/enrollments",
            token,
            {"certificateName": f"Bench {kind}", "certificateType": kind, "csr": csr},
        )
        for kind in PAIR
    ]
    statuses = [ksef.get(f"/certificates/enrollments/{one['referenceNumber']}", token) for one in filed]
    for status in statuses:
        _expect_200(status)
    serials = [status["certificateSerialNumber"] for status in statuses]
    ksef.post("/certificates/retrieve", token, {"certificateSerialNumbers": serials})


def _expect_200(answer: Mapping[str, object]) -> None:
    status = answer["status"]
    if not isinstance(status, dict) or status["code"] != 200:
        raise UnexpectedAnswer(f"status {status}")


def _text(value: object, name: str) -> str:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"no {name}")
    return str(value[name])
