"""Whose an onboarding is, and who may connect a company through it: the confused deputy, at every door of the service.

Company B has let the operator in. Whoever asks here has no say in B; nothing that the operator holds may serve them.
"""

import inspect
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from tests.klucznik.offices import connection_of, employee, let_in, of_nip, office, set_permissions, told
from tests.klucznik.onboardings import AUDITOR, STAFF, api_key, begun, client, signed
from tests.klucznik.world import company, context_of, filed, installed, owner, some_nip

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.connections import Health, Method
from klucznik.domain.ksef_token import parse_token
from klucznik.domain.onboarding import OnboardingState, SignerKind
from klucznik.domain.permissions import INVOICING
from klucznik.domain.roles import Principal
from klucznik.errors import AccessDenied, InputError, SignInRefused
from klucznik.keys.credential import Credential, KeyPair
from klucznik.keys.import_ import ImportedCertificate
from klucznik.keys.ksef_certificate import inspect_ksef_certificate
from klucznik.services import onboarding as onboardings
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.sign_in import unsealed
from ksef_sandbox import Sandbox

S = OnboardingState
Door = Callable[[Installation, str, Principal], Awaitable[object]]

NOBODY: Credential = None  # type: ignore[assignment]  # never looked at
TOKEN = parse_token(f"20250625-EC-3190CF0000-57A14268D0-CC|nip-5265877635|{'ab' * 16}")
DOORS: dict[str, Door] = {
    "find": onboardings.find,
    "progress": onboardings.progress,
    "look": onboardings.look,
    "choose_signer": lambda k, i, by: onboardings.choose_signer(k, i, by, SignerKind.SEAL),
    "choose_method": lambda k, i, by: onboardings.choose_method(k, i, by, Method.TOKEN),
    "go_back": lambda k, i, by: onboardings.go_back(k, i, by, S.SIGNER),
    "ask_for_document": onboardings.ask_for_document,
    "hand_in": lambda k, i, by: onboardings.hand_in(k, i, by, b"<xml/>"),
    "sign_in_with_key": lambda k, i, by: onboardings.sign_in_with_key(k, i, by, NOBODY),
    "confirm": onboardings.confirm,
    "wait_for_limits": onboardings.wait_for_limits,
    "proposed_grant": onboardings.proposed_grant,
    "grant": lambda k, i, by: onboardings.grant(k, i, by, operator_nip="5265877635"),
    "proposed_revocations": lambda k, i, by: onboardings.proposed_revocations(k, i, by, ["0123456789ABCDEF"]),
    "revoke": lambda k, i, by: onboardings.revoke(k, i, by, ["0123456789ABCDEF"]),
    "connect_permission": onboardings.connect_permission,
    "connect_imported": lambda k, i, by: onboardings.connect_imported(k, i, by, []),
    "connect_token": lambda k, i, by: onboardings.connect_token(k, i, by, TOKEN),
    "give_up": onboardings.give_up,
}


async def test_what_somebody_else_has_begun_is_unknown_at_every_door(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        resting = await signed(klucznik, nip, owner(nip, ksef), by=await client(klucznik, nip))
        ksef.clear_requests()
        others = [await client(klucznik, some_nip()), await client(klucznik, nip)]
        strangers = [*others, api_key(), api_key(nip, 2), api_key(some_nip(), 3)]
        for (name, door), stranger in product(DOORS.items(), strangers):
            with pytest.raises(InputError) as caught:
                await door(klucznik, resting.id, stranger)
            assert caught.value.reason == "onboarding_unknown", (name, stranger)
        assert ksef.requests() == []
        assert await onboardings.find(klucznik, resting.id, STAFF) == resting


def test_every_function_of_the_service_that_takes_who_asks_is_a_door() -> None:
    functions = {name: getattr(onboardings, name) for name in onboardings.__all__ if name.islower()}
    asking = {name for name, one in functions.items() if "by" in inspect.signature(one).parameters}
    # To these nobody brings the id of an onboarding.
    assert asking - {"begin", "unfinished", "unfinished_of", "of_invitation"} == set(DOORS)
    assert functions.keys() - asking == {"known", "document_of", "results_of"}  # of one that was found


async def test_an_auditor_sees_and_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        resting = await begun(klucznik)
        for name in sorted(set(DOORS) - {"find", "progress"}):
            with pytest.raises(AccessDenied, match="not_allowed"):
                await DOORS[name](klucznik, resting.id, AUDITOR)
        assert await onboardings.find(klucznik, resting.id, AUDITOR) == resting
        assert [one.id for one in await onboardings.unfinished(klucznik, AUDITOR)] == [resting.id]


async def test_a_client_and_a_bound_key_begin_for_their_own_company_alone(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        for number, by in enumerate((await client(klucznik, mine), api_key(mine))):
            with pytest.raises(InputError, match="onboarding_unknown"):
                await onboardings.begin(klucznik, theirs, by=by)
            new = await onboardings.begin(klucznik, mine, by=by)
            assert [one.id for one in await onboardings.unfinished(klucznik, by)] == [new.id]
            assert len(await onboardings.unfinished(klucznik, STAFF)) == number + 1


async def test_the_office_connects_what_has_let_it_in_and_nobody_else_does(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        for by in (await client(klucznik, nip), api_key(), api_key(nip, 2)):
            asked = await begun(klucznik, nip, by=by, method=Method.PERMISSION)
            assert asked.state is S.SIGN
            with pytest.raises(InputError, match="control_needs_signature"):
                await onboardings.connect_permission(klucznik, asked.id, by)
            with pytest.raises(InputError, match="onboarding_elsewhere"):
                await onboardings.grant(klucznik, asked.id, by, operator_nip=operator)
            assert await connection_of(klucznik, nip) is None
        asked = await begun(klucznik, nip, method=Method.PERMISSION)
        done, expected = await onboardings.connect_permission(klucznik, asked.id, STAFF)
        assert (done.state, expected.connection.health) == (S.DONE, Health.HEALTHY)


async def test_who_signs_without_a_say_in_the_company_connects_nothing_by_the_operator(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        for rights in (["InvoiceWrite"], ["CredentialsRead"]):
            by = await client(klucznik, nip)
            signed_in = await signed(klucznik, nip, employee(nip, ksef, *rights), by=by, method=Method.PERMISSION)
            with pytest.raises(InputError, match="control_not_proved"):
                await onboardings.connect_permission(klucznik, signed_in.id, by)
        by = await client(klucznik, nip)
        asked = await begun(klucznik, nip, by=by, method=Method.PERMISSION)
        with pytest.raises(InputError, match="control_by_operator"):
            await onboardings.sign_in_with_key(klucznik, asked.id, by, company(operator, ksef))
        assert (await onboardings.find(klucznik, asked.id, by)).state is S.SIGN
        with pytest.raises(SignInRefused):
            await onboardings.sign_in_with_key(klucznik, asked.id, by, owner(some_nip(), ksef))
        assert await connection_of(klucznik, nip) is None
        assert "connection_by_permission" not in await told(klucznik, of_nip(operator))


async def test_the_owner_who_has_signed_connects_what_was_granted_before(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    async with office(tmp_path, ksef, operator) as klucznik:
        by = api_key(nip)
        signed_in = await signed(klucznik, nip, owner(nip, ksef), by=by, method=Method.PERMISSION)
        done, expected = await onboardings.connect_permission(klucznik, signed_in.id, by)
        assert (done.state, expected.connection.health) == (S.DONE, Health.HEALTHY)


async def brought(klucznik: Installation, held: HeldCertificate) -> ImportedCertificate:
    """A certificate of the vault, as its files would be brought to another installation."""
    certificate = x509.load_der_x509_certificate(held.der)
    pair = KeyPair(certificate, await unsealed(klucznik, held.key_id), "a.crt", "a.key")
    return ImportedCertificate(pair, inspect_ksef_certificate(certificate), held.type)


async def certificates_of(home: Path, ksef: Sandbox, nip: str, who: Credential) -> list[ImportedCertificate]:
    """A pair that another program has had issued."""
    async with installed(home, ksef) as elsewhere:
        outcome = await issue(elsewhere, context_of(nip), who)
        assert isinstance(outcome, Issued)
        return [await brought(elsewhere, held) for held in outcome.certificates]


async def test_certificates_from_elsewhere_show_their_subject_s_say_and_not_the_operator_s(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    set_permissions(ksef, nip, "Nip", operator, *INVOICING)
    bookkeeper = employee(nip, ksef, "InvoiceRead", "InvoiceWrite")
    theirs = await certificates_of(tmp_path / "a", ksef, nip, bookkeeper)
    operators = await certificates_of(tmp_path / "b", ksef, operator, company(operator, ksef))
    owners = await certificates_of(tmp_path / "c", ksef, nip, owner(nip, ksef))
    async with office(tmp_path / "here", ksef, operator) as klucznik:
        by = api_key()
        asked = await begun(klucznik, nip, by=by, method=Method.IMPORTED)
        for files, reason in ((theirs, "control_not_proved"), (operators, "control_by_operator")):
            with pytest.raises(InputError, match=reason):
                await onboardings.connect_imported(klucznik, asked.id, by, files)
        assert await connection_of(klucznik, nip) is None
        done, connected = await onboardings.connect_imported(klucznik, asked.id, by, owners)
        assert done.state is S.DONE
        assert connected.detail.status.connection.method is Method.IMPORTED
        # Whoever runs the installation answers for what it brings.
        asked = await begun(klucznik, nip, method=Method.IMPORTED)
        assert asked.state is S.CONNECT
        assert (await onboardings.connect_imported(klucznik, asked.id, STAFF, theirs))[0].state is S.DONE


async def test_a_token_shows_nothing_without_a_signature(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        for number, by in enumerate((await client(klucznik, nip), api_key())):
            asked = await begun(klucznik, nip, by=by, method=Method.TOKEN)
            ksef.clear_requests()
            with pytest.raises(InputError, match="control_needs_signature"):
                await onboardings.connect_token(klucznik, asked.id, by, TOKEN)
            assert ksef.requests() == [], number


async def test_nobody_s_pair_in_the_vault_serves_whoever_has_not_signed_as_them(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss, helper = owner(nip, ksef), employee(nip, ksef, "InvoiceWrite")
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik, context_of(nip), boss), Issued)
        by = await client(klucznik, nip)
        signed_in = await signed(klucznik, nip, helper, by=by)
        look = await onboardings.look(klucznik, signed_in.id, by)
        assert (look.held, len(look.missing)) == ((), 2)
        # Nor does their own take the place of the owner's connection; and nothing is spent on it in vain.
        with pytest.raises(InputError, match="control_not_proved"):
            await onboardings.confirm(klucznik, signed_in.id, by)
        assert filed(ksef, helper.holder.signs_in_as) == []
        assert isinstance(await issue(klucznik, context_of(nip), helper), Issued)
        with pytest.raises(InputError, match="control_not_proved"):
            await onboardings.confirm(klucznik, signed_in.id, by)
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert connection.subject == boss.holder.signs_in_as


async def test_the_owner_s_new_pair_takes_the_place_of_somebody_else_s_connection(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    boss, helper = owner(nip, ksef), employee(nip, ksef, "InvoiceWrite")
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik, context_of(nip), helper), Issued)
        by = await client(klucznik, nip)
        signed_in = await signed(klucznik, nip, boss, by=by)
        await onboardings.confirm(klucznik, signed_in.id, by)
        await Engine(klucznik).run_until_idle()
        assert (await onboardings.find(klucznik, signed_in.id, by)).state is S.DONE
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert connection.subject == boss.holder.signs_in_as
        assert "connection_changed" in await told(klucznik, boss.holder.signs_in_as)


async def test_a_connection_that_was_made_meanwhile_is_not_replaced(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    boss, helper = owner(nip, ksef), employee(nip, ksef, "InvoiceWrite")
    async with office(tmp_path, ksef, operator) as klucznik:
        by = await client(klucznik, nip)
        signed_in = await signed(klucznik, nip, helper, by=by)
        await onboardings.confirm(klucznik, signed_in.id, by)
        await let_in(klucznik, nip, boss)
        await Engine(klucznik).run_until_idle()
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert connection.method is Method.PERMISSION


async def test_what_has_come_of_it_shows_nothing_of_who_connected_the_company_since(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    boss, helper = owner(nip, ksef), employee(nip, ksef, "InvoiceWrite")
    async with installed(tmp_path, ksef) as klucznik:
        begun_by = [(helper, await client(klucznik, nip)), (boss, await client(klucznik, nip))]
        ended = []
        for who, by in begun_by:
            signed_in = await signed(klucznik, nip, who, by=by)
            await onboardings.confirm(klucznik, signed_in.id, by)
            await Engine(klucznik).run_until_idle()
            ended.append(await onboardings.find(klucznik, signed_in.id, by))
        shown = [await onboardings.results_of(klucznik, one) for one in ended]
        assert [len(results.certificates) for results in shown] == [0, 2]
