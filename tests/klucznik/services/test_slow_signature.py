"""KSeF takes minutes to check a signature: whoever handed it in is answered, and the row tells how it ends."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from tests.klucznik.offices import signed_in_as
from tests.klucznik.onboardings import STAFF, begun, by_another_program
from tests.klucznik.world import HeldClock, checked, installed, owner, person, slow_to_check, some_nip, some_pesel

from klucznik.domain.onboarding import Onboarding, OnboardingState, Setback
from klucznik.domain.roles import ACTIONS, Principal, Role
from klucznik.errors import InputError, StorageError
from klucznik.keys.credential import Credential
from klucznik.services import invitations
from klucznik.services import onboarding as onboardings
from klucznik.services.background import Background, Reached
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox

S = OnboardingState


async def handed_in(
    klucznik: Installation, asked: Onboarding, credential: Credential, by: Principal = STAFF
) -> Onboarding:
    """The document, signed and with KSeF, which checks it."""
    assert isinstance(klucznik.clock, HeldClock)
    document = (await onboardings.ask_for_document(klucznik, asked.id, by)).document
    there = await onboardings.hand_in(klucznik, asked.id, by, by_another_program(document, credential))
    assert isinstance(there, Onboarding)
    assert there.state is S.SIGN
    assert there.checking_since is not None
    await klucznik.clock.somebody_waits.wait()
    return there


async def test_the_row_says_that_it_is_being_checked_and_then_who_has_signed(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock), installed(tmp_path, ksef) as another:
        asked = await begun(klucznik, nip)
        there = await handed_in(klucznik, asked, boss)
        assert await onboardings.find(another, asked.id, STAFF) == there
        assert (await onboardings.unfinished(another, STAFF))[0].checking_since is not None
        # Neither here nor elsewhere is another one begun, unless a person does not want to wait.
        for process in (klucznik, another):
            with pytest.raises(InputError, match="signature_being_checked"):
                await onboardings.ask_for_document(process, asked.id, STAFF)
            with pytest.raises(InputError, match="signature_being_checked"):
                await onboardings.hand_in(process, asked.id, STAFF, b"<xml/>")
        assert len(ksef.requests(method="POST", path="/auth/xades-signature")) == 1
        await checked(klucznik, clock)
        done = await onboardings.find(another, asked.id, STAFF)
        assert (done.state, done.subject) == (S.LIMITS, boss.holder.signs_in_as)
        assert (done.checking_since, done.setback) == (None, None)
        # The login rests here, as after any other signature.
        assert (await onboardings.look(another, asked.id, STAFF)).onboarding.limits is not None


async def test_a_refusal_that_comes_late_is_told_with_its_code(ksef: Sandbox, tmp_path: Path) -> None:
    stranger = person(some_pesel(), ksef)
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock):
        asked = await begun(klucznik)
        await handed_in(klucznik, asked, stranger)
        await checked(klucznik, clock)
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.checking_since) == (S.SIGN, None)
        assert (back.setback, back.refused_code) == (Setback.SIGN_IN_REFUSED, 415)
        await onboardings.ask_for_document(klucznik, asked.id, STAFF)
        again = await onboardings.find(klucznik, asked.id, STAFF)
        assert (again.setback, again.refused_code) == (None, None)


async def test_the_end_of_the_process_breaks_it_off_and_the_row_says_so(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    async with slow_to_check(tmp_path, ksef) as (klucznik, _):
        asked = await begun(klucznik, nip)
        await handed_in(klucznik, asked, boss)
    ksef.set(auth_delay_ms=0)
    async with installed(tmp_path, ksef) as klucznik:
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.checking_since, back.setback) == (S.SIGN, None, Setback.SIGN_IN_UNFINISHED)
        document = (await onboardings.ask_for_document(klucznik, asked.id, STAFF)).document
        done = await onboardings.hand_in(klucznik, asked.id, STAFF, by_another_program(document, boss))
        assert isinstance(done, onboardings.HandedIn)
        assert (done.onboarding.state, done.onboarding.setback) == (S.LIMITS, None)


async def test_where_nobody_can_be_at_it_any_more_a_fresh_document_is_asked_for(ksef: Sandbox, tmp_path: Path) -> None:
    """A process that was killed says nothing: it is known by the time, and another one goes on."""
    nip = some_nip()
    async with slow_to_check(tmp_path, ksef) as (killed, _), installed(tmp_path, ksef) as klucznik:
        asked = await begun(killed, nip)
        await handed_in(killed, asked, owner(nip, ksef))
        ksef.advance(minutes=15)
        assert (await onboardings.find(klucznik, asked.id, STAFF)).checking_since is not None
        ksef.advance(minutes=1, seconds=1)
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.checking_since, back.setback) == (S.SIGN, None, Setback.SIGN_IN_UNFINISHED)
        fresh = await onboardings.ask_for_document(klucznik, asked.id, STAFF)
        assert (await onboardings.find(klucznik, asked.id, STAFF)).signature_request_id == fresh.id


async def test_nothing_comes_of_a_signature_that_somebody_would_not_wait_for(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock):
        asked = await begun(klucznik, nip)
        await handed_in(klucznik, asked, boss)
        fresh = await onboardings.ask_for_document(klucznik, asked.id, STAFF, anew=True)
        await checked(klucznik, clock)
        there = await onboardings.find(klucznik, asked.id, STAFF)
        assert (there.state, there.signature_request_id, there.setback) == (S.SIGN, fresh.id, None)
        async with signed_in_as(klucznik, nip, boss) as signed_in:
            assert [one.is_current for one in await signed_in.session.sessions()] == [True]


async def test_nobody_is_signed_in_for_whoever_comes_by_a_new_link(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock):
        invited = await invitations.invite(klucznik, STAFF, nip)
        client = Principal(f"invitation:{invited.invitation.id}", nip, Role.CLIENT, ACTIONS[Role.CLIENT], nip)
        asked = await begun(klucznik, nip, by=client)
        await handed_in(klucznik, asked, boss, by=client)
        await invitations.renew_link(klucznik, STAFF, invited.invitation.id)
        await checked(klucznik, clock)
        back = await onboardings.find(klucznik, asked.id, client)
        assert (back.state, back.subject, back.setback) == (S.SIGN, None, Setback.SIGN_IN_UNFINISHED)


async def test_whoever_went_back_meanwhile_is_not_signed_in_and_hears_of_no_setback(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock):
        asked = await begun(klucznik, nip)
        await handed_in(klucznik, asked, owner(nip, ksef))
        await onboardings.go_back(klucznik, asked.id, STAFF, S.SIGNER)
        await checked(klucznik, clock)
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.subject, back.checking_since, back.setback) == (S.SIGNER, None, None, None)


async def test_an_error_that_nobody_waits_for_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    background, goes_on = Background(answer_within_s=0.0), asyncio.Event()

    async def fail(reached: Reached, error: Exception) -> str:
        reached()
        await goes_on.wait()
        raise error

    for error in (StorageError("database_busy"), ZeroDivisionError("unforeseen")):
        assert await background.see_to(partial(fail, error=error)) is None
    goes_on.set()
    await background.stop()
    assert [(one.levelname, one.exc_info is not None) for one in caplog.records] == [
        ("WARNING", False),
        ("ERROR", True),
    ]
    background.answer_within_s = 60.0
    with pytest.raises(InputError):  # whoever waits hears of it, and nobody else
        await background.see_to(partial(fail, error=InputError("not_confirmed")))
    assert len(caplog.records) == 2
