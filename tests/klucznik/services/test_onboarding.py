"""The wizard's road: every step is a row, so another process, device or person of the office goes on from there."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection as Transaction
from sqlalchemy import update
from tests.klucznik.databases import everything_in
from tests.klucznik.mishaps import LIMITS, Mishap, Network, not_connected, refused
from tests.klucznik.offices import connection_of, employee, grants_sent, office, signed_in_as, told
from tests.klucznik.onboardings import STAFF, begun, by_another_program, signed
from tests.klucznik.world import (
    accepted,
    assert_key_kept,
    assert_whole_pair,
    calls_of,
    company,
    context_of,
    filed,
    installed,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.connections import Health, Method
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.onboarding import Onboarding, OnboardingState, Setback, SignerKind
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.road_steps import Standing, StepKind
from klucznik.domain.waits import WaitKind
from klucznik.errors import InputError, KsefRefused, KsefUnavailable, SignatureNeeded, SignedDocumentError, StorageError
from klucznik.keys.credential import Credential
from klucznik.services import onboarding as onboardings
from klucznik.services.advance import advance
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue, order_signed_in
from klucznik.services.limits import read_limits
from klucznik.services.onboarding import logins, rows
from klucznik.services.revoke import revoke
from klucznik.services.signing import hand_in, request_of
from klucznik.services.status import all_issuances
from klucznik.storage import certificates, dump, schema_people, sealed_secrets
from ksef_sandbox import Sandbox

S = OnboardingState


async def held_by(klucznik: Installation, subject: Subject) -> list[HeldCertificate]:
    return await klucznik.database.read(
        lambda transaction: certificates.of_subject(transaction, klucznik.environment, subject)
    )


async def sealed_logins(klucznik: Installation, onboarding: Onboarding) -> bool:
    def read(transaction: Transaction) -> bool:
        now = klucznik.clock.now()
        return sealed_secrets.load(transaction, "onboarding", onboarding.id, now=now) is not None

    return await klucznik.database.read(read)


async def open_sessions(klucznik: Installation, ksef: Sandbox, nip: str, credential: Credential) -> int:
    """Sessions of the subject at KSeF, apart from the one that asks."""
    async with signed_in_as(klucznik, nip, credential) as signed_in:
        found = await signed_in.session.sessions()
    # A proof goes only as far as KSeF's yes: nobody has taken the tokens of its session, and nobody can.
    return sum(not one.is_current and one.refresh_valid_until is not None for one in found)


def sign_ins(ksef: Sandbox) -> int:
    return len(ksef.requests(method="POST", path="/auth/xades-signature"))


async def test_from_the_first_click_to_a_proved_pair_each_step_in_another_process(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    subject = person.holder.signs_in_as
    home = tmp_path
    async with installed(home, ksef) as klucznik:
        new = await onboardings.begin(klucznik, f"PL {nip}", by=STAFF, name=" Piekarnia  Ślimak ")
        assert new.state is S.SIGNER
    async with installed(home, ksef) as klucznik:
        assert (await onboardings.begin(klucznik, nip, by=STAFF)).id == new.id
        assert (await onboardings.choose_signer(klucznik, new.id, STAFF, SignerKind.PERSON)).state is S.METHOD
        assert (await onboardings.choose_method(klucznik, new.id, STAFF, Method.CERTIFICATES)).state is S.SIGN
        document = await onboardings.ask_for_document(klucznik, new.id, STAFF)
    async with installed(home, ksef) as klucznik:
        again = await onboardings.ask_for_document(klucznik, new.id, STAFF)
        assert again.document == document.document
        signed = by_another_program(document.document, person)
        done = await onboardings.hand_in(klucznik, new.id, STAFF, signed)
        assert isinstance(done, onboardings.HandedIn)
        assert done.onboarding.state is S.LIMITS
        assert done.onboarding.subject == done.signed_by.subject == subject
        assert not done.onboarding.signed_by_another
    async with installed(home, ksef) as klucznik:
        look = await onboardings.look(klucznik, new.id, STAFF)
        assert look.onboarding.limits == (await read_limits(klucznik, context_of(nip), person)).limits
        assert (len(look.missing), look.findings, look.held) == (2, (), ())
        assert filed(ksef, subject) == []
    async with installed(home, ksef) as klucznik:
        assert (await onboardings.confirm(klucznik, new.id, STAFF)).state is S.ISSUING
        assert filed(ksef, subject) == []
        steps = (await onboardings.progress(klucznik, new.id, STAFF)).steps
        assert [step.standing for step in steps][:2] == [Standing.NOW, Standing.AHEAD]
    async with installed(home, ksef) as worker:
        await Engine(worker).run_until_idle()
    async with installed(home, ksef) as klucznik:
        found = await onboardings.progress(klucznik, new.id, STAFF)
        assert found.onboarding.state is S.DONE
        assert {step.standing for step in found.steps} == {Standing.DONE}
        assert found.issuance is not None
        assert found.issuance.spent == 2
        for certificate in await held_by(klucznik, subject):
            assert certificate.verified_at is not None
            await assert_key_kept(klucznik, certificate.der, certificate.key_id)
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert (connection.method, connection.name) == (Method.CERTIFICATES, "Piekarnia Ślimak")
        assert not await sealed_logins(klucznik, found.onboarding)
        assert await open_sessions(klucznik, ksef, nip, person) == 0
        assert await onboardings.unfinished(klucznik, STAFF) == []
        events = await told(klucznik, subject)
        assert [events.count(name) for name in ("signed_elsewhere", "onboarding_signed_in", "onboarding_ended")] == [
            1,
            1,
            1,
        ]
    assert len(accepted(ksef, subject)) == 2


async def test_nothing_of_the_login_is_readable_while_it_rests(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        resting = await signed(klucznik, nip, owner(nip, ksef))
        opened = await logins.opened(klucznik, resting)
        assert opened is not None
        tokens = opened.session.tokens
        assert tokens is not None
    kept = everything_in(tmp_path)
    for token in (tokens.access, tokens.refresh):
        _, claims, signature = token.value.split(".")
        assert claims.encode() not in kept
        assert signature.encode() not in kept


async def test_two_browsers_that_confirm_at_once_order_one_pair(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as one, installed(tmp_path, ksef) as other:
        ready = await signed(one, nip, person)
        both = await asyncio.gather(
            onboardings.confirm(one, ready.id, STAFF), onboardings.confirm(other, ready.id, STAFF)
        )
        assert {(found.state, found.issuance_id) for found in both} == {(S.ISSUING, both[0].issuance_id)}
        await asyncio.gather(Engine(one).run_until_idle(), Engine(other).run_until_idle())
        # And once more, long after.
        assert (await onboardings.confirm(other, ready.id, STAFF)).state is S.DONE
    assert len(filed(ksef, person.holder.signs_in_as)) == 2


async def test_limits_that_leave_no_room_refuse_before_anything_is_ordered_and_the_evidence_is_kept(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    set_limits(ksef, person.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        look = await onboardings.look(klucznik, ready.id, STAFF)
        assert look.onboarding.state is S.REFUSED
        ksef.clear_requests()
    async with installed(tmp_path, ksef) as klucznik:
        again = await onboardings.look(klucznik, ready.id, STAFF)
        assert again.onboarding.refusal == look.onboarding.refusal
        assert again.onboarding.refusal is not None
        assert again.onboarding.limits_at is not None
        assert ksef.requests() == []
        assert (await onboardings.progress(klucznik, ready.id, STAFF)).issuance is None
        # The limits may have changed meanwhile, whatever was said before.
        set_limits(ksef, person.holder.signs_in_as, enrollment=6)
        assert (await onboardings.confirm(klucznik, ready.id, STAFF)).state is S.ISSUING


async def test_a_worker_s_refusal_is_kept_with_the_session_and_the_grant_needs_no_second_signature(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    person = owner(nip, ksef)
    subject = person.holder.signs_in_as
    async with office(tmp_path, ksef, operator) as klucznik:
        ready = await signed(klucznik, nip, person)
        await onboardings.confirm(klucznik, ready.id, STAFF)
        set_limits(ksef, subject, enrollment=1)  # between the yes and the worker
        await Engine(klucznik).run_until_idle()
        found = await onboardings.progress(klucznik, ready.id, STAFF)
        assert found.onboarding.state is S.REFUSED
        assert found.onboarding.refusal is not None
        assert found.onboarding.refusal.limits.enrollment.remaining == 1
        assert found.steps[0].standing is Standing.STOPPED
    signed_in = sign_ins(ksef)
    async with installed(tmp_path, ksef) as klucznik:
        what = await onboardings.proposed_grant(klucznik, ready.id, STAFF)
        assert what.operator.nip == operator
        assert grants_sent(ksef) == 0
        with pytest.raises(InputError, match="not_confirmed"):
            await onboardings.grant(klucznik, ready.id, STAFF, operator_nip=some_nip())
        assert sign_ins(ksef) == signed_in
        outcome = await onboardings.grant(klucznik, ready.id, STAFF, operator_nip=operator)
        assert isinstance(outcome, tuple)
        done, granted = outcome
        assert (done.state, done.method) == (S.DONE, Method.PERMISSION)
        assert granted.connection.health is Health.HEALTHY
        assert await open_sessions(klucznik, ksef, nip, person) == 0
    assert grants_sent(ksef) == 1
    assert filed(ksef, subject) == []


async def test_revoking_what_the_refusal_names_makes_room_and_the_pair_is_issued_in_the_same_session(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    subject = person.holder.signs_in_as
    async with installed(tmp_path / "elsewhere", ksef) as elsewhere:
        await assert_whole_pair(elsewhere, await issue(elsewhere, context_of(nip), person))
    set_limits(ksef, subject, enrollment=8, certificate=3)
    async with installed(tmp_path / "here", ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        said_no = (await onboardings.look(klucznik, ready.id, STAFF)).onboarding
        assert said_no.refusal is not None
        (remedy,) = (one for one in said_no.refusal.remedies if one.kind is RemedyKind.REVOKE)
        serials = [about.record.serial_number for about in remedy.suggested_certificates]
        with pytest.raises(InputError, match="certificate_not_offered"):
            await onboardings.revoke(klucznik, ready.id, STAFF, ["0123456789ABCDEF"])
        (shown,) = await onboardings.proposed_revocations(klucznik, ready.id, STAFF, serials)
        assert shown.record.serial_number == serials[0]
        ksef.clear_requests()
        outcome = await onboardings.revoke(klucznik, ready.id, STAFF, serials)
        assert isinstance(outcome, tuple)
        look, revoked = outcome
        assert [one.record.serial_number for one in revoked] == serials
        assert look.onboarding.state is S.LIMITS
        await onboardings.confirm(klucznik, ready.id, STAFF)
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, ready.id, STAFF)).state is S.DONE
    assert sum(call.route == "/auth/xades-signature" for call in calls_of(ksef, subject)) <= 1  # the proof's own
    assert len(filed(ksef, subject)) == 2


async def test_an_order_that_waits_for_limits_can_be_left_for_another_way_out(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    set_limits(ksef, person.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        await onboardings.look(klucznik, ready.id, STAFF)
        assert (await onboardings.wait_for_limits(klucznik, ready.id, STAFF)).state is S.ISSUING
        await Engine(klucznik).run_until_idle()
        waiting = await onboardings.progress(klucznik, ready.id, STAFF)
        assert waiting.onboarding.refusal is not None
        assert waiting.issuance is not None
        assert waiting.issuance.issuance.wait is not None
        assert waiting.issuance.issuance.wait.kind is WaitKind.LIMITS
        back = await onboardings.go_back(klucznik, ready.id, STAFF, S.LIMITS)
        assert (back.state, back.setback) == (S.LIMITS, Setback.ISSUANCE_CANCELLED)
        assert (await onboardings.look(klucznik, ready.id, STAFF)).onboarding.state is S.REFUSED
        other = await onboardings.choose_method(klucznik, ready.id, STAFF, Method.PERMISSION)
        assert (other.state, other.subject) == (S.CONNECT, person.holder.signs_in_as)


async def test_a_login_that_is_over_leads_back_to_the_signature_and_the_next_one_goes_on(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded, match="onboarding_login_over"):
            await onboardings.confirm(klucznik, ready.id, STAFF)
        back = await onboardings.find(klucznik, ready.id, STAFF)
        assert (back.state, back.setback, back.subject) == (S.SIGN, Setback.LOGIN_OVER, None)
        again = await onboardings.sign_in_with_key(klucznik, ready.id, STAFF, company(nip, ksef))
        assert (again.state, again.setback) == (S.LIMITS, None)


async def test_a_login_that_is_over_under_the_order_is_replaced_by_its_own_subject_alone(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person, other = owner(nip, ksef), company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        ordered = await onboardings.confirm(klucznik, ready.id, STAFF)
        assert ordered.issuance_id is not None
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded):
            await advance(klucznik, ordered.issuance_id)
        assert (await onboardings.find(klucznik, ready.id, STAFF)).setback is Setback.LOGIN_OVER
        with pytest.raises(InputError, match="credential_of_other_subject"):
            await onboardings.sign_in_with_key(klucznik, ready.id, STAFF, other)
        document = await onboardings.ask_for_document(klucznik, ready.id, STAFF)
        with pytest.raises(SignedDocumentError, match="signed_by_other_subject"):
            await onboardings.hand_in(klucznik, ready.id, STAFF, by_another_program(document.document, other))
        done = await onboardings.hand_in(klucznik, ready.id, STAFF, by_another_program(document.document, person))
        assert isinstance(done, onboardings.HandedIn)
        assert (done.onboarding.state, done.onboarding.issuance_id) == (S.ISSUING, ordered.issuance_id)
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, ready.id, STAFF)).state is S.DONE
    assert len(filed(ksef, person.holder.signs_in_as)) == 2


async def test_a_pair_that_is_here_already_connects_the_company_for_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), seal))
        ready = await signed(klucznik, nip, seal)
        look = await onboardings.look(klucznik, ready.id, STAFF)
        assert (len(look.held), look.missing, look.findings) == (2, (), ())
        assert look.onboarding.signed_by_another  # it was said that a person would sign
        ksef.clear_requests()
        done = await onboardings.confirm(klucznik, ready.id, STAFF)
        assert done.state is S.DONE
    assert filed(ksef, seal.holder.signs_in_as) == []


async def test_an_order_for_the_subject_s_other_company_is_waited_for_and_then_nothing_is_missing(
    ksef: Sandbox, tmp_path: Path
) -> None:
    one, two = some_nip(), some_nip()
    person = owner(one, ksef)
    ksef.link_person(nip=two, pesel=person.holder.signs_in_as.value)
    async with installed(tmp_path, ksef) as klucznik:
        first, second = await signed(klucznik, one, person), await signed(klucznik, two, person)
        ordered = await onboardings.confirm(klucznik, first.id, STAFF)
        assert (await onboardings.confirm(klucznik, second.id, STAFF)).issuance_id == ordered.issuance_id
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, first.id, STAFF)).state is S.DONE
        back = await onboardings.find(klucznik, second.id, STAFF)
        assert (back.state, back.setback) == (S.LIMITS, Setback.ISSUED_FOR_ANOTHER)
        assert (await onboardings.confirm(klucznik, second.id, STAFF)).state is S.DONE
        assert await connection_of(klucznik, two) is not None
    assert len(filed(ksef, person.holder.signs_in_as)) == 2


async def test_giving_up_ends_the_session_and_files_nothing_more(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        await onboardings.confirm(klucznik, ready.id, STAFF)
        left = await onboardings.give_up(klucznik, ready.id, STAFF)
        assert left.state is S.GIVEN_UP
        await Engine(klucznik).run_until_idle()
        found = await onboardings.progress(klucznik, ready.id, STAFF)
        assert found.issuance is not None
        assert found.issuance.issuance.state is IssuanceState.CANCELLED
        assert await open_sessions(klucznik, ksef, nip, person) == 0
        with pytest.raises(InputError, match="onboarding_no_way_back"):
            await onboardings.choose_method(klucznik, ready.id, STAFF, Method.TOKEN)
    assert filed(ksef, person.holder.signs_in_as) == []


async def test_whoever_changes_the_signer_is_signed_out_and_whoever_changes_the_method_is_not(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        kept = await onboardings.choose_method(klucznik, ready.id, STAFF, Method.PERMISSION)
        assert (kept.state, kept.subject) == (S.CONNECT, person.holder.signs_in_as)
        assert (await onboardings.choose_method(klucznik, ready.id, STAFF, Method.CERTIFICATES)).state is S.LIMITS
        out = await onboardings.choose_signer(klucznik, ready.id, STAFF, SignerKind.SEAL)
        assert (out.state, out.subject) == (S.METHOD, None)
        assert await open_sessions(klucznik, ksef, nip, person) == 0
        assert (await onboardings.choose_method(klucznik, ready.id, STAFF, Method.CERTIFICATES)).state is S.SIGN


async def test_a_document_of_one_onboarding_is_of_no_use_to_another_or_at_the_terminal(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        mine, other = await begun(klucznik, nip), await begun(klucznik)
        document = (await onboardings.ask_for_document(klucznik, mine.id, STAFF)).document
        signed_file = by_another_program(document, person)
        with pytest.raises(InputError, match="signed_for_something_else"):
            await onboardings.hand_in(klucznik, other.id, STAFF, signed_file)
        with pytest.raises(InputError, match="signed_for_something_else"):
            await hand_in(klucznik, await request_of(klucznik, signed_file), signed_file)
        ksef.advance(minutes=11)
        with pytest.raises(SignedDocumentError, match="signed_too_late"):
            await onboardings.hand_in(klucznik, mine.id, STAFF, signed_file)
        assert (await onboardings.ask_for_document(klucznik, mine.id, STAFF)).document != document


async def test_when_ksef_does_not_answer_nothing_is_lost_and_the_yes_may_be_said_again(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
    network = Network(Mishap(LIMITS, not_connected, on=None))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefUnavailable):
            await onboardings.confirm(klucznik, ready.id, STAFF)
    async with installed(tmp_path, ksef) as klucznik:
        assert (await onboardings.find(klucznik, ready.id, STAFF)).state is S.LIMITS
        assert (await onboardings.confirm(klucznik, ready.id, STAFF)).state is S.ISSUING


async def test_a_list_of_the_unfinished_is_paged_by_key(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        made = [(await begun(klucznik)).id for _ in range(5)]
        found: list[Onboarding] = []
        while page := await onboardings.unfinished(klucznik, STAFF, before=found[-1].place if found else None, size=2):
            assert len(page) <= 2
            found += page
        assert sorted(one.id for one in found) == sorted(made)


async def test_whoever_saw_an_older_version_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        ready = await begun(klucznik)
        await onboardings.choose_method(klucznik, ready.id, STAFF, Method.TOKEN)
        with pytest.raises(StorageError, match="state_moved_on"):
            await rows.saved(klucznik, ready)


async def test_an_order_of_which_the_onboarding_cannot_learn_is_not_made(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()

    def crash(_: Transaction, __: Issuance) -> None:
        raise StorageError("disk_full")

    async with installed(tmp_path, ksef) as klucznik:
        async with signed_in_as(klucznik, nip, company(nip, ksef)) as signed_in:
            with pytest.raises(StorageError, match="disk_full"):
                await order_signed_in(klucznik, signed_in, recorded=crash)
        assert await all_issuances(klucznik) == []


async def test_what_was_filed_before_somebody_gave_up_is_finished_with_the_login_that_is_there(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    ksef.set(enroll_delay_ms=3_600_000)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        ordered = await onboardings.confirm(klucznik, ready.id, STAFF)
        assert ordered.issuance_id is not None
        await advance(klucznik, ordered.issuance_id)
        with pytest.raises(InputError, match="issuance_has_spent"):
            await onboardings.go_back(klucznik, ready.id, STAFF, S.LIMITS)
        found = await onboardings.progress(klucznik, ready.id, STAFF)
        assert [step.standing for step in found.steps if step.kind is StepKind.ISSUE] == [Standing.NOW, Standing.NOW]
        assert (await onboardings.give_up(klucznik, ready.id, STAFF)).state is S.GIVEN_UP
        ksef.advance(hours=2)
        await Engine(klucznik).run_until_idle()
        assert len(await held_by(klucznik, person.holder.signs_in_as)) == 2
        assert await open_sessions(klucznik, ksef, nip, person) == 0


async def test_a_row_that_names_another_subject_does_not_open_the_login(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, owner(nip, ksef))
        swapped = update(schema_people.onboardings).values(subject_type="Nip", subject_value=some_nip())
        await klucznik.database.write(lambda transaction: transaction.execute(swapped))
        ksef.clear_requests()
        with pytest.raises(SignatureNeeded, match="onboarding_login_over"):
            await onboardings.look(klucznik, ready.id, STAFF)
        assert ksef.requests() == []


async def test_a_backup_holds_no_login(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await signed(klucznik, nip, owner(nip, ksef))
        now = klucznik.clock.now()
        lines = await klucznik.database.read(lambda transaction: list(dump.lines(transaction, lambda _: [], now)))
        tables = [line for line in lines if '"table"' in line]
        assert any('"sealed_secrets"' in line for line in tables)
        assert lines[lines.index(next(line for line in tables if '"sealed_secrets"' in line)) + 1] in (
            *tables,
            lines[-1],
        )


async def test_the_look_of_a_moment_ago_is_not_asked_for_again(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, owner(nip, ksef))
        first = await onboardings.look(klucznik, ready.id, STAFF)
        ksef.clear_requests()
        assert (await onboardings.look(klucznik, ready.id, STAFF)).onboarding.limits_at == first.onboarding.limits_at
        assert ksef.requests() == []
        ksef.advance(seconds=31)
        assert (await onboardings.look(klucznik, ready.id, STAFF)).onboarding.limits_at != first.onboarding.limits_at


async def test_half_a_pair_is_completed_by_one_request_and_the_other_company_is_connected_too(
    ksef: Sandbox, tmp_path: Path
) -> None:
    one, two = some_nip(), some_nip()
    person = owner(one, ksef)
    subject = person.holder.signs_in_as
    ksef.link_person(nip=two, pesel=subject.value)
    async with installed(tmp_path, ksef) as klucznik:
        outcome = await issue(klucznik, context_of(one), person)
        assert isinstance(outcome, Issued)
        await revoke(klucznik, context_of(one), outcome.certificates[1].serial_number, person, confirm=lambda _: True)
        ksef.clear_requests()
        ready = await signed(klucznik, two, person)
        assert len((await onboardings.look(klucznik, ready.id, STAFF)).missing) == 1
        await onboardings.confirm(klucznik, ready.id, STAFF)
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, ready.id, STAFF)).state is S.DONE
        connection = await connection_of(klucznik, two)
        assert connection is not None
        assert (connection.method, connection.health) == (Method.CERTIFICATES, Health.HEALTHY)
    assert len(filed(ksef, subject)) == 1


async def test_whoever_ksef_does_not_let_go_on_makes_room_for_another_signer(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person, seal = owner(nip, ksef), company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        ready = await signed(klucznik, nip, person)
        ordered = await onboardings.confirm(klucznik, ready.id, STAFF)
    network = Network(Mishap("GET /v2/certificates/enrollments/data", refused(25001)))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        assert ordered.issuance_id is not None
        with pytest.raises(KsefRefused):
            await advance(klucznik, ordered.issuance_id)
        back = await onboardings.find(klucznik, ready.id, STAFF)
        assert (back.state, back.setback) == (S.SIGN, Setback.SIGNER_REFUSED)
        await onboardings.go_back(klucznik, ready.id, STAFF, S.SIGN)
        again = await onboardings.sign_in_with_key(klucznik, ready.id, STAFF, seal)
        assert (again.state, again.subject) == (S.LIMITS, seal.holder.signs_in_as)
        await onboardings.confirm(klucznik, ready.id, STAFF)
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, ready.id, STAFF)).state is S.DONE
    assert filed(ksef, person.holder.signs_in_as) == []


async def test_a_step_that_ends_late_does_not_take_away_the_login_of_whoever_has_signed_meanwhile(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """Its access token was renewed on the way; by its end somebody had gone back, and another had signed."""
    nip = some_nip()
    boss = owner(nip, ksef)
    for after in (employee(nip, ksef, "InvoiceRead"), boss):
        async with installed(tmp_path, ksef) as klucznik:
            before = await signed(klucznik, nip, boss)
            async with logins.session_of(klucznik, before) as late:
                ksef.advance(hours=1)
                await late.session.limits()
                await onboardings.go_back(klucznik, before.id, STAFF, S.SIGN)
                await onboardings.sign_in_with_key(klucznik, before.id, STAFF, after)
            assert (await onboardings.look(klucznik, before.id, STAFF)).onboarding.state is S.LIMITS
            await onboardings.give_up(klucznik, before.id, STAFF)
