"""A signature that comes from another program, minutes later, to another process: used once, for its own purpose."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.klucznik.mishaps import SIGN_IN, Mishap, Network, answer_lost, error_before, not_connected, paced
from tests.klucznik.offices import office, told
from tests.klucznik.services.test_signed_by import MINISTRY
from tests.klucznik.signers import PERSON_OF_TRUST, by_dss, by_xmlsec1, issued
from tests.klucznik.world import accepted, assert_whole_pair, company, context_of, filed, installed, owner, some_nip
from tests.sandbox.signing import TestCredential, sign

from klucznik.domain.connections import Health
from klucznik.domain.issuance import Issuance
from klucznik.domain.signature_requests import Purpose, SignatureRequest
from klucznik.errors import (
    InputError,
    KsefUnavailable,
    RateLimited,
    SignatureNeeded,
    SignedDocumentError,
    SignInRefused,
)
from klucznik.keys.credential import Credential
from klucznik.services.advance import advance, load
from klucznik.services.grant import Granted
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.services.outcomes import AlreadyHeld
from klucznik.services.sign_in import Signer, sign_out
from klucznik.services.signed_purpose import carry_on
from klucznik.services.signing import HandedIn, ask_anew, ask_for_signature, hand_in, request_of
from klucznik.storage import signature_requests
from ksef_sandbox import Sandbox

ISSUE_OPTIONS: dict[str, str | bool] = {"key_type": "ec", "another_pair": False, "wait_for_limits": False}
HANDED_IN = "/auth/xades-signature"


def held_by(credential: Credential) -> TestCredential:
    """The same certificate and key in the hands of another program."""
    return TestCredential(credential.certificate, credential.private_key)


async def asked(klucznik: Installation, nip: str) -> SignatureRequest:
    return await ask_for_signature(klucznik, context_of(nip), Purpose.ISSUE, ISSUE_OPTIONS)


async def carried_on(klucznik: Installation, handed_in: HandedIn) -> object:
    return await carry_on(klucznik, handed_in, confirm=lambda _: True)


def sent(ksef: Sandbox) -> int:
    return len(ksef.requests(method="POST", path=HANDED_IN))


@pytest.mark.parametrize(
    "program",
    [
        lambda document, credential, _: by_dss(document, credential),
        by_xmlsec1,
        lambda document, credential, directory: by_xmlsec1(document, credential, directory, enveloping=True),
    ],
    ids=["DSS", "xmlsec1", "xmlsec1, enveloping"],
)
async def test_what_another_program_signed_carries_an_issuance_in_another_process(
    program: Callable[[bytes, TestCredential, Path], bytes], ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path / "home", ksef) as klucznik:
        document = (await asked(klucznik, nip)).document
    signed = program(document, held_by(person), tmp_path)
    async with installed(tmp_path / "home", ksef) as klucznik:
        request = await request_of(klucznik, signed)
        handed_in = await hand_in(klucznik, request, signed)
        assert handed_in.signed_by.subject == handed_in.signed_in.subject == person.holder.subject
        await assert_whole_pair(klucznik, await carried_on(klucznik, handed_in))
        assert (await told(klucznik, person.holder.signs_in_as)).count("signed_elsewhere") == 1
    assert len(accepted(ksef, person.holder.signs_in_as)) == 2


async def test_a_pair_that_is_held_already_costs_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = company(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), seal)
        request = await asked(klucznik, nip)
        outcome = await carried_on(klucznik, await hand_in(klucznik, request, sign(request.document, held_by(seal))))
    assert isinstance(outcome, AlreadyHeld)
    assert len(filed(ksef, seal.holder.signs_in_as)) == 2


async def test_a_mistake_sends_nothing_and_the_mended_file_is_still_taken(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = held_by(company(nip, ksef))
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        with pytest.raises(SignedDocumentError):
            await hand_in(klucznik, request, sign(request.document, seal, der_value=True))
        assert sent(ksef) == 0
        await sign_out((await hand_in(klucznik, request, sign(request.document, seal))).signed_in)
    assert sent(ksef) == 1


async def test_a_document_is_handed_in_once_however_many_bring_it(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = held_by(company(nip, ksef))
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        signed = sign(request.document, seal)
        ends = await asyncio.gather(*(hand_in(klucznik, request, signed) for _ in range(3)), return_exceptions=True)
        with pytest.raises(InputError) as again:
            await hand_in(klucznik, await request_of(klucznik, signed), signed)
    assert again.value.reason == "signature_request_used"
    assert [end.reason for end in ends if isinstance(end, InputError)] == ["signature_request_used"] * 2
    assert sent(ksef) == 1


async def test_after_ten_minutes_a_fresh_document_serves_the_same_purpose(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = held_by(company(nip, ksef))
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        ksef.advance(seconds=600)
        signed = sign(request.document, seal)
        with pytest.raises(SignedDocumentError) as late:
            await hand_in(klucznik, await request_of(klucznik, signed), signed)
        fresh = await ask_anew(klucznik, request)
        with pytest.raises(SignedDocumentError) as mixed:
            await hand_in(klucznik, fresh, signed)
        await assert_whole_pair(
            klucznik, await carried_on(klucznik, await hand_in(klucznik, fresh, sign(fresh.document, seal)))
        )
    assert (late.value.reason, mixed.value.reason) == ("signed_too_late", "signed_other_challenge")
    assert (fresh.purpose, fresh.options, fresh.context) == (request.purpose, request.options, request.context)


async def test_an_issuance_that_waits_for_a_signature_goes_on_with_its_own_signer_alone(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(issuance, Issuance)
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded):
            await advance(klucznik, issuance.id)
        issuance = await load(klucznik, issuance.id)
        request = await ask_for_signature(klucznik, issuance.context, Purpose.RESUME, {}, issuance=issuance)
        with pytest.raises(SignedDocumentError) as other:
            await hand_in(klucznik, request, sign(request.document, held_by(owner(nip, ksef))))
        assert other.value.reason == "signed_by_other_subject"
        spare = await ask_for_signature(klucznik, issuance.context, Purpose.RESUME, {}, issuance=issuance)
        signed = sign(request.document, held_by(company(nip, ksef)), form="enveloping")
        outcome = await carried_on(klucznik, await hand_in(klucznik, request, signed))
        await assert_whole_pair(klucznik, outcome)
        assert len(accepted(ksef, issuance.subject)) == 2
        ksef.clear_requests()
        with pytest.raises(InputError) as ended:
            await hand_in(klucznik, spare, sign(spare.document, held_by(company(nip, ksef))))
    assert ended.value.reason == "issuance_ended"
    assert ksef.requests() == []


async def test_the_owner_grants_the_permission_by_a_signature_from_elsewhere(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        request = await ask_for_signature(klucznik, context_of(nip), Purpose.GRANT, {"delegable": True})
        signed = by_dss(request.document, held_by(owner(nip, ksef)))
        done = await carried_on(klucznik, await hand_in(klucznik, request, signed))
    assert isinstance(done, Granted)
    assert (done.connection.health, done.delegable) == (Health.HEALTHY, True)


@pytest.mark.parametrize("act", [error_before, not_connected])
async def test_where_ksef_is_away_the_same_file_may_be_given_again(
    act: Callable[..., object], ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    seal = held_by(company(nip, ksef))
    network = Network(Mishap(SIGN_IN, act, on=None))  # type: ignore[arg-type]
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        request = await asked(klucznik, nip)
        signed = sign(request.document, seal)
        with pytest.raises(KsefUnavailable):
            await hand_in(klucznik, request, signed)
    async with installed(tmp_path, ksef) as klucznik:
        await sign_out((await hand_in(klucznik, await request_of(klucznik, signed), signed)).signed_in)
    assert sent(ksef) == 1


async def test_a_short_trouble_is_waited_out(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    network = Network(Mishap(SIGN_IN, error_before), Mishap(SIGN_IN, paced(5)))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        request = await asked(klucznik, nip)
        signed = sign(request.document, held_by(company(nip, ksef)))
        await sign_out((await hand_in(klucznik, request, signed)).signed_in)


async def test_a_pause_that_outlives_the_challenge_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef, transport=Network(Mishap(SIGN_IN, paced(900), on=None))) as klucznik:
        request = await asked(klucznik, nip)
        with pytest.raises(RateLimited):
            await hand_in(klucznik, request, sign(request.document, held_by(company(nip, ksef))))


async def test_an_answer_that_was_lost_needs_a_fresh_document(ksef: Sandbox, tmp_path: Path) -> None:
    """KSeF has let the signer in and the token is gone with the answer: the same document is of no use any more."""
    nip = some_nip()
    async with installed(tmp_path, ksef, transport=Network(Mishap(SIGN_IN, answer_lost))) as klucznik:
        request = await asked(klucznik, nip)
        signed = sign(request.document, held_by(company(nip, ksef)))
        with pytest.raises(SignInRefused) as refused:
            await hand_in(klucznik, request, signed)
        assert refused.value.code == 21111
        with pytest.raises(InputError):
            await hand_in(klucznik, await request_of(klucznik, signed), signed)


async def test_ksef_is_waited_for_longer_than_a_key_at_hand_would_wait(ksef: Sandbox, tmp_path: Path) -> None:
    """The revocation service of a qualified certificate may take minutes."""
    ksef.set(auth_delay_ms=400_000)
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        signed = sign(request.document, held_by(company(nip, ksef)))
        await sign_out((await hand_in(klucznik, request, signed)).signed_in)


async def test_whoever_has_no_rights_in_the_company_is_refused_by_ksef(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        with pytest.raises(SignInRefused) as refused:
            await hand_in(klucznik, request, sign(request.document, held_by(company(other, ksef))))
    assert refused.value.code == 415


async def test_the_person_behind_the_ministry_s_seal_must_be_whom_ksef_let_in(ksef: Sandbox, tmp_path: Path) -> None:
    """This KSeF reads the seal's own NIP: with another subject than the one shown nothing goes on."""
    nip = "5252955037"
    async with installed(tmp_path, ksef) as klucznik:
        request = await asked(klucznik, nip)
        ministry = issued(MINISTRY, "CUZ Sigillum - QCA1")
        signed = by_dss(request.document, ministry, role=PERSON_OF_TRUST.format(pesel="80010112345"))
        with pytest.raises(SignedDocumentError) as unclear:
            await hand_in(klucznik, request, signed)
    assert unclear.value.reason == "signed_by_unclear"


async def test_files_and_ids_that_belong_to_nothing_here_are_told(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = held_by(company(nip, ksef))
    async with installed(tmp_path / "one", ksef) as klucznik:
        foreign = sign((await asked(klucznik, nip)).document, seal)
    async with installed(tmp_path / "other", ksef) as klucznik:
        request = await asked(klucznik, nip)
        assert (await request_of(klucznik, b"", request.id[:8])).id == request.id
        for file, name in ((foreign, None), (b"", "zz"), (b"", "abcdef0")):
            with pytest.raises(InputError) as unknown:
                await request_of(klucznik, file, name)
            assert unknown.value.reason == "signature_request_unknown"


async def test_old_documents_are_forgotten_after_a_week(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        old = await asked(klucznik, nip)
        ksef.advance(days=8)
        await asked(klucznik, nip)

        def found(connection: Connection) -> SignatureRequest | None:
            return signature_requests.by_challenge(connection, klucznik.environment, old.challenge)

        assert await klucznik.database.read(found) is None


async def test_any_function_that_signs_carries_an_issuance(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = company(nip, ksef)

    async def service(document: bytes) -> bytes:
        await asyncio.sleep(0)
        return by_dss(document, held_by(seal))

    async with installed(tmp_path, ksef) as klucznik:
        signer = Signer(seal.holder.signs_in_as, service)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), signer))


def test_a_request_shows_no_document_in_its_repr() -> None:
    assert not SignatureRequest.__dataclass_fields__["document"].repr
