"""Who the operator is, and with what it signs in."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.klucznik.offices import NAME, of_nip, office, set_permissions, told
from tests.klucznik.world import company, context_of, installed, owner, person, some_nip, some_pesel

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Health
from klucznik.domain.permissions import INVOICING
from klucznik.errors import CredentialError, InputError, SignInRefused
from klucznik.services.by_hand import expect_grant
from klucznik.services.control import ByAdministrator
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.operator import CredentialSource, load_operator, operator_status, set_operator
from klucznik.services.revoke import revoke
from klucznik.services.sign_in import unsealed
from klucznik.services.verify import verify
from klucznik.storage import schema
from ksef_sandbox import Sandbox


async def keys_in_vault(klucznik: Installation) -> int:
    counted = select(func.count()).select_from(schema.private_keys)
    return await klucznik.database.read(lambda transaction: int(transaction.execute(counted).scalar_one()))


async def sources(klucznik: Installation) -> list[CredentialSource]:
    return [one.source for one in (await operator_status(klucznik)).credentials]


async def test_a_credential_is_proved_before_it_is_kept_sealed(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, nip) as klucznik:
        operator = await load_operator(klucznik)
        assert (operator.nip, operator.name) == (nip, NAME)
        assert operator.key_id is not None
        await unsealed(klucznik, operator.key_id)
        assert await sources(klucznik) == [CredentialSource.GIVEN]
        assert await told(klucznik, of_nip(nip)) == ["operator_set"]
        assert "PRIVATE" not in repr(operator)


async def test_the_credential_of_somebody_else_is_refused_without_asking_ksef(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        for other in (company(some_nip(), ksef), owner(nip, ksef), person(some_pesel(), ksef)):
            ksef.clear_requests()
            with pytest.raises(CredentialError, match="operator_credential_of_other"):
                await set_operator(klucznik, nip, NAME, other)
            assert not ksef.requests()
        with pytest.raises(InputError, match="operator_not_set"):
            await load_operator(klucznik)


async def test_a_credential_that_ksef_refuses_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, nip) as klucznik:
        before = await load_operator(klucznik)
        late = company(nip, ksef)
        ksef.advance(days=800)  # more than it is valid
        with pytest.raises(SignInRefused):
            await set_operator(klucznik, nip, "Inna nazwa", late)
        assert await load_operator(klucznik) == before
        assert await keys_in_vault(klucznik) == 1
        assert await sources(klucznik) == []  # what is kept has expired as well
        with pytest.raises(InputError, match="operator_without_credential"):
            await expect_grant(klucznik, context_of(some_nip()), ByAdministrator())


async def test_a_new_credential_replaces_the_key_and_a_new_name_keeps_it(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, nip) as klucznik:
        first = await load_operator(klucznik)
        await set_operator(klucznik, nip, "Nowa nazwa biura", None)
        renamed = await load_operator(klucznik)
        assert (renamed.name, renamed.key_id) == ("Nowa nazwa biura", first.key_id)
        await set_operator(klucznik, nip, NAME, company(nip, ksef))
        second = await load_operator(klucznik)
        assert second.key_id != first.key_id
        assert await keys_in_vault(klucznik) == 1
        await set_operator(klucznik, some_nip(), NAME, None)
        assert (await load_operator(klucznik)).key_id is None
        assert (await keys_in_vault(klucznik), await sources(klucznik)) == (0, [])


async def test_of_several_credentials_given_at_once_one_stays_and_the_vault_keeps_its_key_alone(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, nip) as klucznik:
        await asyncio.gather(*(set_operator(klucznik, nip, NAME, company(nip, ksef)) for _ in range(4)))
        assert await keys_in_vault(klucznik) == 1
        assert await sources(klucznik) == [CredentialSource.GIVEN]


async def test_its_own_ksef_certificate_signs_in_first_and_what_was_given_when_that_is_revoked_elsewhere(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, client = some_nip(), some_nip()
    set_permissions(ksef, client, "Nip", nip, *INVOICING)
    async with office(tmp_path / "office", ksef, nip) as klucznik:
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(outcome, Issued)
        issued = next(one for one in outcome.certificates if one.type is CertificateType.AUTHENTICATION)
        assert await sources(klucznik) == [CredentialSource.ISSUED, CredentialSource.GIVEN]
        await expect_grant(klucznik, context_of(client), ByAdministrator())
        async with installed(tmp_path / "elsewhere", ksef) as elsewhere:
            await revoke(elsewhere, context_of(nip), issued.serial_number, company(nip, ksef), confirm=lambda _: True)
        assert await sources(klucznik) == [CredentialSource.ISSUED, CredentialSource.GIVEN]
        assert (await verify(klucznik, context_of(client))).connection.health is Health.HEALTHY
