"""Permissions against a whole KSeF: granted, listed, withdrawn; and what a list of KSeF may look like."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.klucznik.ksef.test_wire import PERMISSION
from tests.klucznik.ksef.worlds import (
    NIP,
    REFERENCE,
    answer,
    client,
    seal,
    sign_in,
    signed_in_answers,
    signer,
)

from klucznik.domain.environments import Environment, endpoint
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.permissions import (
    INVOICING,
    GrantedPermission,
    OwnPermission,
    Permission,
    lacking,
    parse_entity_name,
    shows_control,
)
from klucznik.domain.values import InvalidValue
from klucznik.errors import AnswerLost, KsefRefused, SignInRefused
from klucznik.ksef import wire_permissions
from klucznik.ksef.calls import json_content
from klucznik.ksef.client import DocumentSigner, KsefClient
from klucznik.ksef.fields import Fields, Unreadable
from klucznik.ksef.session import Session
from ksef_sandbox import Sandbox

OPERATOR = "7171642051"
NAME = "Biuro Rachunkowe Żółw sp. z o.o."
COMPANY = Subject(SubjectType.NIP, NIP)
OPERATOR_SUBJECT = Subject(SubjectType.NIP, OPERATOR)
GRANT = "POST /permissions/entities/grants"
LIST = "POST /permissions/query/persons/grants"
QUICK: dict[str, int | str] = {"auth_delay_ms": 0, "perm_delay_ms": 0, "rate_profile": "off"}


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(seed=1, switches=QUICK) as running:
        yield running


@asynccontextmanager
async def session(ksef: Sandbox, sign: DocumentSigner, context: str = NIP) -> AsyncIterator[Session]:
    async with KsefClient(endpoint(Environment.SANDBOX, ksef.base_url)) as connection:
        yield await connection.sign_in(Context.of_nip(context), sign)


async def grant(opened: Session, *permissions: Permission, can_delegate: bool = False) -> None:
    reference = await opened.permissions.grant_to_entity(OPERATOR, NAME, permissions, can_delegate=can_delegate)
    assert (await opened.permissions.operation(reference)).done


async def test_a_company_grants_to_another_which_then_signs_in_and_sees_what_it_may_do(ksef: Sandbox) -> None:
    with pytest.raises(SignInRefused, match="415"):
        async with session(ksef, signer(seal(OPERATOR))):
            pass
    async with session(ksef, signer(seal())) as owner:
        await grant(owner, *INVOICING, can_delegate=True)
        listed = [one async for one in owner.permissions.in_context(OPERATOR_SUBJECT)]
        assert {one.permission for one in listed} == set(INVOICING)
        assert {(one.subject, one.to_entity, one.can_delegate, one.active) for one in listed} == {
            (OPERATOR_SUBJECT, True, True, True)
        }
        assert [one async for one in owner.permissions.own()] == []
    async with session(ksef, signer(seal(OPERATOR))) as operator:
        own = [one async for one in operator.permissions.own()]
        assert {(one.permission, one.context, one.of_company) for one in own} == {
            (permission.value, Context.of_nip(NIP), False) for permission in INVOICING
        }
        with pytest.raises(KsefRefused) as caught:
            await grant(operator, *INVOICING)
        assert caught.value.data["reason_code"] == "missing-permissions"
        assert caught.value.data["present_permissions"] == "InvoiceRead, InvoiceWrite"
    async with session(ksef, signer(seal(OPERATOR)), OPERATOR) as at_home:
        received = [one async for one in at_home.permissions.received(Context.of_nip(NIP))]
        assert {(one.permission, one.granted_by, one.can_delegate) for one in received} == {
            (permission.value, Context.of_nip(NIP), True) for permission in INVOICING
        }
        assert [one async for one in at_home.permissions.received(Context.of_nip("1111111111"))] == []


async def test_a_withdrawn_permission_is_listed_no_more_and_cannot_be_withdrawn_twice(ksef: Sandbox) -> None:
    async with session(ksef, signer(seal())) as owner:
        await grant(owner, Permission.INVOICE_READ)
        (listed,) = [one async for one in owner.permissions.in_context()]
        for ended in (True, False):
            reference = await owner.permissions.withdraw(listed.id)
            status = await owner.permissions.operation(reference)
            # 410 in the body is a refusal of KSeF, not a status that has expired.
            assert (status.done, status.code) == ((True, 200) if ended else (False, 410))
        assert [one async for one in owner.permissions.in_context()] == []


async def test_the_status_of_an_operation_is_gone_after_thirty_days(ksef: Sandbox) -> None:
    async with session(ksef, signer(seal())) as owner:
        reference = await owner.permissions.grant_to_entity(OPERATOR, NAME, INVOICING, can_delegate=False)
    ksef.advance(days=30)
    async with session(ksef, signer(seal())) as owner:
        with pytest.raises(KsefRefused, match="ksef_gone"):
            await owner.permissions.operation(reference)


async def test_a_permission_that_moved_to_the_next_page_is_listed_once() -> None:
    other = {**PERMISSION, "id": "another"}
    pages = [
        answer({"permissions": [PERMISSION], "hasMore": True}),
        answer({"permissions": [PERMISSION, other], "hasMore": False}),
    ]
    ksef = signed_in_answers(**{LIST: pages})
    async with client(ksef) as connection:
        listed = [one.id async for one in (await sign_in(connection)).permissions.in_context()]
    assert listed == [PERMISSION["id"], "another"]
    assert [request.url.params["pageOffset"] for request in ksef.asked[-2:]] == ["0", "1"]


async def test_a_grant_whose_answer_is_lost_is_sent_once_and_a_list_is_asked_for_again() -> None:
    page = answer({"permissions": [PERMISSION], "hasMore": False})
    ksef = signed_in_answers(**{GRANT: httpx.ReadTimeout("late"), LIST: [answer({}, 503), page]})
    async with client(ksef) as connection:
        opened = await sign_in(connection)
        with pytest.raises(AnswerLost):
            await opened.permissions.grant_to_entity(OPERATOR, NAME, INVOICING, can_delegate=False)
        assert ksef.count(GRANT) == 1
        assert len([one async for one in opened.permissions.in_context()]) == 1
        assert ksef.count(LIST) == 2


async def test_the_code_410_of_an_operation_is_not_taken_for_http_410() -> None:
    status = f"GET /permissions/operations/{REFERENCE}"
    ksef = signed_in_answers(**{status: answer({"status": {"code": 410, "description": "nie", "details": None}})})
    async with client(ksef) as connection:
        found = await (await sign_in(connection)).permissions.operation(REFERENCE)
    assert (found.failed, found.code, found.details) == (True, 410, ())


@pytest.mark.parametrize(
    ("change", "permission", "subject"),
    [
        ({"permissionScope": "invoiceread"}, "InvoiceRead", COMPANY),
        (
            {"permissionScope": "CollectiveIdentifierManage"},
            "CollectiveIdentifierManage",
            Subject(SubjectType.NIP, NIP),
        ),
        ({"authorizedIdentifier": {"type": "Peppol", "value": "P"}}, "InvoiceRead", None),
    ],
)
def test_what_a_later_release_of_ksef_adds_is_still_listed(
    change: dict[str, object], permission: str, subject: Subject | None
) -> None:
    (found,), more = wire_permissions.granted_page(Fields({"permissions": [{**PERMISSION, **change}], "hasMore": True}))
    assert (found.permission, found.subject, found.to_entity, more) == (permission, subject, False, True)


@pytest.mark.parametrize("identity", ["../../x", "a/b", "", "x" * 65])
def test_an_id_that_cannot_stand_in_a_path_is_unreadable(identity: str) -> None:
    with pytest.raises(Unreadable, match="id"):
        wire_permissions.own_page(Fields({"permissions": [{**PERMISSION, "id": identity}], "hasMore": False}))


def granted(
    permission: str, *, subject: Subject | None = OPERATOR_SUBJECT, delegable: bool = False
) -> GrantedPermission:
    return GrantedPermission("1", permission, subject, True, delegable, True, datetime(2026, 11, 1, tzinfo=UTC))


def test_what_is_lacking_depends_on_whose_it_is_and_whether_it_must_be_delegable() -> None:
    both = [granted("InvoiceRead", delegable=True), granted("InvoiceWrite")]
    assert lacking(both, OPERATOR_SUBJECT, delegable=False) == ()
    assert lacking(both, OPERATOR_SUBJECT, delegable=True) == (Permission.INVOICE_WRITE,)
    assert lacking(both, COMPANY, delegable=False) == INVOICING
    assert lacking(
        [granted("Introspection"), granted("InvoiceRead", subject=None)], OPERATOR_SUBJECT, delegable=False
    ) == (INVOICING)


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        ([], True),  # an owner: that right is never listed
        (["CredentialsManage", "CredentialsRead"], True),
        (["InvoiceRead"], True),  # an owner who has granted something to himself: KSeF let him list without a right to
        (["CredentialsRead"], False),
        (["SubunitManage", "InvoiceWrite"], False),
    ],
)
def test_who_may_only_look_at_permissions_shows_no_control(listed: list[str], shown: bool) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    for given_by in (Context.of_nip(NIP), Context.of_nip(OPERATOR), None):  # in a unit it is from the parent
        own = [OwnPermission("1", one, given_by, False, False, True, at) for one in listed]
        assert shows_control(own) is shown


@given(st.text(max_size=120))
def test_the_name_of_a_company_is_refused_or_fits_a_grant(text: str) -> None:
    try:
        name = parse_entity_name(text)
    except InvalidValue:
        return
    assert 5 <= len(name) <= 90
    assert name.isprintable()
    assert parse_entity_name(name) == name
    assert json_content({"fullName": name})
