"""Renewal of one subject and of many: with the certificate that is still valid, as many requests as certificates."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.klucznik.mishaps import FILING, Mishap, Network, refused
from tests.klucznik.services.renewing import connect, issued, make_due, put_hook
from tests.klucznik.world import (
    SandboxClock,
    accepted,
    assert_key_kept,
    company,
    context_of,
    filed,
    installed,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.domain.keytype import KeyType
from klucznik.domain.renewal import due_at
from klucznik.services.advance import advance
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.services.renewal.renew import RenewalEnd, order_renewal, renew
from klucznik.services.renewal.renew_many import renew_many
from klucznik.services.renewal.renewal_scan import RenewalScan
from klucznik.services.renewal.renewals import all_subjects, running_out, subjects_of
from klucznik.services.renewal.retire import Retiring
from klucznik.services.revoke import revoke
from klucznik.storage import certificates
from ksef_sandbox import Sandbox


async def held_by(klucznik: Installation, subject: Subject) -> list[HeldCertificate]:
    return await klucznik.database.read(
        lambda connection: certificates.of_subject(connection, klucznik.environment, subject)
    )


async def test_a_due_pair_is_renewed_with_itself_and_two_requests(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        old = await issued(klucznik, nip, owner(nip, ksef))
        early = await renew(klucznik, old.subject)
        assert early is not None
        assert (early.end, early.next_at) == (RenewalEnd.NOT_DUE, min(due_at(one) for one in old.certificates))
        make_due(ksef, old)
        ksef.clear_requests()
        done = await renew(klucznik, old.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        assert done.issuance is not None
        assert set(done.issuance.replaces or ()) == {one.serial_number for one in old.certificates}
        assert [one.type.value for one in done.certificates] == ["Authentication", "Offline"]
        for one in done.certificates:
            await assert_key_kept(klucznik, one.der, one.key_id)
        assert not {one.key_id for one in done.certificates} & {one.key_id for one in old.certificates}
        assert len(filed(ksef, old.subject)) == len(accepted(ksef, old.subject)) == 2
        again = await renew(klucznik, old.subject)
        assert again is not None
        assert again.end is RenewalEnd.NOT_DUE
        assert await running_out(klucznik) == []


async def test_only_the_half_that_is_due_is_asked_for(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        old = await issued(klucznik, nip, company(nip, ksef))
        ksef.advance(days=200)
        offline = old.certificates[1].serial_number
        await revoke(klucznik, context_of(nip), offline, None, confirm=lambda _: True)
        await issue(klucznik, context_of(nip), None)
        make_due(ksef, old)
        ksef.clear_requests()
        done = await renew(klucznik, old.subject)
        assert done is not None
        assert [one.type for one in done.certificates] == [CertificateType.AUTHENTICATION]
        assert len(filed(ksef, old.subject)) == 1


async def test_one_renewal_serves_all_companies_of_a_person(ksef: Sandbox, tmp_path: Path) -> None:
    first, second = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        credential = owner(first, ksef)
        pair = await issued(klucznik, first, credential)
        ksef.link_person(nip=second, pesel=pair.subject.value)
        assert await subjects_of(klucznik, context_of(first)) == [pair.subject]
        make_due(ksef, pair)
        ksef.clear_requests()
        (done,) = await renew_many(klucznik, await all_subjects(klucznik))
        assert done.well
        assert len(accepted(ksef, pair.subject)) == 2


async def test_where_one_company_lets_it_in_no_more_another_one_does(ksef: Sandbox, tmp_path: Path) -> None:
    first, second = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, first, owner(first, ksef))
        ksef.link_person(nip=second, pesel=pair.subject.value)
        for nip in (first, second):
            await connect(klucznik, nip, pair.subject)
        httpx.post(f"{ksef.base_url}/testdata/person/remove", json={"nip": first}).raise_for_status()
        make_due(ksef, pair)
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        assert done.issuance is not None
        assert done.issuance.context == context_of(second)


async def test_a_renewed_key_is_of_the_same_kind(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, company(nip, ksef), key_type=KeyType.RSA)
        make_due(ksef, pair)
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.issuance is not None
        assert done.issuance.key_type is KeyType.RSA


async def test_what_was_interrupted_is_taken_on_again_and_not_doubled(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, company(nip, ksef))
    make_due(ksef, pair)
    ksef.clear_requests()
    async with installed(tmp_path, ksef) as dying:
        ordered = await order_renewal(dying, pair.subject)
        assert ordered is not None
        assert await order_renewal(dying, pair.subject) is None
        stopped = iter([False, False, True])  # preflight and the first request; then the process ends
        await advance(dying, ordered.id, stopping=lambda: next(stopped))
    async with installed(tmp_path, ksef) as klucznik:
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        assert done.issuance is not None
        assert done.issuance.id == ordered.id
        assert len(accepted(ksef, pair.subject)) == 2


async def test_limits_without_room_leave_the_renewal_waiting_while_the_old_certificate_lasts(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, owner(nip, ksef))
        make_due(ksef, pair)
        set_limits(ksef, pair.subject, enrollment=12, certificate=3)
        ksef.clear_requests()
        refused_by = await renew(klucznik, pair.subject)
        assert refused_by is not None
        assert refused_by.end is RenewalEnd.REFUSED_BY_LIMITS
        assert refused_by.refusal is not None
        assert refused_by.refusal.remedies
        assert refused_by.next_at is not None
        assert refused_by.standing.plan.signs_in_until == pair.certificates[0].valid_to
        assert filed(ksef, pair.subject) == []
        set_limits(ksef, pair.subject, enrollment=12, certificate=6)
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        assert len(accepted(ksef, pair.subject)) == 2


async def test_an_expired_certificate_needs_a_person(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, company(nip, ksef))
        ksef.set_now(pair.certificates[0].valid_to + timedelta(days=1))
        ksef.clear_requests()
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.NEEDS_SIGNATURE
        assert ksef.requests() == []


async def test_one_failure_stops_nobody_else(ksef: Sandbox, tmp_path: Path) -> None:
    nips = [some_nip() for _ in range(4)]
    async with installed(tmp_path, ksef) as klucznik:
        pairs = [await issued(klucznik, nip, company(nip, ksef)) for nip in nips]
        make_due(ksef, *pairs)
        set_limits(ksef, pairs[1].subject, enrollment=1, certificate=100)
        results = await renew_many(klucznik, await all_subjects(klucznik))
        ends = {done.subject: done.renewal.end for done in results if done.renewal is not None}
        assert ends.pop(pairs[1].subject) is RenewalEnd.REFUSED_BY_LIMITS
        assert list(ends.values()) == [RenewalEnd.RENEWED] * 3
        assert [done.well for done in results].count(False) == 1


async def test_what_ksef_rejected_is_not_asked_for_again_at_once(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, company(nip, ksef))
    make_due(ksef, pair)
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, refused(25003)))) as klucznik:
        rejected = await renew(klucznik, pair.subject)
        assert rejected is not None
        assert rejected.end is RenewalEnd.FAILED
        asked = len(ksef.requests())
        paused = await renew(klucznik, pair.subject)
        assert paused is not None
        assert paused.end is RenewalEnd.PAUSED
        assert paused.next_at is not None
        assert len(ksef.requests()) == asked
        assert await order_renewal(klucznik, pair.subject) is None
        ksef.set_now(paused.next_at)
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED


async def test_another_issuance_is_finished_first_and_counts(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, company(nip, ksef))
        make_due(ksef, pair)
        await order(klucznik, context_of(nip), company(nip, ksef), another_pair=True)
        ksef.clear_requests()
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        assert len(accepted(ksef, pair.subject)) == 2


@pytest.mark.parametrize("offline", [False, True], ids=["authentication", "both"])
async def test_old_certificates_are_revoked_only_as_chosen(offline: bool, ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, owner(nip, ksef))
        make_due(ksef, pair)
        (done,) = await renew_many(klucznik, [pair.subject], retiring=Retiring(True, offline))
        assert done.well
        old = [one.serial_number for one in pair.certificates]
        assert done.after[0].revoked == tuple(old if offline else old[:1])
        known = {one.serial_number: one.revoked_at for one in await held_by(klucznik, pair.subject)}
        assert [known[serial] is not None for serial in old] == [True, offline]
        assert sum(moment is None for moment in known.values()) == (2 if offline else 3)


async def test_nothing_is_revoked_by_itself(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await issued(klucznik, nip, owner(nip, ksef))
        make_due(ksef, pair)
        (done,) = await renew_many(klucznik, [pair.subject])
        assert done.well
        assert done.after[0].revoked == ()
        assert all(one.revoked_at is None for one in await held_by(klucznik, pair.subject))


class PatientClock(SandboxClock):
    """The sandbox's time, which those who wait do not move on."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_two_that_renew_at_the_same_time_are_one_renewal_and_one_run_of_the_hook(
    ksef: Sandbox, tmp_path: Path
) -> None:
    put_hook(tmp_path, "hook", "echo ran >>ran")
    async with (
        installed(tmp_path, ksef, clock=PatientClock(ksef)) as one,
        installed(tmp_path, ksef, clock=PatientClock(ksef)) as other,
    ):
        pairs = [await issued(one, nip, company(nip, ksef)) for nip in (some_nip(), some_nip(), some_nip())]
        make_due(ksef, *pairs)
        subjects = [pair.subject for pair in pairs]
        ksef.clear_requests()
        both = await asyncio.gather(renew_many(one, subjects), renew_many(other, subjects), RenewalScan(other).run())
        assert all(done.well for results in both if results is not None for done in results)
        assert [len(accepted(ksef, subject)) for subject in subjects] == [2, 2, 2]
    assert (tmp_path / "ran").read_text().splitlines() == ["ran"] * 3
