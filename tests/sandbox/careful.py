"""A client that survives a hostile KSeF: it retries what is safe, looks before it sends again, and trusts nothing.
Small on purpose, and of its own: the sandbox's promise about its profiles must not lean on klucznik.
"""

import base64
import json
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sandbox.driver import XML, csr_of
from tests.sandbox.signing import auth_token_request, make_seal, sign

from ksef_sandbox import Sandbox

TRIES = 3  # a profile never strikes more than twice in a row
ROUNDS = 12


class CarefulClient:
    """Issues a pair for one company, whatever is done to its calls. Asks only after the clock has moved on, so that
    nothing is in progress any more: how often it must ask would depend on the time."""

    def __init__(self, ksef: Sandbox, nip: str) -> None:
        self.ksef, self.nip = ksef, nip
        self.http = httpx.Client(base_url=ksef.base_url, trust_env=False)
        self.credential = make_seal(nip=nip)
        self.bearer: dict[str, str] = {}

    def pair(self) -> list[x509.Certificate]:
        with self.http:
            self.sign_in()
            data = {k: v for k, v in self.safely("GET", "/certificates/enrollments/data").items() if k in _CSR_FIELDS}
            keys = {kind: ec.generate_private_key(ec.SECP256R1()) for kind in ("Authentication", "Offline")}
            serials = {kind: self.issue(kind, csr_of(_given(data), key)) for kind, key in keys.items()}
            return self.retrieve(serials, keys)

    def remaining_requests(self) -> int:
        with self.http:
            self.sign_in()
            return int(self.safely("GET", "/certificates/limits")["enrollment"]["remaining"])

    def once(self, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        """One try; None when there is no sound answer."""
        try:
            response = self.http.request(method, path, **options)
            body = response.json() if response.is_success else None
        except (httpx.TransportError, json.JSONDecodeError):
            return None
        return body if isinstance(body, dict) else None

    def safely(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        options.setdefault("headers", self.bearer)
        for _ in range(TRIES):
            body = self.once(method, path, **options)
            if body is not None:
                return body
        raise AssertionError(f"{method} {path} failed {TRIES} times")

    def sign_in(self) -> None:
        for _ in range(ROUNDS):
            challenge = self.safely("POST", "/auth/challenge")["challenge"]
            document = sign(auth_token_request(challenge, nip=self.nip), self.credential)
            begun = self.once("POST", "/auth/xades-signature", content=document, headers=XML)
            if begun is None:
                continue
            self.ksef.advance(minutes=1)
            bearer = {"Authorization": f"Bearer {begun['authenticationToken']['token']}"}
            if self.safely("GET", f"/auth/{begun['referenceNumber']}", headers=bearer)["status"]["code"] != 200:
                continue
            tokens = self.once("POST", "/auth/token/redeem", headers=bearer)
            if tokens is not None:
                self.bearer = {"Authorization": f"Bearer {tokens['accessToken']['token']}"}
                return
        raise AssertionError("no sign-in")

    def issue(self, kind: str, csr: str) -> str:
        """File requests until one is granted; after a lost answer look first."""
        for number in range(ROUNDS):
            name = f"{self.nip} {kind} {number}"
            while True:
                assert self.safely("GET", "/certificates/limits")["canRequest"]
                sent = {"certificateName": name, "certificateType": kind, "csr": csr}
                filed = self.once("POST", "/certificates/enrollments", json=sent, headers=self.bearer)
                self.ksef.advance(minutes=1)
                if filed is not None:
                    status = self.safely("GET", f"/certificates/enrollments/{filed['referenceNumber']}")
                    if status["status"]["code"] == 200:
                        return str(status["certificateSerialNumber"])
                    break  # KSeF's own refusal: that request is spent
                found = self.find(name)
                if found is not None:
                    return found
        raise AssertionError("no certificate")

    def find(self, name: str) -> str | None:
        for page in range(100):
            query = f"/certificates/query?pageOffset={page}"
            body = self.safely("POST", query, json={"name": name})
            for item in body["certificates"]:
                return str(item["certificateSerialNumber"])
            if not body["hasMore"]:
                return None
        raise AssertionError("pages without end")

    def retrieve(self, serials: dict[str, str], keys: dict[str, ec.EllipticCurvePrivateKey]) -> list[x509.Certificate]:
        for _ in range(ROUNDS):
            asked = {"certificateSerialNumbers": list(serials.values())}
            items = self.safely("POST", "/certificates/retrieve", json=asked)["certificates"]
            found = {
                i["certificateSerialNumber"]: x509.load_der_x509_certificate(base64.b64decode(i["certificate"]))
                for i in items
            }
            if all(self.is_right(kind, found[serial], keys[kind]) for kind, serial in serials.items()):
                return list(found.values())
        raise AssertionError("no right certificates")

    def is_right(self, kind: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        of_type = usage.digital_signature if kind == "Authentication" else usage.content_commitment
        of_company = self.nip in certificate.subject.rfc4514_string()
        return certificate.public_key() == key.public_key() and of_type and of_company


_CSR_FIELDS = ("commonName", "countryName", "organizationName", "organizationIdentifier")


def _given(data: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in data.items() if value is not None}
