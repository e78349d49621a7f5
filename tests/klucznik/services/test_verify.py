"""A connection by permission is looked at again and again: loss is noticed with its evidence, trouble is no loss."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.mishaps import SIGN_IN, Mishap, changed, error_before, not_connected, paced
from tests.klucznik.offices import (
    SIGNED_IN,
    connection_of,
    let_in,
    of_nip,
    office,
    set_permissions,
    take_permissions,
    told,
)
from tests.klucznik.services.test_grant import status
from tests.klucznik.world import company, context_of, some_nip

from klucznik.domain.connections import Connection, Health, Method, health_told_by, looked_at
from klucznik.domain.environments import Environment
from klucznik.domain.permissions import INVOICING
from klucznik.errors import InputError, KsefUnavailable, SignInRefused
from klucznik.services.by_hand import expect_grant
from klucznik.services.control import ByAdministrator
from klucznik.services.installation import Installation
from klucznik.services.verify import Looked, verify, verify_all, verify_due
from ksef_sandbox import Sandbox


async def connected(klucznik: Installation, ksef: Sandbox, number: int = 1) -> list[str]:
    """Companies that have let the operator in."""
    nips = [some_nip() for _ in range(number)]
    for nip in nips:
        await let_in(klucznik, nip, company(nip, ksef))
    return nips


async def test_loss_is_noticed_with_time_and_code_and_so_is_its_end(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        (nip,) = await connected(klucznik, ksef)
        take_permissions(ksef, nip, "Nip", operator)
        lost_at = ksef.advance(hours=1)
        lost = await verify(klucznik, context_of(nip))
        assert (lost.before, lost.connection.health, lost.connection.health_code) == (
            Health.HEALTHY,
            Health.PERMISSION_LOST,
            415,
        )
        assert lost_at <= lost.connection.health_since
        ksef.advance(hours=1)
        still = await verify(klucznik, context_of(nip))
        assert still.connection.health_since == lost.connection.health_since
        assert still.connection.checked_at is not None
        assert still.connection.checked_at > lost.connection.health_since
        set_permissions(ksef, nip, "Nip", operator, *INVOICING)
        back = await verify(klucznik, context_of(nip))
        assert (back.connection.health, back.connection.health_code) == (Health.HEALTHY, None)
        assert (await told(klucznik, of_nip(operator))).count("connection_health_changed") == 3


@pytest.mark.parametrize("act", [not_connected, error_before, paced(900)], ids=["network", "gateway", "pause"])
async def test_trouble_on_the_way_changes_nothing(act: object, ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        (nip,) = await connected(klucznik, ksef)
        before = await connection_of(klucznik, nip)
    assert callable(act)
    async with office(tmp_path, ksef, operator, Mishap(SIGN_IN, act, on=None)) as klucznik:
        with pytest.raises(KsefUnavailable):
            await verify(klucznik, context_of(nip))
        assert await connection_of(klucznik, nip) == before


async def test_a_refusal_that_says_nothing_about_the_connection_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator, Mishap(SIGNED_IN, status(425), on=3)) as klucznik:
        (nip,) = await connected(klucznik, ksef)
        before = await connection_of(klucznik, nip)
        with pytest.raises(SignInRefused):
            await verify(klucznik, context_of(nip))
        assert await connection_of(klucznik, nip) == before


async def test_a_grant_of_one_permission_by_hand_is_let_in_and_the_missing_one_is_named(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await expect_grant(klucznik, context_of(nip), ByAdministrator())
        set_permissions(ksef, nip, "Nip", operator, "InvoiceRead")
        found = await verify(klucznik, context_of(nip))
    assert (found.before, found.connection.health) == (Health.AWAITING_GRANT, Health.HEALTHY)
    assert (found.permissions, found.missing) == (("InvoiceRead",), INVOICING[1:])


async def test_ksef_that_lists_nothing_but_lets_the_operator_in_is_not_taken_to_have_granted_nothing(
    ksef: Sandbox, tmp_path: Path
) -> None:
    def nothing(body: dict[str, object]) -> None:
        body["permissions"] = []

    own = Mishap("POST /v2/permissions/query/personal/grants", changed(nothing), on=None)
    async with office(tmp_path, ksef, some_nip(), own) as klucznik:
        (nip,) = await connected(klucznik, ksef)
        found = await verify(klucznik, context_of(nip))
    assert (found.connection.health, found.permissions, found.missing) == (Health.HEALTHY, (), ())


async def test_by_hand_when_ksef_does_not_answer_the_company_is_awaited_all_the_same(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip(), Mishap(SIGN_IN, not_connected, on=None)) as klucznik:
        expected = await expect_grant(klucznik, context_of(nip), ByAdministrator())
    assert (expected.verified, expected.connection.health) == (None, Health.AWAITING_GRANT)
    assert expected.connection.checked_at is None


async def test_a_company_that_nobody_has_connected_is_not_verified(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        with pytest.raises(InputError, match="not_connected"):
            await verify(klucznik, context_of(nip))
        assert await connection_of(klucznik, nip) is None


async def test_trouble_with_one_company_does_not_keep_from_the_next(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        nips = await connected(klucznik, ksef, 3)
        take_permissions(ksef, sorted(nips)[2], "Nip", operator)
    async with office(tmp_path, ksef, operator, Mishap(SIGNED_IN, status(425))) as klucznik:
        found: list[Looked] = [one async for one in verify_all(klucznik)]
    assert [one.connection.context.value for one in found] == sorted(nips)
    assert [one.error is None for one in found] == [False, True, True]
    assert [one.connection.health for one in found[1:]] == [Health.HEALTHY, Health.PERMISSION_LOST]


async def test_a_worker_s_round_looks_once_a_day_and_at_an_awaited_grant_each_quarter_of_an_hour(
    ksef: Sandbox, tmp_path: Path
) -> None:
    operator, awaited = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        (nip,) = await connected(klucznik, ksef)
        await expect_grant(klucznik, context_of(awaited), ByAdministrator())
        assert await verify_due(klucznik) == 0
        ksef.advance(minutes=16)
        assert await verify_due(klucznik) == 1
        set_permissions(ksef, awaited, "Nip", operator, *INVOICING)
        ksef.advance(minutes=16)
        assert await verify_due(klucznik) == 1
        found = await connection_of(klucznik, awaited)
        assert found is not None
        assert found.health is Health.HEALTHY
        take_permissions(ksef, nip, "Nip", operator)
        ksef.advance(days=1, minutes=1)
        assert await verify_due(klucznik) == 2
        lost = await connection_of(klucznik, nip)
        assert lost is not None
        assert lost.health is Health.PERMISSION_LOST
        assert await verify_due(klucznik) == 0


async def test_a_round_is_broken_off_when_ksef_is_down(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        nips = await connected(klucznik, ksef, 6)
    ksef.advance(days=2)
    down = Mishap("POST /v2/auth/challenge", not_connected, on=None)
    async with office(tmp_path, ksef, operator, down) as klucznik:
        with pytest.raises(KsefUnavailable):
            await verify(klucznik, context_of(nips[0]))
        for_one, down.seen = down.seen, 0
        assert await verify_due(klucznik) == 0
    # Three are tried, each with about the attempts of one, and the other three are spared.
    assert 2 * for_one < down.seen < 5 * for_one
    async with office(tmp_path, ksef, operator) as klucznik:
        assert await verify_due(klucznik) == 6


async def test_pauses_of_single_companies_do_not_break_a_round_off(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await connected(klucznik, ksef, 5)
    ksef.advance(days=2)
    own = "POST /v2/permissions/query/personal/grants"
    paused = [Mishap(own, paced(900), on=number) for number in range(1, 5)]
    async with office(tmp_path, ksef, operator, *paused) as klucznik:
        assert await verify_due(klucznik) == 1


async def test_an_operator_without_a_credential_is_told_once_in_a_round(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await connected(klucznik, ksef, 3)
        ksef.advance(days=800)  # its certificate has expired
        ksef.clear_requests()
        with caplog.at_level(logging.WARNING):
            assert await verify_due(klucznik) == 0
    assert caplog.text.count("operator_without_credential") == 1
    assert not ksef.requests()


async def test_without_an_operator_a_round_has_nothing_to_do(ksef: Sandbox, tmp_path: Path) -> None:
    from tests.klucznik.world import installed

    async with installed(tmp_path, ksef) as klucznik:
        assert await verify_due(klucznik) == 0
        assert [one async for one in verify_all(klucznik)] == []
    assert not ksef.requests()


@pytest.mark.parametrize(
    ("code", "method", "health"),
    [
        (415, Method.PERMISSION, Health.PERMISSION_LOST),
        (460, Method.CERTIFICATES, Health.CERTIFICATE_INVALID),
        (21115, Method.IMPORTED, Health.CERTIFICATE_INVALID),
        (450, Method.TOKEN, Health.TOKEN_INVALID),
        (450, Method.PERMISSION, None),
        (470, Method.PERMISSION, Health.BLOCKED),
        (480, Method.TOKEN, Health.BLOCKED),
        (550, Method.PERMISSION, None),
        (None, Method.PERMISSION, None),
    ],
)
def test_what_a_refused_sign_in_says_about_a_connection(
    code: int | None, method: Method, health: Health | None
) -> None:
    assert health_told_by(code, method) is health


def test_what_was_never_there_is_not_lost(ksef: Sandbox) -> None:
    now = ksef.now()
    awaiting = Connection(
        id="1",
        environment=Environment.SANDBOX,
        context=context_of(some_nip()),
        method=Method.PERMISSION,
        subject=None,
        health=Health.AWAITING_GRANT,
        health_since=now,
        created_at=now,
    )
    later = now + timedelta(days=1)
    looked = looked_at(awaiting, Health.PERMISSION_LOST, 415, later)
    assert (looked.health, looked.health_since, looked.checked_at) == (Health.AWAITING_GRANT, now, later)
    healthy = looked_at(looked, Health.HEALTHY, None, later)
    assert (healthy.health_since, looked_at(healthy, Health.PERMISSION_LOST, 415, later).health) == (
        later,
        Health.PERMISSION_LOST,
    )
