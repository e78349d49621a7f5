"""Every fault once, over HTTP: what the client sees, and what is true in the sandbox afterwards."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sandbox.driver import Driver, Session, code_of
from tests.sandbox.granting import entity_grant, identifier, outcome, person_grant
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.faults.rules import (
    Act,
    Blocked,
    Cancelled,
    DelayAfter,
    DelayBefore,
    DropAnswer,
    EmptyForbidden,
    ErrorAfter,
    ErrorBefore,
    LimitEaten,
    MalformedJson,
    Pending,
    Refused,
    Rejected,
    ResetBefore,
    Rule,
    SlowBytes,
    SmallPages,
    TooManyCalls,
    TruncatedJson,
    Unauthorized,
    UnknownFields,
    WrongCertificate,
)
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.records import CertificateType

NIP = "5265877635"
ENROLL = "/certificates/enrollments"


@pytest.fixture
def session(driver: Driver) -> Session:
    return driver.sign_in(make_seal(nip=NIP), nip=NIP)


@pytest.fixture
def raw(ksef: Sandbox, session: Session) -> Iterator[httpx.Client]:
    """The same session without the check of answers against the specification."""
    with httpx.Client(base_url=ksef.base_url, headers=session.bearer, trust_env=False) as client:
        yield client


def request(session: Session, kind: str = "Authentication") -> dict[str, str]:
    return {"certificateName": f"Test {kind}", "certificateType": kind, "csr": session.csr()}


def struck(ksef: Sandbox) -> list[tuple[str, int | None]]:
    """Faults as the request log shows them, with the status that was answered."""
    return [(entry.fault, entry.status) for entry in ksef.requests() if entry.fault]


def enroll_rule(act: Act, **more: Any) -> Rule:
    return Rule(act, "POST", ENROLL, times=1, **more)


@pytest.mark.parametrize(("act", "spent"), [(ResetBefore(), 0), (DropAnswer(), 1)])
def test_the_connection_is_reset_before_or_after_the_request_is_applied(
    ksef: Sandbox, session: Session, raw: httpx.Client, act: Act, spent: int
) -> None:
    body = request(session)
    ksef.add_fault(enroll_rule(act))
    with pytest.raises(httpx.ReadError):
        raw.post(ENROLL, json=body)
    assert session.limits() == (300 - spent, 100 - spent)
    assert struck(ksef) == [(act.name, None)]
    assert raw.post(ENROLL, json=body).status_code == 202  # times=1: the next call is served


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize(("kind", "spent"), [(ErrorBefore, 0), (ErrorAfter, 1)])
def test_a_server_error_says_nothing_of_whether_the_request_was_applied(
    ksef: Sandbox, session: Session, raw: httpx.Client, kind: Any, spent: int, status: int
) -> None:
    body = request(session)
    ksef.add_fault(enroll_rule(kind(status)))
    response = raw.post(ENROLL, json=body)
    assert response.status_code == status
    assert session.limits() == (300 - spent, 100 - spent)
    if status == 500:
        assert code_of(response) == 500
    else:
        assert response.headers["Content-Type"].startswith("text/html")
        assert "Gateway" in response.text
    assert struck(ksef) == [(kind(status).name, status)]


@pytest.mark.parametrize(("act", "applied"), [(DelayBefore(3600), 0), (DelayAfter(3600), 1)])
def test_a_delay_comes_before_or_after_the_request_is_applied(
    ksef: Sandbox, session: Session, raw: httpx.Client, act: Act, applied: int
) -> None:
    body = request(session)
    ksef.add_fault(enroll_rule(act))
    with pytest.raises(httpx.ReadTimeout):
        raw.post(ENROLL, json=body, timeout=httpx.Timeout(60, read=2))
    assert session.limits() == (300 - applied, 100 - applied)
    assert [fault.act for fault in ksef.faults] == [act.name]


@pytest.mark.parametrize("act", [DelayBefore(0.01), DelayAfter(0.01), SlowBytes(0.01, 5)])
def test_an_answer_that_is_late_or_slow_is_whole(ksef: Sandbox, session: Session, raw: httpx.Client, act: Act) -> None:
    ksef.add_fault(enroll_rule(act))
    response = raw.post(ENROLL, json=request(session))
    assert (response.status_code, len(response.json()["referenceNumber"])) == (202, 36)
    assert struck(ksef) == [(act.name, 202)]


def test_slow_bytes_come_in_pieces(ksef: Sandbox, session: Session, raw: httpx.Client) -> None:
    ksef.add_fault(Rule(SlowBytes(0.1, 5), route="/certificates/limits"))
    with raw.stream("GET", "/certificates/limits") as response:
        pieces = list(response.iter_raw())
    assert len(pieces) > 1
    assert len(b"".join(pieces)) == int(response.headers["Content-Length"])


def test_retry_after_grows_for_each_client_alone(ksef: Sandbox, session: Session, raw: httpx.Client) -> None:
    other = Driver(ksef.base_url)
    with other.http:
        theirs = other.sign_in(make_seal(nip="1111111111"), nip="1111111111")
        ksef.add_fault(Rule(TooManyCalls(2, 3), route="/certificates/limits", times=3))
        answers = [raw.get("/certificates/limits") for _ in range(4)]
        assert [a.headers.get("Retry-After") for a in answers] == ["2", "6", "18", None]
        assert answers[0].json()["status"]["code"] == 429
        assert theirs.get("/certificates/limits").headers["Retry-After"] == "2"


def test_a_403_may_be_empty_and_a_401_may_come_from_nowhere(ksef: Sandbox, session: Session, raw: httpx.Client) -> None:
    ksef.add_fault(Rule(EmptyForbidden(), route=ENROLL, times=1))
    ksef.add_fault(Rule(Unauthorized(), route=ENROLL, skip=1, times=1))
    first, second = (raw.post(ENROLL, json=request(session)) for _ in range(2))
    assert (first.status_code, first.content) == (403, b"")
    assert (second.status_code, second.json()["detail"]) == (401, "Wymagane jest uwierzytelnienie.")
    assert session.limits() == (300, 100)


@pytest.mark.parametrize("code", [25006, 25007])
def test_half_a_pair_is_refused_at_once(ksef: Sandbox, session: Session, code: int) -> None:
    ksef.add_fault(Rule(Refused(code), "POST", ENROLL, certificate_type=CertificateType.OFFLINE))
    assert session.enroll("Authentication").status_code == 202
    refused = session.enroll("Offline")
    assert (refused.status_code, code_of(refused)) == (400, code)
    assert session.limits() == (299, 99)
    assert struck(ksef) == [("refused", 400)]


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        (Rejected("key_of_another"), "Klucz publiczny został już certyfikowany przez inny podmiot."),
        (Rejected("too_many_certificates"), "Osiągnięto dopuszczalny limit posiadanych certyfikatów."),
    ],
)
def test_half_a_pair_is_rejected_later(ksef: Sandbox, session: Session, act: Act, detail: str) -> None:
    ksef.add_fault(Rule(act, "POST", ENROLL, certificate_type=CertificateType.OFFLINE))
    session.issue("Authentication")
    status = session.status(session.enroll("Offline"))["status"]
    assert status == {"code": 400, "description": "Wniosek odrzucony", "details": [detail]}
    assert session.limits() == (298, 99)  # KSeF spent the request


def test_a_certificate_request_is_cancelled_by_the_system(ksef: Sandbox, session: Session) -> None:
    ksef.add_fault(enroll_rule(Cancelled()))
    status = session.status(session.enroll())["status"]
    assert (status["code"], status["description"]) == (550, "Operacja została anulowana przez system")
    assert session.limits() == (299, 100)
    session.issue()


def test_a_sign_in_is_cancelled_or_blocked(ksef: Sandbox, driver: Driver) -> None:
    seal = make_seal(nip=NIP)
    ksef.add_fault(Rule(Cancelled(), route="/auth/xades-signature", times=1))
    ksef.add_fault(Rule(Blocked(), route="/auth/xades-signature", skip=1, times=1))
    assert [driver.status_code(seal, nip=NIP) for _ in range(3)] == [550, 480, 200]


def test_a_permission_operation_is_cancelled_and_leaves_no_grant(ksef: Sandbox, session: Session) -> None:
    ksef.add_fault(Rule(Cancelled(), "POST", "/permissions/*", times=1))
    body = entity_grant("1111111111", "InvoiceRead")
    assert outcome(session, session.post("/permissions/entities/grants", body)) == 550
    query = {"queryType": "PermissionsGrantedInCurrentContext"}
    assert session.post("/permissions/query/persons/grants", query).json()["permissions"] == []
    assert outcome(session, session.post("/permissions/entities/grants", body)) == 200


def test_a_cancelled_revocation_leaves_the_grant(ksef: Sandbox, session: Session) -> None:
    grant = person_grant(identifier("Pesel", "80010112340"), "InvoiceRead")
    assert outcome(session, session.post("/permissions/persons/grants", grant)) == 200
    query = {"queryType": "PermissionsGrantedInCurrentContext"}
    (item,) = session.post("/permissions/query/persons/grants", query).json()["permissions"]
    ksef.add_fault(Rule(Cancelled(), "DELETE", times=1))
    assert outcome(session, session.delete(f"/permissions/common/grants/{item['id']}")) == 550
    assert len(session.post("/permissions/query/persons/grants", query).json()["permissions"]) == 1


def test_a_request_stays_pending_until_the_clock_has_moved(ksef: Sandbox, session: Session) -> None:
    ksef.add_fault(enroll_rule(Pending(600)))
    enrolled = session.enroll()
    assert session.status(enrolled)["status"]["code"] == 100
    ksef.advance(seconds=601)
    assert session.status(enrolled)["status"]["code"] == 200


def test_a_fate_that_met_a_refused_request_is_not_counted(ksef: Sandbox, session: Session) -> None:
    ksef.add_fault(enroll_rule(Cancelled()))
    assert session.enroll(csr="bm90IGEgQ1NS").status_code == 400
    assert ksef.faults == []
    assert session.status(session.enroll())["status"]["code"] == 550


def test_another_program_eats_the_limits_between_the_look_and_the_request(ksef: Sandbox, driver: Driver) -> None:
    pesel = "80010112340"
    ksef.link_person(nip=NIP, pesel=pesel)
    person = driver.sign_in(make_person(pesel=pesel), nip=NIP)
    ksef.add_fault(enroll_rule(LimitEaten(12, 3)))
    assert person.limits() == (12, 6)
    refused = person.enroll()
    assert (refused.status_code, code_of(refused)) == (400, 25006)
    assert person.limits() == (0, 3)
    assert sorted(item["status"] for item in person.listed()) == ["Active"] * 3 + ["Revoked"] * 7


def test_an_eaten_limit_never_falls_below_nothing_and_the_request_may_still_fit(
    ksef: Sandbox, session: Session
) -> None:
    ksef.set_limits("Nip", NIP, enrollment=4, certificate=1)
    ksef.add_fault(enroll_rule(LimitEaten(2, 2)))
    refused = session.enroll()
    assert code_of(refused) == 25007
    assert session.limits() == (2, 0)


@pytest.mark.parametrize("wrong", ["key", "subject", "type"])
def test_one_answer_holds_wrong_certificates_and_the_next_the_right_ones(
    ksef: Sandbox, session: Session, wrong: Any
) -> None:
    keys = {kind: ec.generate_private_key(ec.SECP256R1()) for kind in ("Authentication", "Offline")}
    serials = {kind: session.issue(kind, key=key) for kind, key in keys.items()}
    ksef.add_fault(Rule(WrongCertificate(wrong), "POST", "/certificates/retrieve", times=1))
    asked = {"certificateSerialNumbers": list(serials.values())}
    wrong_items, items = (session.post("/certificates/retrieve", asked).json()["certificates"] for _ in range(2))
    for item, right in zip(wrong_items, items, strict=True):
        key = keys[item["certificateType"]].public_key()
        found = x509.load_der_x509_certificate(base64.b64decode(item["certificate"]))
        own = x509.load_der_x509_certificate(base64.b64decode(right["certificate"]))
        assert {k: v for k, v in item.items() if k != "certificate"} == {
            k: v for k, v in right.items() if k != "certificate"
        }
        assert own.public_key() == key
        assert (found.public_key() == key) is (wrong != "key")
        assert (NIP in found.subject.rfc4514_string()) is (wrong != "subject")
        assert (usage(found) == usage(own)) is (wrong != "type")
        found.verify_directly_issued_by(ksef.ca_certificate)
        assert found.serial_number == own.serial_number


def usage(certificate: x509.Certificate) -> x509.KeyUsage:
    return certificate.extensions.get_extension_for_class(x509.KeyUsage).value


@pytest.mark.parametrize("act", [MalformedJson(), TruncatedJson()])
def test_json_may_be_none_while_the_request_counts(
    ksef: Sandbox, session: Session, raw: httpx.Client, act: Act
) -> None:
    ksef.add_fault(enroll_rule(act))
    response = raw.post(ENROLL, json=request(session))
    assert (response.status_code, response.headers["Content-Type"]) == (202, "application/json")
    with pytest.raises(ValueError, match=r"."):
        response.json()
    assert session.limits() == (299, 99)


def test_unknown_fields_are_in_every_object(ksef: Sandbox, session: Session, raw: httpx.Client) -> None:
    ksef.add_fault(Rule(UnknownFields(), route="/certificates/limits"))
    body = raw.get("/certificates/limits").json()
    assert body["enrollment"]["remaining"] == 300
    assert "sandboxFutureValue" in body
    assert "sandboxFutureObject" in body["certificate"]


def test_small_pages_hold_every_entry_once(ksef: Sandbox, session: Session) -> None:
    serials = {session.issue() for _ in range(5)}
    ksef.add_fault(Rule(SmallPages(2)))
    pages = [session.post(f"/certificates/query?pageSize=50&pageOffset={n}", {}).json() for n in range(3)]
    assert [len(page["certificates"]) for page in pages] == [2, 2, 1]
    assert [page["hasMore"] for page in pages] == [True, True, False]
    assert {item["certificateSerialNumber"] for page in pages for item in page["certificates"]} == serials


def test_a_lost_redeem_answer_cannot_be_had_again(ksef: Sandbox, driver: Driver) -> None:
    begun = driver.begin(make_seal(nip=NIP), nip=NIP)
    ksef.add_fault(Rule(DropAnswer(), "POST", "/auth/token/redeem", times=1))
    with pytest.raises(httpx.ReadError):
        driver.http.post("/auth/token/redeem", headers=begun.bearer)
    again = driver.http.post("/auth/token/redeem", headers=begun.bearer)
    assert (again.status_code, code_of(again)) == (400, 21301)


def test_a_fault_may_wait_for_the_code_of_an_answer(ksef: Sandbox, session: Session, raw: httpx.Client) -> None:
    ksef.set(enroll_delay_ms=60_000)
    enrolled = session.enroll()
    path = f"{ENROLL}/{enrolled.json()['referenceNumber']}"
    ksef.add_fault(Rule(ErrorAfter(500), route=f"{ENROLL}/{{referenceNumber}}", after_code=200))
    assert raw.get(path).json()["status"]["code"] == 100
    ksef.advance(minutes=2)
    assert raw.get(path).status_code == 500


def test_a_rule_for_one_context_leaves_others_alone_also_before_a_sign_in_is_known(
    ksef: Sandbox, driver: Driver
) -> None:
    ksef.add_fault(
        Rule(ResetBefore(), route="/auth/xades-signature", context=ContextIdentifier(ContextType.NIP, "1111111111"))
    )
    driver.sign_in(make_seal(nip=NIP), nip=NIP)
    with pytest.raises(httpx.ReadError):
        driver.submit(make_seal(nip="1111111111"), nip="1111111111")


def test_test_data_are_disturbed_only_by_a_rule_that_names_them(ksef: Sandbox, driver: Driver) -> None:
    person = {"nip": NIP, "pesel": "80010112340", "isBailiff": False, "description": "Osoba testowa"}
    everywhere = ksef.add_fault(Rule(ResetBefore()))
    assert driver.http.post("/testdata/person", json=person).status_code == 200
    ksef.remove_fault(everywhere)
    ksef.add_fault(Rule(ResetBefore(), route="/testdata/person"))
    with pytest.raises(httpx.ReadError):
        driver.http.post("/testdata/person", json=person)


def test_a_sandbox_with_a_long_delay_in_progress_closes_in_time(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(seed=1) as ksef:
        ksef.add_fault(Rule(DelayBefore(3600)))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{ksef.base_url}/auth/challenge", timeout=httpx.Timeout(60, read=2), trust_env=False)
    assert caplog.records == []
