"""Invitations: a link opens one browser once, is kept nowhere, and leads to one company alone."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.databases import everything_in
from tests.klucznik.offices import connection_of, let_in, office
from tests.klucznik.onboardings import signed
from tests.klucznik.world import company, context_of, filed, installed, owner, some_nip

from klucznik.domain.connections import Method
from klucznik.domain.invitations import DEVICE_LINK_LASTS, InvitationState, LinkTrouble
from klucznik.domain.onboarding import SignerKind
from klucznik.domain.roles import ACTIONS, SCOPES, Action, Principal, Role
from klucznik.errors import AccessDenied, InputError, SignatureNeeded
from klucznik.services import onboarding
from klucznik.services.accounts.browser_sessions import session_of
from klucznik.services.audit import verify
from klucznik.services.backup import backup, restore
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.invitations import (
    enter,
    invitation_of,
    invite,
    link_for_another_device,
    look,
    one_invitation,
    page_of_invitations,
    renew_link,
    revoke,
)
from klucznik.storage import invitations
from ksef_sandbox import Sandbox

STAFF = Principal("user:anna", "anna@biuro.example", Role.STAFF, ACTIONS[Role.STAFF])
VENDOR = Principal("key:vendor", "vendor", None, SCOPES)


def of_company(nip: str) -> Principal:
    return Principal("key:bound", "bound", None, SCOPES, nip)


async def refused(klucznik: Installation, token: str) -> str:
    with pytest.raises(InputError) as error:
        await enter(klucznik, token)
    return error.value.reason


async def client_of(klucznik: Installation, cookie: str) -> Principal | None:
    found = await session_of(klucznik, cookie)
    return None if found is None else found[1]


async def test_a_link_opens_one_browser_once_and_for_one_company_alone(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        invited = await invite(
            klucznik, STAFF, f"PL {nip[:3]}-{nip[3:]}", name="  Żółw\tsp. z o.o. ", email="a@Żółw.pl"
        )
        assert (invited.invitation.name, invited.invitation.email) == ("Żółw sp. z o.o.", "a@żółw.pl")
        for _ in range(3):  # a program that looks at links uses up nothing
            assert (await look(klucznik, invited.token)).trouble is None
        both = await asyncio.gather(*(enter(klucznik, invited.token) for _ in range(2)), return_exceptions=True)
        (cookie,) = (one[0] for one in both if isinstance(one, tuple))
        assert [one.reason for one in both if isinstance(one, InputError)] == ["invitation_link_used"]
        principal = await client_of(klucznik, cookie)
        assert principal is not None
        assert (principal.role, principal.nip, principal.name) == (Role.CLIENT, nip, "Żółw sp. z o.o.")
        assert not principal.may(Action.SEE)
        assert (await look(klucznik, invited.token)).trouble is LinkTrouble.USED
        assert await refused(klucznik, "x" * 43) == "invitation_unknown"
        assert (await verify(klucznik)).broken == ()
    kept = everything_in(tmp_path)
    assert nip.encode() in kept
    assert invited.token.encode() not in kept
    assert cookie.encode() not in kept


async def test_what_is_taken_back_sent_anew_out_of_date_or_done_opens_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first = await invite(klucznik, STAFF, some_nip(), days=1)
        cookie, _ = await enter(klucznik, first.token)
        second = await renew_link(klucznik, STAFF, first.invitation.id)
        assert await client_of(klucznik, cookie) is None
        assert await refused(klucznik, first.token) == "invitation_unknown"
        cookie, _ = await enter(klucznik, second.token)
        assert (await revoke(klucznik, STAFF, first.invitation.id)).revoked_at is not None
        assert await client_of(klucznik, cookie) is None
        assert await refused(klucznik, second.token) == "invitation_revoked"
        with pytest.raises(InputError, match="invitation_revoked"):
            await renew_link(klucznik, STAFF, first.invitation.id)

        late = await invite(klucznik, STAFF, some_nip(), days=1)
        ksef.advance(seconds=24 * 3600)
        assert await refused(klucznik, late.token) == "invitation_expired"
        again = await renew_link(klucznik, STAFF, late.invitation.id, days=2)
        cookie, _ = await enter(klucznik, again.token)
        await klucznik.database.write(
            lambda transaction: invitations.close(transaction, late.invitation.id, now=ksef.now())
        )
        assert await refused(klucznik, again.token) == "invitation_done"
        for act in (revoke, renew_link):
            with pytest.raises(InputError, match="invitation_done"):
                await act(klucznik, STAFF, late.invitation.id)
        client = await client_of(klucznik, cookie)
        assert client is not None
        assert client.actions == {Action.CONNECT, Action.EXPORT_KEYS}


async def test_an_invitation_leads_to_one_connection_and_then_closes(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        invited = await invite(klucznik, STAFF, nip, name="Piekarnia Ślimak")
        cookie, _ = await enter(klucznik, invited.token)
        client = await client_of(klucznik, cookie)
        assert client is not None
        with pytest.raises(InputError, match="onboarding_unknown"):
            await onboarding.begin(klucznik, some_nip(), by=client)
        begun = await onboarding.begin(klucznik, nip, by=client)
        assert begun.invitation_id == invited.invitation.id
        assert await onboarding.of_invitation(klucznik, client) == begun
        await onboarding.choose_signer(klucznik, begun.id, client, SignerKind.SEAL)
        await onboarding.choose_method(klucznik, begun.id, client, Method.CERTIFICATES)
        await onboarding.sign_in_with_key(klucznik, begun.id, client, company(nip, ksef))
        await onboarding.look(klucznik, begun.id, client)
        await onboarding.confirm(klucznik, begun.id, client)
        await Engine(klucznik).run_until_idle()
        assert (await one_invitation(klucznik, STAFF, invited.invitation.id)).state(ksef.now()) is InvitationState.DONE
        with pytest.raises(InputError, match="invitation_done"):
            await onboarding.begin(klucznik, nip, by=client)


async def test_another_device_goes_on_and_the_first_one_stays(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        invited = await invite(klucznik, STAFF, some_nip())
        first, session = await enter(klucznik, invited.token)
        forgotten = await link_for_another_device(klucznik, session)
        made = await link_for_another_device(klucznik, session)
        assert await refused(klucznik, forgotten.token) == "invitation_unknown"
        second, other = await enter(klucznik, made.token)
        assert await client_of(klucznik, first) == await client_of(klucznik, second) is not None
        assert (await invitation_of(klucznik, other)).state(ksef.now()) is InvitationState.OPENED
        assert await refused(klucznik, made.token) == "invitation_link_used"
        late = await link_for_another_device(klucznik, other)
        ksef.advance(seconds=int(DEVICE_LINK_LASTS / timedelta(seconds=1)))
        assert await refused(klucznik, late.token) == "invitation_expired"


async def test_a_browser_that_is_shut_out_makes_no_further_link(ksef: Sandbox, tmp_path: Path) -> None:
    """Its request was under way when somebody gave the invitation another link."""
    async with installed(tmp_path, ksef) as klucznik:
        invited = await invite(klucznik, STAFF, some_nip())
        _, session = await enter(klucznik, invited.token)
        again = await renew_link(klucznik, STAFF, invited.invitation.id)
        with pytest.raises(AccessDenied, match="not_signed_in"):
            await link_for_another_device(klucznik, session)
        assert await client_of(klucznik, (await enter(klucznik, again.token))[0]) is not None


async def test_whoever_makes_another_link_goes_on_with_nobodys_sign_in(ksef: Sandbox, tmp_path: Path) -> None:
    """A program that may only invite knows every link that it makes; the owner has signed by the first."""
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        boss_signs = owner(nip, ksef)
        made = await invite(klucznik, VENDOR, nip)
        boss = await client_of(klucznik, (await enter(klucznik, made.token))[0])
        assert boss is not None
        there = await signed(klucznik, nip, boss_signs, by=boss)
        again = await renew_link(klucznik, VENDOR, made.invitation.id)
        other = await client_of(klucznik, (await enter(klucznik, again.token))[0])
        assert other is not None
        with pytest.raises(SignatureNeeded, match="onboarding_login_over"):
            await onboarding.confirm(klucznik, there.id, other)
        assert filed(ksef, boss_signs.holder.signs_in_as) == []


async def test_a_company_has_one_invitation_under_way(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        both = await asyncio.gather(*(invite(klucznik, STAFF, nip) for _ in range(2)), return_exceptions=True)
        assert [one.reason for one in both if isinstance(one, InputError)] == ["invitation_there"]
        ksef.advance(seconds=15 * 24 * 3600)
        await invite(klucznik, STAFF, nip)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"nip": "12345"}, "nip_malformed"),
        ({"name": "x" * 101}, "connection_name_malformed"),
        ({"name": "Firma\u202eakzsap"}, "connection_name_malformed"),
        ({"email": "anna@"}, "email_malformed"),
        ({"days": 61}, "invitation_days_out_of_range"),
    ],
)
async def test_what_cannot_be_an_invitation_is_none(
    ksef: Sandbox, tmp_path: Path, given: dict[str, str], reason: str
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(InputError) as error:
            await invite(klucznik, STAFF, **{"nip": some_nip(), **given})  # type: ignore[arg-type]
        assert error.value.reason == reason
        assert await page_of_invitations(klucznik, STAFF) == []


async def test_a_key_reaches_its_own_invitations_alone(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        theirs = (await invite(klucznik, STAFF, other)).invitation
        key = of_company(nip)
        with pytest.raises(AccessDenied, match="page_unknown"):
            await invite(klucznik, key, other)
        for act in (one_invitation, revoke, renew_link):
            with pytest.raises(InputError, match="invitation_unknown"):
                await act(klucznik, key, theirs.id)
            with pytest.raises(InputError, match="invitation_unknown"):
                await act(klucznik, VENDOR, theirs.id)  # another's may have led to a signature already
        mine = (await invite(klucznik, key, nip)).invitation
        assert await page_of_invitations(klucznik, key) == [mine]
        assert await one_invitation(klucznik, STAFF, theirs.id) == theirs
        auditor = Principal("user:a", "a", Role.AUDITOR, ACTIONS[Role.AUDITOR])
        with pytest.raises(AccessDenied, match="not_allowed"):
            await page_of_invitations(klucznik, auditor)


async def test_a_program_invites_nobody_whose_company_is_connected_here(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
        assert await connection_of(klucznik, nip) is not None
        with pytest.raises(InputError, match="company_connected"):
            await invite(klucznik, VENDOR, nip)
        assert (await invite(klucznik, STAFF, nip)).invitation.context == context_of(nip)


async def test_invitations_are_paged_the_newest_first_and_by_state(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        made = []
        for number in range(5):
            made.append(await invite(klucznik, STAFF, some_nip(), days=1 if number < 2 else 14))
            ksef.advance(seconds=number % 2)  # some at the very same moment
        ids = {one.invitation.id for one in made}
        await enter(klucznik, made[0].token)
        await revoke(klucznik, STAFF, made[4].invitation.id)
        ksef.advance(seconds=24 * 3600)
        seen, after = [], None
        while page := await page_of_invitations(klucznik, STAFF, size=2, after=after):
            seen += page
            after = page[-1].id
        assert [one.created_at for one in seen] == sorted((one.created_at for one in seen), reverse=True)
        assert {one.id for one in seen} == ids
        for state in InvitationState:
            listed = await page_of_invitations(klucznik, STAFF, state=state)
            assert {one.id for one in listed} == {one.id for one in seen if one.state(ksef.now()) is state}


async def test_no_link_of_a_backup_opens_anything_after_it_is_put_back(ksef: Sandbox, tmp_path: Path) -> None:
    """It may have been used since, or taken back."""
    async with installed(tmp_path / "home", ksef) as klucznik:
        invited = await invite(klucznik, STAFF, some_nip())
        await backup(klucznik, tmp_path / "backup", b"kanarek kopii zapasowej")
        await restore(klucznik, tmp_path / "backup", b"kanarek kopii zapasowej", force=True)
    async with installed(tmp_path / "home", ksef) as klucznik:
        assert await refused(klucznik, invited.token) == "invitation_revoked"
