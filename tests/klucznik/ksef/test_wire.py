"""Reading answers: unknown fields are ignored, optional ones may be missing, the rest is unreadable, never a crash."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.klucznik.ksef.worlds import CHALLENGE, NIP, REFERENCE

from klucznik.domain.certificates import CertificateStatus, CertificateType
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Allowance, Limits
from klucznik.ksef import wire, wire_permissions
from klucznik.ksef.fields import Fields, Unreadable, plain

SERIAL = "01F20A5D352AE590"
AT = "2026-11-23T12:23:56.0154302+00:00"
RECORD = {
    "certificateSerialNumber": SERIAL,
    "name": "Klucznik 1",
    "type": "Authentication",
    "commonName": "Zażółć",
    "status": "Active",
    "subjectIdentifier": {"type": "Nip", "value": NIP},
    "validFrom": AT,
    "validTo": AT,
    "requestDate": AT,
}
SESSION = {"referenceNumber": REFERENCE, "startDate": AT, "status": {"code": 200, "description": "ok"}}
PERMISSION = {
    "id": "e4c7ab3b-0b1c-4ad7-9c3a-7d2a1d1b0f55",
    "authorizedIdentifier": {"type": "Nip", "value": NIP},
    "contextIdentifier": {"type": "Nip", "value": NIP},
    "permissionScope": "InvoiceRead",
    "permissionState": "Active",
    "startDate": AT,
    "canDelegate": False,
}
ANSWERS: dict[str, tuple[Callable[[Fields], object], dict[str, object]]] = {
    "challenge": (wire.challenge, {"challenge": CHALLENGE, "timestamp": AT}),
    "pending": (
        wire.pending_sign_in,
        {"referenceNumber": REFERENCE, "authenticationToken": {"token": "t", "validUntil": AT}},
    ),
    "status": (wire.status, {"status": {"code": 100}}),
    "tokens": (
        wire.token_pair,
        {"accessToken": {"token": "a", "validUntil": AT}, "refreshToken": {"token": "r", "validUntil": AT}},
    ),
    "renewed": (wire.access_token, {"accessToken": {"token": "a", "validUntil": AT}}),
    "limits": (
        wire.limits,
        {
            "canRequest": False,
            "enrollment": {"remaining": 0, "limit": 12},
            "certificate": {"remaining": 6, "limit": 6},
        },
    ),
    "ticket": (wire.enrollment_ticket, {"referenceNumber": REFERENCE, "timestamp": AT}),
    "enrollment": (
        wire.enrollment_status,
        {"status": {"code": 200}, "requestDate": AT, "certificateSerialNumber": SERIAL},
    ),
    "retrieved": (
        wire.retrieved_certificates,
        {"certificates": [{"certificateSerialNumber": SERIAL, "certificateType": "Offline", "certificate": "MIIB"}]},
    ),
    "page": (wire.certificate_page, {"certificates": [RECORD], "hasMore": False}),
    "sessions": (wire.session_page, {"items": [SESSION]}),
    "granted": (wire_permissions.granted_page, {"permissions": [PERMISSION], "hasMore": False}),
    "own": (wire_permissions.own_page, {"permissions": [PERMISSION], "hasMore": False}),
    "received": (wire_permissions.received_page, {"permissions": [PERMISSION], "hasMore": False}),
}
every_answer = pytest.mark.parametrize("name", ANSWERS)


def read(name: str, body: object) -> object:
    reader, _ = ANSWERS[name]
    return reader(Fields.read(json.dumps(body).encode()))


@every_answer
def test_unknown_fields_change_nothing(name: str) -> None:
    _, body = ANSWERS[name]
    assert read(name, {**body, "brandNew": {"a": [1, None]}}) == read(name, body)


@every_answer
def test_a_required_field_that_is_missing_or_of_another_kind_is_named(name: str) -> None:
    _, body = ANSWERS[name]
    for field in body:
        without = {key: value for key, value in body.items() if key != field}
        with pytest.raises(Unreadable, match=f"^{field}$"):
            read(name, without)
        wrongs: list[object] = [None, 1.5, [[]], {"x": 1}]
        for wrong in wrongs:
            with pytest.raises(Unreadable):
                read(name, {**body, field: wrong})


@every_answer
@given(document=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3))
def test_what_is_no_object_is_unreadable(name: str, document: object) -> None:
    with pytest.raises(Unreadable):
        read(name, document)


@every_answer
@given(cut=st.integers(0, 400), junk=st.binary(max_size=3))
def test_a_damaged_answer_is_unreadable_or_harmless(name: str, cut: int, junk: bytes) -> None:
    reader, body = ANSWERS[name]
    text = json.dumps(body).encode()
    try:
        reader(Fields.read(text[:cut] + junk + text[cut + len(junk) :]))
    except Unreadable:
        return


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"a": 1' + b"0" * 5000 + b"}", b"\xff"])
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.limits(Fields.read(body))


def test_limits_are_read_as_they_are() -> None:
    assert read("limits", ANSWERS["limits"][1]) == Limits(False, Allowance(0, 12), Allowance(6, 6))


def test_a_moment_is_utc_whatever_its_offset_and_its_seventh_digit_is_dropped() -> None:
    fields = Fields({"a": AT, "b": "2026-11-23T13:23:56+01:00", "c": "2026-11-23T12:23:56Z"})
    assert fields.moment("a") == datetime(2026, 11, 23, 12, 23, 56, 15430, tzinfo=UTC)
    assert fields.moment("b") == fields.moment("c") == datetime(2026, 11, 23, 12, 23, 56, tzinfo=UTC)
    assert fields.moment("b").tzinfo is UTC


@given(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))))
def test_every_moment_comes_back(at: datetime) -> None:
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        return
    assert Fields({"at": at.isoformat()}).moment("at") == expected


@pytest.mark.parametrize("text", ["yesterday", "", "0001-01-01T00:00:00+14:00", "2026-13-01T00:00:00Z", "1"])
def test_a_malformed_moment_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="at"):
        Fields({"at": text}).moment("at")


def test_an_issued_request_without_a_serial_number_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="certificateSerialNumber"):
        read("enrollment", {"status": {"code": 200}, "requestDate": AT, "certificateSerialNumber": None})
    pending = wire.enrollment_status(Fields({"status": {"code": 100}, "requestDate": AT}))
    assert (pending.pending, pending.issued, pending.failed) == (True, False, False)


def test_names_of_kinds_are_read_in_any_letter_case() -> None:
    (record,), more = wire.certificate_page(
        Fields({"certificates": [{**RECORD, "type": "offline", "status": "ACTIVE"}], "hasMore": True})
    )
    assert (record.type, record.status, more) == (CertificateType.OFFLINE, CertificateStatus.ACTIVE, True)
    assert record.subject == Subject(SubjectType.NIP, NIP)
    assert record.last_used_at is None


@pytest.mark.parametrize("identifier", [None, {"type": "Peppol", "value": "P"}, {"type": "Nip", "value": "1"}, {}])
def test_a_certificate_of_an_unknown_kind_of_subject_is_still_listed(identifier: object) -> None:
    (record,), _ = wire.certificate_page(
        Fields({"certificates": [{**RECORD, "subjectIdentifier": identifier}], "hasMore": False})
    )
    assert record.subject is None


def test_a_session_is_read_with_and_without_the_method_that_is_going_away() -> None:
    both = {
        **SESSION,
        "authenticationMethod": "QualifiedSeal",
        "authenticationMethodInfo": {"category": "XadesSignature", "code": "xades.qualified-seal"},
    }
    items = [SESSION, {**SESSION, "authenticationMethod": "QualifiedSeal"}, both]
    records, following = wire.session_page(Fields({"items": items, "continuationToken": None}))
    assert [record.method for record in records] == [None, "QualifiedSeal", "xades.qualified-seal"]
    assert following is None


@pytest.mark.parametrize("token", ["", "with space", "line\r\nbreak: x", "ż", "x" * 20_000])
def test_a_token_that_cannot_stand_in_a_header_is_unreadable(token: str) -> None:
    with pytest.raises(Unreadable, match="token") as caught:
        read("renewed", {"accessToken": {"token": token, "validUntil": AT}})
    assert str(caught.value) == "token"


@pytest.mark.parametrize("number", ["../../x", "a/b", "", "x" * 65, "a b"])
def test_a_reference_number_that_cannot_stand_in_a_path_is_unreadable(number: str) -> None:
    with pytest.raises(Unreadable, match="referenceNumber"):
        read("ticket", {"referenceNumber": number, "timestamp": AT})


def test_a_certificate_may_come_in_lines_but_not_damaged() -> None:
    item = {"certificateSerialNumber": SERIAL.lower(), "certificateType": "Offline", "certificate": "MI\r\nIB"}
    (found,) = wire.retrieved_certificates(Fields({"certificates": [item]}))
    assert (found.der, found.serial_number, found.name) == (b"0\x82\x01", SERIAL, "")
    with pytest.raises(Unreadable, match="certificate"):
        wire.retrieved_certificates(Fields({"certificates": [{**item, "certificate": "MI*IB"}]}))


@given(st.text())
def test_a_shown_text_is_one_bounded_line(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= 500
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)
