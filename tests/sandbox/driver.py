"""Drives a sandbox over HTTP as a client would; every answer passes through the check of `spec.py`.
Builders of a world in a few readable calls; what is wrong on purpose is in the tests themselves.
"""

import base64
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.sandbox import spec
from tests.sandbox.signing import PrivateKey, TestCredential, auth_token_request, sign

XML = {"Content-Type": "application/xml"}
DATA_OIDS = {
    "commonName": NameOID.COMMON_NAME,
    "countryName": NameOID.COUNTRY_NAME,
    "givenName": NameOID.GIVEN_NAME,
    "surname": NameOID.SURNAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "organizationName": NameOID.ORGANIZATION_NAME,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
}


class CheckedClient(httpx.Client):
    """An HTTP client from which no answer escapes unchecked."""

    def __init__(self, base_url: str) -> None:
        spec.specification()  # skips the test at once where the specification is absent
        super().__init__(base_url=base_url, trust_env=False, timeout=60)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        response = super().send(request, **options)
        spec.check(response)
        return response


def code_of(response: httpx.Response) -> int:
    """KSeF's code of a 400, in either format."""
    body = response.json()
    if "exception" in body:
        return int(body["exception"]["exceptionDetailList"][0]["exceptionCode"])
    return int(body["errors"][0]["code"])


def details_of(response: httpx.Response) -> list[str]:
    """The sentences of a 400 in the legacy format."""
    details: list[str] = response.json()["exception"]["exceptionDetailList"][0].get("details", [])
    return details


@dataclass(frozen=True)
class Begun:
    """A sign-in that was answered 202."""

    reference: str
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Session:
    """A signed-in client."""

    def __init__(self, http: CheckedClient, access: str, refresh: str, reference: str) -> None:
        self.http, self.access, self.refresh, self.reference = http, access, refresh, reference
        self.bearer = {"Authorization": f"Bearer {access}"}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._request("GET", path, **options)

    def post(self, path: str, json: object = None, **options: Any) -> httpx.Response:
        if json is not None:
            options["json"] = json
        return self._request("POST", path, **options)

    def put(self, path: str, json: object, **options: Any) -> httpx.Response:
        return self._request("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self._request("DELETE", path, **options)

    def _request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        return self.http.request(method, path, headers=self.bearer | (headers or {}), **options)

    def limits(self) -> tuple[int, int]:
        """Remaining requests and remaining certificates."""
        body = self.get("/certificates/limits").json()
        return body["enrollment"]["remaining"], body["certificate"]["remaining"]

    def csr(self, key: PrivateKey | None = None) -> str:
        """A sound CSR from the enrollment data."""
        data = self.get("/certificates/enrollments/data").json()
        return csr_of({name: value for name, value in data.items() if value is not None}, key)

    def enroll(self, kind: str = "Authentication", *, key: PrivateKey | None = None, **body: Any) -> httpx.Response:
        sent = {"certificateName": f"Test {kind}", "certificateType": kind, **body}
        sent.setdefault("csr", self.csr(key) if "csr" not in sent else None)
        return self.post("/certificates/enrollments", sent)

    def status(self, enrolled: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = self.get(f"/certificates/enrollments/{enrolled.json()['referenceNumber']}").json()
        return body

    def issue(self, kind: str = "Authentication", *, key: PrivateKey | None = None, **body: Any) -> str:
        """File a request and return the serial of the certificate; needs `enroll_delay_ms=0`."""
        status = self.status(self.enroll(kind, key=key, **body))
        assert status["status"]["code"] == 200, status
        return str(status["certificateSerialNumber"])

    def retrieve(self, serial: str) -> x509.Certificate:
        body = self.post("/certificates/retrieve", {"certificateSerialNumbers": [serial]}).json()
        return x509.load_der_x509_certificate(base64.b64decode(body["certificates"][0]["certificate"]))

    def listed(self, **filters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("/certificates/query", filters).json()["certificates"]
        return found


class Driver:
    """One client of one sandbox."""

    def __init__(self, base_url: str) -> None:
        self.http = CheckedClient(base_url)

    def challenge(self) -> str:
        return str(self.http.post("/auth/challenge").json()["challenge"])

    def submit(self, credential: TestCredential, *, query: str = "", **request: Any) -> httpx.Response:
        """Post a signed AuthTokenRequest; `request` goes to `auth_token_request`."""
        challenge = request.pop("challenge", None) or self.challenge()
        body = sign(auth_token_request(challenge, **request), credential)
        return self.http.post(f"/auth/xades-signature{query}", content=body, headers=XML)

    def begin(self, credential: TestCredential, **request: Any) -> Begun:
        response = self.submit(credential, **request)
        assert response.status_code == 202, response.text
        body = response.json()
        return Begun(body["referenceNumber"], body["authenticationToken"]["token"])

    def outcome(self, begun: Begun) -> dict[str, Any]:
        status: dict[str, Any] = self.http.get(f"/auth/{begun.reference}", headers=begun.bearer).json()["status"]
        return status

    def status_code(self, credential: TestCredential, **request: Any) -> int:
        """Sign in and return the code with which it ends."""
        return int(self.outcome(self.begin(credential, **request))["code"])

    def sign_in(self, credential: TestCredential, **request: Any) -> Session:
        begun = self.begin(credential, **request)
        assert self.outcome(begun)["code"] == 200, self.outcome(begun)
        body = self.http.post("/auth/token/redeem", headers=begun.bearer).json()
        return Session(self.http, body["accessToken"]["token"], body["refreshToken"]["token"], begun.reference)


def csr_of(data: dict[str, str], key: PrivateKey | None = None) -> str:
    """A CSR in Base64 with these enrollment data, EC P-256 unless a key is given."""
    name = x509.Name([x509.NameAttribute(DATA_OIDS[field], value) for field, value in data.items()])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    csr = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(csr.public_bytes(serialization.Encoding.DER)).decode()
