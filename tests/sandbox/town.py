"""A town in which every operation can succeed: companies, people, tokens, certificates, and one good request for each.
Shared by the conformance table (`conformance.py`) and the fuzzing (`fuzz.py`); what is expected is said there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Self

import httpx
from tests.sandbox import granting
from tests.sandbox.driver import Begun, Driver, Session
from tests.sandbox.granting import identifier
from tests.sandbox.ksef_token import encrypt
from tests.sandbox.signing import auth_token_request, make_anonymous, make_peppol, make_person, make_seal, sign

from ksef_sandbox import Sandbox

COMPANY, OFFICE, PARTNER, GROUP = "5265877635", "7762811692", "1111111111", "8111111111"
OWNER_PESEL, CLERK_PESEL, READER_PESEL = "80010112345", "90010112345", "70010112345"
UNIT, EU_CONTEXT, PEPPOL = f"{COMPANY}-12346", f"{COMPANY}-DE123456789", "PPL123456"
UNKNOWN = "20260101-EH-0000000000-0000000000-00"
UNKNOWN_SERIAL = "01FFFFFFFFFFFFFF"
# Nothing under test may depend on waiting; long tokens, so that a long run does not end in 401.
SWITCHES: Final[dict[str, str | int | bool]] = {
    "auth_delay_ms": 0,
    "enroll_delay_ms": 0,
    "revoke_delay_ms": 0,
    "perm_delay_ms": 0,
    "token_ttl_auth_s": 86_400,
    "token_ttl_access_s": 86_400,
    "rate_profile": "off",
}
_FENCE: Final = "<AuthorizationPolicy><AllowedIps><Ip4Address>10.9.8.7</Ip4Address></AllowedIps></AuthorizationPolicy>"


@dataclass(frozen=True)
class Request:
    """One request; `path` is the specification's, `by` a role of the town, None without a token.

    `bearer` is the header of a token made for this request alone.
    """

    method: str
    path: str
    by: str | None = "owner"
    parameters: dict[str, str] = field(default_factory=dict)
    query: str = ""
    body: object = None
    xml: bytes | None = None
    bearer: dict[str, str] | None = None

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        return self.path.format(**self.parameters) + self.query


class Town:
    """Everybody who can call, signed in; their Authorization headers by role. Close it, or use `with`."""

    def __init__(self, ksef: Sandbox) -> None:
        self.ksef = ksef
        self.driver = Driver(ksef.base_url)
        self.http = self.driver.http
        self.company = make_seal(nip=COMPANY)
        self.stranger = make_anonymous()
        self.numbers = count(1)  # for identifiers that nobody has had before
        self.sign_everybody_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_everybody_in(self) -> None:
        """Make (again, after a move of the clock) a session for each role, with the rights that it needs."""
        driver = self.driver
        self.owner = driver.sign_in(self.company, nip=COMPANY)
        office_seal = make_seal(nip=OFFICE)
        office = driver.sign_in(office_seal, nip=OFFICE)
        clerk, reader, person = (make_person(pesel=pesel) for pesel in (CLERK_PESEL, READER_PESEL, OWNER_PESEL))
        self.ensure(self.http.post("/testdata/person", json=person_body(PARTNER, OWNER_PESEL)), 30001)
        unit = identifier("InternalId", UNIT)
        for code in (
            granting.grant_person(self.owner, identifier("Pesel", CLERK_PESEL), "CredentialsManage", "SubunitManage"),
            granting.grant_person(self.owner, identifier("Pesel", READER_PESEL), "InvoiceRead"),
            granting.grant_entity(self.owner, OFFICE, "InvoiceRead", "InvoiceWrite", delegate=True),
            granting.appoint_subunit_administrator(self.owner, identifier("Pesel", CLERK_PESEL), unit),
            granting.appoint_eu_administrator(self.owner, self.stranger.fingerprint, EU_CONTEXT),
        ):
            assert code == 200, code
        sessions = {
            "owner": self.owner,
            "person": driver.sign_in(person, nip=PARTNER),
            "clerk": driver.sign_in(clerk, nip=COMPANY),
            "reader": driver.sign_in(reader, nip=COMPANY),
            "office": office,
            "grantee": driver.sign_in(office_seal, nip=COMPANY),
            "unit": driver.sign_in(clerk, context=("InternalId", UNIT)),
            "eu": driver.sign_in(self.stranger, context=("NipVatUe", EU_CONTEXT), subject="certificateFingerprint"),
            "peppol": driver.sign_in(make_peppol(PEPPOL), context=("PeppolId", PEPPOL)),
            "fenced": driver.sign_in(self.company, nip=COMPANY, version="2.1", policy=_FENCE),
            "token": self.token_session(),
        }
        self.sessions = sessions
        self.headers = {role: session.bearer for role, session in sessions.items()}
        self.headers["refresh"] = {"Authorization": f"Bearer {sessions['person'].refresh}"}
        self.headers["authentication"] = self.begun().bearer
        self.headers["garbage"] = {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA"}

    @staticmethod
    def ensure(response: httpx.Response, *tolerated: int) -> None:
        """A preparation succeeded, or was refused because it had been made before."""
        assert response.status_code == 200 or any(str(code) in response.text for code in tolerated), response.text

    def begun(self) -> Begun:
        """A sign-in of the owner that nobody has redeemed."""
        return self.driver.begin(self.company, nip=COMPANY)

    def redeemed(self) -> dict[str, str]:
        """The header of a sign-in whose tokens have been taken."""
        begun = self.begun()
        self.http.post("/auth/token/redeem", headers=begun.bearer)
        return begun.bearer

    def refreshing(self) -> dict[str, str]:
        """The header of a refresh token."""
        return {"Authorization": f"Bearer {self.another_session().refresh}"}

    def ended(self) -> dict[str, str]:
        """The header of a refresh token whose session is over."""
        session = self.another_session()
        session.delete("/auth/sessions/current")
        return {"Authorization": f"Bearer {session.refresh}"}

    def another_session(self) -> Session:
        return self.driver.sign_in(self.company, nip=COMPANY)

    def ksef_token(self) -> tuple[str, str]:
        """A fresh KSeF token of the company: its reference and its text."""
        body = {"permissions": ["InvoiceRead", "CredentialsManage"], "description": "Token testowy"}
        answer = self.owner.post("/tokens", body).json()
        return answer["referenceNumber"], answer["token"]

    def token_sign_in(self) -> dict[str, Any]:
        """The body of a sound POST /auth/ksef-token."""
        _, token = self.ksef_token()
        challenge = self.http.post("/auth/challenge").json()
        return {
            "challenge": challenge["challenge"],
            "contextIdentifier": identifier("Nip", COMPANY),
            "encryptedToken": encrypt(self.http, f"{token}|{challenge['timestampMs']}".encode()),
        }

    def token_session(self) -> Session:
        answer = self.http.post("/auth/ksef-token", json=self.token_sign_in()).json()
        begun = Begun(answer["referenceNumber"], answer["authenticationToken"]["token"])
        pair = self.http.post("/auth/token/redeem", headers=begun.bearer).json()
        return Session(self.http, pair["accessToken"]["token"], pair["refreshToken"]["token"], begun.reference)

    def signed_request(self) -> bytes:
        return sign(auth_token_request(self.driver.challenge(), nip=COMPANY), self.company)

    def grant_id(self) -> str:
        """A fresh permission in the company's context."""
        person = identifier("Pesel", f"8801011{next(self.numbers):04}")
        assert granting.grant_person(self.owner, person, "Introspection") == 200
        return str(granting.persons(self.owner, authorizedIdentifier=person)[0]["id"])

    def new_nip(self) -> str:
        return f"611{next(self.numbers):07}"

    def authorization_id(self) -> str:
        """A fresh authorization given by the company."""
        partner = identifier("Nip", self.new_nip())
        assert granting.authorize(self.owner, partner, "SelfInvoicing") == 200
        given = granting.listed(self.owner, "authorizations/grants", queryType="Granted", authorizedIdentifier=partner)
        return str(given[0]["id"])

    def send(self, request: Request, *, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send it as its role; `headers` come on top."""
        own = request.bearer or (self.headers[request.by] if request.by else {})
        options: dict[str, Any] = {"headers": own | (headers or {})}
        if request.xml is not None:
            options["content"] = request.xml
            options["headers"] = {"Content-Type": "application/xml"} | options["headers"]
        elif request.body is not None:
            options["json"] = request.body
        return self.http.request(request.method, request.url, **options)


def person_body(nip: str, pesel: str) -> dict[str, Any]:
    return {"nip": nip, "pesel": pesel, "isBailiff": False, "description": "Jednoosobowa firma"}


def _session_limits(invoices: int) -> dict[str, int]:
    return {"maxInvoiceSizeInMB": 1, "maxInvoiceWithAttachmentSizeInMB": 3, "maxInvoices": invoices}


_EU_DETAILS: Final = {"subjectDetails": granting.BY_FINGERPRINT}
_PERSON: Final = identifier("Pesel", READER_PESEL)
_NAMED: Final = {"description": "Uprawnienie testowe"}
_IN_CONTEXT: Final = {"contextIdentifier": identifier("Nip", PARTNER)}
_AUTHORIZED: Final = {**_IN_CONTEXT, "authorizedIdentifier": identifier("Pesel", CLERK_PESEL)}


def _enrollment(town: Town) -> Request:
    body = {"certificateName": "Testowy", "certificateType": "Authentication", "csr": town.owner.csr()}
    return Request("POST", "/certificates/enrollments", body=body)


def _rates(town: Town) -> Request:
    return Request("POST", "/testdata/rate-limits", body={"rateLimits": town.owner.get("/rate-limits").json()})


def _by_reference(
    method: str, path: str, reference: Callable[[Town], str], by: str = "owner"
) -> Callable[[Town], Request]:
    name = path[path.index("{") + 1 : path.index("}")]
    return lambda town: Request(method, path, parameters={name: reference(town)})


def _operation(town: Town) -> str:
    body = granting.person_grant(_PERSON, "InvoiceRead")
    return str(town.owner.post("/permissions/persons/grants", body).json()["referenceNumber"])


def _sign_in_status(town: Town) -> Request:
    begun = town.begun()
    reference = {"referenceNumber": begun.reference}
    return Request("GET", "/auth/{referenceNumber}", parameters=reference, bearer=begun.bearer)


def _redemption(town: Town) -> Request:
    return Request("POST", "/auth/token/redeem", bearer=town.begun().bearer)


def _fixed(method: str, path: str, by: str | None = "owner", body: object = None) -> Callable[[Town], Request]:
    return lambda town: Request(method, path, by, body=body)


def _revocation(town: Town) -> Request:
    serial = {"certificateSerialNumber": town.owner.issue("Offline")}
    return Request("POST", "/certificates/{certificateSerialNumber}/revoke", parameters=serial, body={})


def _shortening(town: Town) -> Request:
    serial = {"serialNumber": town.owner.issue()}
    body = {"validTo": "2026-01-01T00:00:00+00:00"}
    return Request("PUT", "/testdata/certificates/{serialNumber}", parameters=serial, body=body)


_GRANTS: Final = "/permissions/{}/grants"
_PERSON_GRANT: Final = granting.person_grant(_PERSON, "InvoiceRead")
_UNIT_GRANT: Final = {
    "subjectIdentifier": _PERSON,
    "contextIdentifier": identifier("InternalId", UNIT),
    "subunitName": "Oddział Testowy",
    "subjectDetails": granting.PERSON,
    **_NAMED,
}
_AUTHORIZATION: Final = {
    "subjectIdentifier": identifier("Nip", PARTNER),
    "permission": "SelfInvoicing",
    "subjectDetails": granting.ENTITY,
    **_NAMED,
}


def _eu_administration(town: Town) -> Request:
    body = {
        "subjectIdentifier": identifier("Fingerprint", town.stranger.fingerprint),
        "contextIdentifier": identifier("NipVatUe", EU_CONTEXT),
        "euEntityName": "Muster GmbH",
        "euEntityDetails": granting.EU_ENTITY,
        **_EU_DETAILS,
        **_NAMED,
    }
    return Request("POST", "/permissions/eu-entities/administration/grants", body=body)


def _eu_representation(town: Town) -> Request:
    subject = identifier("Fingerprint", make_anonymous().fingerprint)
    return Request("POST", "/permissions/eu-entities/grants", "eu", body=granting.person_grant(subject, "InvoiceRead"))


def _a_subject(town: Town) -> Request:
    nip = town.new_nip()
    return Request("POST", "/testdata/subject", None, body={"subjectNip": nip, "subjectType": "JST", **_NAMED})


def _a_person(town: Town) -> Request:
    nip = town.new_nip()
    return Request("POST", "/testdata/person", None, body=person_body(nip, OWNER_PESEL))


_PUBLIC_TESTDATA: Final[dict[str, dict[str, Any]]] = {
    "/testdata/subject/remove": {"subjectNip": GROUP},
    "/testdata/person/remove": {"nip": GROUP},
    "/testdata/permissions": _AUTHORIZED | {"permissions": [{"permissionType": "InvoiceRead", **_NAMED}]},
    "/testdata/permissions/revoke": _AUTHORIZED,
    "/testdata/attachment": {"nip": COMPANY},
    "/testdata/attachment/revoke": {"nip": PARTNER, "expectedEndDate": "2030-01-01"},
    "/testdata/context/block": {"contextIdentifier": identifier("Nip", GROUP)},
    "/testdata/context/unblock": {"contextIdentifier": identifier("Nip", GROUP)},
}
_QUERIES: Final[dict[str, dict[str, Any]]] = {
    "personal/grants": {},
    "persons/grants": {"queryType": "PermissionsInCurrentContext"},
    "subunits/grants": {},
    "entities/grants": {},
    "subordinate-entities/roles": {},
    "authorizations/grants": {"queryType": "Granted"},
    "eu-entities/grants": {},
}

# For each operation in scope a request that KSeF answers with success, whenever it is made.
GOOD: Final[tuple[Callable[[Town], Request], ...]] = (
    _fixed("POST", "/auth/challenge", None),
    lambda town: Request("POST", "/auth/xades-signature", None, xml=town.signed_request()),
    lambda town: Request("POST", "/auth/ksef-token", None, body=town.token_sign_in()),
    _sign_in_status,
    _redemption,
    lambda town: Request("POST", "/auth/token/refresh", bearer=town.refreshing()),
    _fixed("GET", "/auth/sessions"),
    _fixed("DELETE", "/auth/sessions/current", "clerk"),
    _by_reference("DELETE", "/auth/sessions/{referenceNumber}", lambda town: town.another_session().reference),
    _fixed("GET", "/certificates/limits"),
    _fixed("GET", "/certificates/enrollments/data"),
    _enrollment,
    _by_reference(
        "GET",
        "/certificates/enrollments/{referenceNumber}",
        lambda town: str(town.owner.enroll().json()["referenceNumber"]),
    ),
    lambda town: Request("POST", "/certificates/retrieve", body={"certificateSerialNumbers": [town.owner.issue()]}),
    _fixed("POST", "/certificates/query", body={"type": "Authentication"}),
    _revocation,
    _fixed("GET", "/security/public-key-certificates", None),
    _fixed("GET", "/limits/context"),
    _fixed("GET", "/limits/subject"),
    _fixed("GET", "/rate-limits"),
    _fixed("POST", _GRANTS.format("persons"), body=_PERSON_GRANT),
    _fixed("POST", _GRANTS.format("entities"), body=granting.entity_grant(PARTNER, "InvoiceRead")),
    _fixed("POST", _GRANTS.format("authorizations"), body=_AUTHORIZATION),
    _fixed(
        "POST",
        _GRANTS.format("indirect"),
        "office",
        _PERSON_GRANT | {"targetIdentifier": identifier("Nip", COMPANY)},
    ),
    _fixed("POST", _GRANTS.format("subunits"), body=_UNIT_GRANT),
    _eu_administration,
    _eu_representation,
    _by_reference("DELETE", "/permissions/common/grants/{permissionId}", Town.grant_id),
    _by_reference("DELETE", "/permissions/authorizations/grants/{permissionId}", Town.authorization_id),
    _by_reference("GET", "/permissions/operations/{referenceNumber}", _operation),
    _fixed("GET", "/permissions/attachments/status"),
    *(_fixed("POST", f"/permissions/query/{path}", body=body) for path, body in _QUERIES.items()),
    _fixed("GET", "/permissions/query/entities/roles"),
    _fixed("POST", "/tokens", body={"permissions": ["InvoiceRead"], "description": "Token testowy"}),
    _fixed("GET", "/tokens"),
    _by_reference("GET", "/tokens/{referenceNumber}", lambda town: town.ksef_token()[0]),
    _by_reference("DELETE", "/tokens/{referenceNumber}", lambda town: town.ksef_token()[0]),
    _a_subject,
    _a_person,
    *(_fixed("POST", path, None, body) for path, body in _PUBLIC_TESTDATA.items()),
    _fixed("POST", "/testdata/limits/subject/certificate", body={"enrollment": {"maxEnrollments": 250}}),
    _fixed("DELETE", "/testdata/limits/subject/certificate"),
    _fixed(
        "POST",
        "/testdata/limits/context/session",
        body={"onlineSession": _session_limits(100), "batchSession": _session_limits(200)},
    ),
    _fixed("DELETE", "/testdata/limits/context/session"),
    _rates,
    _fixed("DELETE", "/testdata/rate-limits"),
    _fixed("POST", "/testdata/rate-limits/production"),
    _shortening,
)
