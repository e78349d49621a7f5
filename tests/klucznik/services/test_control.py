"""Who may connect a company: that it has granted something to the operator proves nothing of whoever asks.

The attack is a confused deputy: somebody names the NIP of a client of the operator's, and the operator acts for it.
"""

from pathlib import Path

import pytest
from tests.klucznik.offices import connection_of, employee, let_in, of_nip, office, set_permissions, signed_in_as, told
from tests.klucznik.world import company, context_of, owner, some_nip

from klucznik.domain.connections import Health
from klucznik.domain.permissions import INVOICING
from klucznik.errors import InputError
from klucznik.keys.credential import Credential
from klucznik.services.by_hand import expect_grant
from klucznik.services.control import ByAdministrator, BySignIn
from klucznik.services.grant import grant
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox


async def refused(klucznik: Installation, nip: str, who: Credential, *, signs_in_to: str | None = None) -> str:
    """Why somebody may not connect a company that has let the operator in already; by both roads."""
    reasons = set()
    async with signed_in_as(klucznik, signs_in_to or nip, who) as signed_in:
        with pytest.raises(InputError) as caught:
            await expect_grant(klucznik, context_of(nip), BySignIn(signed_in))
        reasons.add(caught.value.reason)
    assert await connection_of(klucznik, nip) is None
    assert "connection_by_permission" not in await told(klucznik, of_nip(nip))
    (reason,) = reasons
    return reason


async def test_an_employee_cannot_connect_a_company_that_happens_to_have_let_the_operator_in(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        for permissions in (["InvoiceRead"], ["InvoiceRead", "InvoiceWrite"], ["CredentialsRead"], ["SubunitManage"]):
            assert await refused(klucznik, nip, employee(nip, ksef, *permissions)) == "control_not_proved"


async def test_whoever_may_only_look_at_permissions_cannot_connect_by_granting_what_is_granted(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        with pytest.raises(InputError, match="control_not_proved"):
            await let_in(klucznik, nip, employee(nip, ksef, "CredentialsRead"))
        assert await connection_of(klucznik, nip) is None


async def test_the_owner_of_another_company_cannot_connect_it(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other, operator = some_nip(), some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        reason = await refused(klucznik, nip, company(other, ksef), signs_in_to=other)
    assert reason == "control_of_other_context"


async def test_the_operator_s_own_sign_in_proves_nothing_of_whoever_asks(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        assert await refused(klucznik, nip, company(operator, ksef)) == "control_by_operator"


async def test_the_operator_needs_no_permission_in_its_own_company(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        async with signed_in_as(klucznik, operator, company(operator, ksef)) as signed_in:
            with pytest.raises(InputError, match="operator_is_the_company"):
                await grant(klucznik, signed_in, confirm=lambda _: True)
        with pytest.raises(InputError, match="operator_is_the_company"):
            await expect_grant(klucznik, context_of(operator), ByAdministrator())


@pytest.mark.parametrize("who", ["seal", "owner", "manager"])
async def test_whoever_has_a_say_in_the_company_connects_it(who: str, ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    signer = {
        "seal": lambda: company(nip, ksef),
        "owner": lambda: owner(nip, ksef),
        "manager": lambda: employee(nip, ksef, "CredentialsManage"),
    }[who]()
    async with office(tmp_path, ksef, operator) as klucznik, signed_in_as(klucznik, nip, signer) as signed_in:
        expected = await expect_grant(klucznik, context_of(nip), BySignIn(signed_in))
    assert expected.connection.health is Health.HEALTHY


async def test_an_administrator_of_the_installation_connects_a_company_and_the_audit_log_says_on_what_ground(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        expected = await expect_grant(klucznik, context_of(nip), ByAdministrator())
        assert (expected.connection.health, expected.connection.health_code) == (Health.AWAITING_GRANT, 415)
        assert await told(klucznik, of_nip(operator)) == ["operator_set", "connection_by_permission"]
