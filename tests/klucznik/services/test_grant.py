"""The owner lets the operator in, in her own session: granted once, proved by a real sign-in, whatever goes wrong.

Who may connect a company at all is tried in `test_control`; what becomes of a connection later in `test_verify`.
"""

from pathlib import Path

import httpx
import pytest
from tests.klucznik.mishaps import (
    Act,
    Mishap,
    Send,
    answer_cut,
    answer_lost,
    answer_too_late,
    changed,
    error_after,
    error_before,
    paced,
    refused,
    reset_before,
)
from tests.klucznik.offices import (
    GRANT,
    LIST,
    NAME,
    OPERATION,
    SIGNED_IN,
    WITHDRAW,
    connection_of,
    employee,
    grants_sent,
    let_in,
    of_nip,
    office,
    set_permissions,
    signed_in_as,
    told,
)
from tests.klucznik.world import SandboxClock, company, context_of, owner, some_nip

from klucznik.domain.connections import Health, Method
from klucznik.domain.permissions import INVOICING
from klucznik.errors import AnswerLost, InputError, KsefRefused, KsefUnavailable, RateLimited
from klucznik.messages import words_in
from klucznik.messages.errors import error_text
from klucznik.services.grant import Grant, grant
from klucznik.services.installation import Installation
from klucznik.services.progress import Progress, Stage
from klucznik.services.withdraw import Withdrawal, Withdrawn, withdraw
from ksef_sandbox import Sandbox

ARRIVED: list[Act] = [answer_lost, answer_too_late, answer_cut, error_after]
NEVER_ARRIVED: list[Act] = [reset_before, error_before]


def name_of(act: Act) -> str:
    return str(getattr(act, "__name__", act))


def status(code: int) -> Act:
    """The status of an operation, or of a sign-in, as KSeF tells it."""

    def tell(body: dict[str, object]) -> None:
        body["status"] = {"code": code, "description": "Nie", "details": None}

    return changed(tell)


async def take_back(
    klucznik: Installation, nip: str, ksef: Sandbox, asked: list[Withdrawal] | None = None
) -> Withdrawn:
    def agreed(what: Withdrawal) -> bool:
        if asked is not None:
            asked.append(what)
        return True

    async with signed_in_as(klucznik, nip, company(nip, ksef)) as signed_in:
        return await withdraw(klucznik, signed_in, confirm=agreed)


async def test_one_confirmed_action_lets_the_operator_in_and_its_sign_in_proves_it(
    ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(perm_delay_ms=3000)
    nip, operator = some_nip(), some_nip()
    credential = owner(nip, ksef)
    asked: list[Grant] = []
    async with office(tmp_path, ksef, operator) as klucznik:
        done = await let_in(klucznik, nip, credential, asked=asked)
        assert [(what.context, what.operator.nip, what.operator.name, what.permissions) for what in asked] == [
            (context_of(nip), operator, NAME, INVOICING)
        ]
        assert (done.permissions, done.delegable, done.verified.missing) == (INVOICING, False, ())
        assert done.verified.permissions == ("InvoiceRead", "InvoiceWrite")
        kept = await connection_of(klucznik, nip)
        assert kept == done.connection
        assert kept is not None
        assert (kept.method, kept.subject, kept.health) == (Method.PERMISSION, None, Health.HEALTHY)
        assert kept.checked_at is not None
        assert await told(klucznik, credential.holder.signs_in_as) == [
            "permission_grant_intended",
            "permission_granted",
        ]
        assert await told(klucznik, of_nip(operator)) == [
            "operator_set",
            "connection_by_permission",
            "connection_health_changed",
        ]
    (sent,) = ksef.requests(method="POST", path="/permissions/entities/grants")
    assert sent.identity is not None
    assert sent.identity.value == credential.holder.signs_in_as.value


async def test_what_is_granted_already_is_not_granted_again_and_nobody_is_asked(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    asked: list[Grant] = []
    async with office(tmp_path, ksef, operator) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
        again = await let_in(klucznik, nip, owner(nip, ksef), asked=asked)
    assert (again.permissions, again.connection.health, asked, grants_sent(ksef)) == ((), Health.HEALTHY, [], 1)


async def test_only_what_is_lacking_is_granted(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, "InvoiceRead")
    async with office(tmp_path, ksef, operator) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef))
    assert (done.permissions, done.verified.missing) == (INVOICING[1:], ())


async def test_without_a_yes_nothing_is_sent_and_nothing_is_kept(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        async with signed_in_as(klucznik, nip, company(nip, ksef)) as signed_in:
            with pytest.raises(InputError, match="not_confirmed"):
                await grant(klucznik, signed_in, confirm=lambda _: False)
        assert await connection_of(klucznik, nip) is None
    assert grants_sent(ksef) == 0


@pytest.mark.parametrize("act", ARRIVED, ids=name_of)
async def test_a_grant_whose_answer_is_lost_is_found_in_the_list_and_not_sent_again(
    act: Act, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(perm_delay_ms=4000)
    nip = some_nip()
    heard: list[Progress] = []
    async with office(tmp_path, ksef, some_nip(), Mishap(GRANT, act)) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef), listener=heard.append)
    assert done.connection.health is Health.HEALTHY
    assert Stage.GRANT_ANSWER_LOST in {progress.stage for progress in heard}
    assert grants_sent(ksef) == 1


@pytest.mark.parametrize("act", NEVER_ARRIVED, ids=name_of)
async def test_a_grant_that_the_list_never_shows_is_sent_once_more(act: Act, ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip(), Mishap(GRANT, act)) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef))
    assert (done.connection.health, grants_sent(ksef)) == (Health.HEALTHY, 1)


async def test_a_grant_that_is_lost_again_and_again_is_given_up_with_nothing_claimed(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with office(tmp_path, ksef, some_nip(), Mishap(GRANT, reset_before, on=None)) as klucznik:
        with pytest.raises(AnswerLost):
            await let_in(klucznik, nip, credential)
        assert await connection_of(klucznik, nip) is None
        assert await told(klucznik, of_nip(nip)) == ["permission_grant_intended"]


async def test_a_short_pause_is_waited_out_and_a_long_one_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other, operator = some_nip(), some_nip(), some_nip()
    clock = SandboxClock(ksef)
    pauses = (Mishap(GRANT, paced(7)), Mishap(LIST, paced(9)), Mishap(OPERATION, paced(11)))
    async with office(tmp_path, ksef, operator, *pauses) as klucznik:
        began = clock.now()
        assert (await let_in(klucznik, nip, company(nip, ksef))).connection.health is Health.HEALTHY
        assert (clock.now() - began).total_seconds() >= 27
    async with office(tmp_path, ksef, operator, Mishap(GRANT, paced(600))) as klucznik:
        with pytest.raises(RateLimited):
            await let_in(klucznik, other, company(other, ksef))
        assert await connection_of(klucznik, other) is None
    assert grants_sent(ksef) == 0  # of the second company


@pytest.mark.parametrize("code", [400, 410, 420, 430, 440, 450, 500, 550, 499])
async def test_a_refused_operation_is_told_in_words_and_connects_nothing(
    code: int, ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(perm_delay_ms=86_400_000)  # KSeF never comes to list it
    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator, Mishap(OPERATION, status(code), on=None)) as klucznik:
        with pytest.raises(KsefRefused, match="permission_refused") as caught:
            await let_in(klucznik, nip, company(nip, ksef))
        assert await connection_of(klucznik, nip) is None
        assert await told(klucznik, of_nip(nip)) == ["permission_grant_intended", "permission_grant_refused"]
    assert caught.value.code == code
    told_in = [error_text(caught.value, words_in(language)) for language in ("pl", "en")]
    assert all(f"KSeF {code}" in text.what and text.now for text in told_in)
    assert told_in[0] != told_in[1]


async def test_an_operation_that_ksef_refuses_because_it_is_granted_already_is_no_refusal(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip(), Mishap(OPERATION, status(400))) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef))
    assert done.connection.health is Health.HEALTHY


async def test_an_operation_whose_status_is_gone_is_looked_for_in_the_list(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip(), Mishap(OPERATION, refused(21405))) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef))
        assert await told(klucznik, of_nip(nip)) == ["permission_grant_intended", "permission_granted"]
    assert (done.connection.health, grants_sent(ksef)) == (Health.HEALTHY, 1)


async def test_a_ksef_that_always_asks_for_a_pause_is_not_waited_for_without_end(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip(), Mishap(LIST, paced(30), on=None)) as klucznik:
        with pytest.raises(RateLimited):
            await let_in(klucznik, nip, company(nip, ksef))


@pytest.mark.parametrize("stage", [Stage.GRANTING, Stage.GRANTED, Stage.PROVING])
async def test_a_process_that_dies_after_the_grant_leaves_it_to_be_found(
    stage: Stage, ksef: Sandbox, tmp_path: Path
) -> None:
    class Died(Exception):
        pass

    def dies(progress: Progress) -> None:
        if progress.stage is stage:
            raise Died

    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        with pytest.raises(Died):
            await let_in(klucznik, nip, company(nip, ksef), listener=dies)
        done = await let_in(klucznik, nip, company(nip, ksef))
    assert (done.permissions, done.connection.health, grants_sent(ksef)) == ((), Health.HEALTHY, 1)


async def test_an_operation_that_does_not_end_is_left_to_the_next_run_which_finds_it(
    ksef: Sandbox, tmp_path: Path
) -> None:
    ksef.set(perm_delay_ms=600_000)
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        with pytest.raises(KsefUnavailable, match="permission_operation_pending"):
            await let_in(klucznik, nip, company(nip, ksef))
        ksef.advance(minutes=10)
        done = await let_in(klucznik, nip, company(nip, ksef))
    assert (done.permissions, done.connection.health, grants_sent(ksef)) == ((), Health.HEALTHY, 1)


async def test_being_refused_right_after_the_grant_is_not_believed_at_once(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    late = (Mishap(SIGNED_IN, status(415), on=2), Mishap(SIGNED_IN, status(415), on=3))  # the first is the owner's
    heard: list[Progress] = []
    async with office(tmp_path, ksef, operator, *late) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef), listener=heard.append)
    assert done.connection.health is Health.HEALTHY
    assert [progress.stage for progress in heard].count(Stage.NOT_YET_LET_IN) == 2


async def test_a_grant_that_does_not_work_within_a_minute_awaits_a_later_check(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    never = [Mishap(SIGNED_IN, status(415), on=number) for number in range(2, 40)]
    clock = SandboxClock(ksef)
    async with office(tmp_path, ksef, operator, *never) as klucznik:
        began = clock.now()
        done = await let_in(klucznik, nip, company(nip, ksef))
        assert 60 <= (clock.now() - began).total_seconds() < 80
        assert (done.connection.health, done.connection.health_code) == (Health.AWAITING_GRANT, 415)
        assert done.verified.refused is not None


async def test_what_was_granted_without_delegation_is_granted_anew_with_it(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        first = await let_in(klucznik, nip, company(nip, ksef))
        second = await let_in(klucznik, nip, company(nip, ksef), delegable=True)
        third = await let_in(klucznik, nip, company(nip, ksef), delegable=True)
    assert [(one.permissions, one.delegable) for one in (first, second, third)] == [
        (INVOICING, False),
        (INVOICING, True),
        ((), True),
    ]


async def test_ksef_that_keeps_the_older_grant_without_delegation_is_told_as_such(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async def without_delegation(request: httpx.Request, send: Send) -> httpx.Response:
        content = request.content.replace(b'"canDelegate":true', b'"canDelegate":false')
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        return await send(httpx.Request("POST", request.url, headers=headers, content=content))

    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator, Mishap(GRANT, without_delegation)) as klucznik:
        done = await let_in(klucznik, nip, company(nip, ksef), delegable=True)
    assert (done.delegable, done.delegation_refused, done.connection.health) == (False, True, Health.HEALTHY)


@pytest.mark.parametrize("permission", ["InvoiceRead", "InvoiceWrite", "CredentialsRead"])
async def test_whoever_may_not_manage_permissions_is_told_so(permission: str, ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    somebody = employee(nip, ksef, permission)
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        with pytest.raises(KsefRefused, match="may_not_grant") as caught:
            await let_in(klucznik, nip, somebody)
        assert await connection_of(klucznik, nip) is None
    for language in ("pl", "en"):
        text = error_text(caught.value, words_in(language))
        assert permission in text.what
        assert text.now is not None
        assert "CredentialsManage" in text.now
    assert grants_sent(ksef) == 0


@pytest.mark.parametrize("act", [None, answer_lost, reset_before], ids=["well", "answer_lost", "reset_before"])
async def test_the_owner_takes_everything_back_and_the_connection_says_so(
    act: Act | None, ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    asked: list[Withdrawal] = []
    mishaps = () if act is None else (Mishap(WITHDRAW, act),)
    async with office(tmp_path, ksef, operator, *mishaps) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef), delegable=True)
        done = await take_back(klucznik, nip, ksef, asked)
        assert {one.permission for one in done.permissions} == {"InvoiceRead", "InvoiceWrite"}
        assert [len(what.permissions) for what in asked] == [2]
        assert done.connection is not None
        assert (done.connection.health, done.connection.health_code) == (Health.PERMISSION_LOST, None)
        again = await take_back(klucznik, nip, ksef, asked)
        assert (again.permissions, len(asked)) == ((), 1)
        events = await told(klucznik, of_nip(nip))
    assert events.count("permission_withdrawn") == 2


async def test_a_withdrawal_without_a_yes_takes_nothing_back(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
        async with signed_in_as(klucznik, nip, company(nip, ksef)) as signed_in:
            with pytest.raises(InputError, match="not_confirmed"):
                await withdraw(klucznik, signed_in, confirm=lambda _: False)
    assert not ksef.requests(method="DELETE", path="/permissions/common/grants/{permissionId}")


async def test_a_list_that_lags_behind_a_withdrawal_is_waited_for_and_nothing_is_ended_twice(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    shown: list[bytes] = []

    async def remembered(request: httpx.Request, send: Send) -> httpx.Response:
        response = await send(request)
        shown.append(await response.aread())
        return httpx.Response(response.status_code, content=shown[0])

    async def stale(_: httpx.Request, __: Send) -> httpx.Response:
        return httpx.Response(200, content=shown[0])

    late = [Mishap(LIST, remembered, on=2), *(Mishap(LIST, stale, on=number) for number in range(3, 9))]
    async with office(tmp_path, ksef, some_nip(), *late) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))  # looks once
        done = await take_back(klucznik, nip, ksef)
    assert done.connection is not None
    assert done.connection.health is Health.PERMISSION_LOST
    assert len(ksef.requests(method="DELETE", path="/permissions/common/grants/{permissionId}")) == 2


async def test_what_ksef_lists_of_somebody_else_is_neither_shown_nor_taken_back(ksef: Sandbox, tmp_path: Path) -> None:
    nip, stranger = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", stranger, "InvoiceRead")
    asked: list[Withdrawal] = []

    async def of_everybody(request: httpx.Request, send: Send) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        content = b'{"queryType":"PermissionsInCurrentContext"}'
        return await send(httpx.Request("POST", request.url, headers=headers, content=content))

    async with office(tmp_path, ksef, some_nip(), Mishap(LIST, of_everybody, on=None)) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
        done = await take_back(klucznik, nip, ksef, asked)
        assert (len(done.permissions), [len(what.permissions) for what in asked]) == (2, [2])
        async with signed_in_as(klucznik, nip, company(nip, ksef)) as signed_in:
            left = [one async for one in signed_in.session.permissions.in_context()]
    assert [one.subject for one in left] == [of_nip(stranger)]
