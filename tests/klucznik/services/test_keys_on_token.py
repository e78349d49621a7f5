"""Pairs whose keys never leave a token: issued, proved, used, made whole after a crash; and tokens that refuse."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection, select
from tests.klucznik.databases import database_url
from tests.klucznik.offices import NAME, set_permissions
from tests.klucznik.services import dying_process
from tests.klucznik.services.renewing import make_due
from tests.klucznik.tokens import CARD, CARD_PIN, HSM, HSM_PIN, WRONG_PIN, Tokens
from tests.klucznik.world import (
    QUICK,
    SandboxClock,
    accepted,
    assert_whole_pair,
    company,
    context_of,
    rows_of,
    set_limits,
    some_nip,
)

from klucznik.clock import SystemClock
from klucznik.domain.connections import Health
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.domain.permissions import INVOICING
from klucznik.domain.preflight import Refusal
from klucznik.domain.sealed import KeyBinding
from klucznik.domain.waits import WaitKind
from klucznik.errors import InputError, Pkcs11Error
from klucznik.keys.credential import load_credential
from klucznik.keys.import_ import load_ksef_certificate
from klucznik.keys.key_token import KeyToken
from klucznik.keys.test_credential import write_test_credential
from klucznik.services.advance import advance
from klucznik.services.by_hand import expect_grant
from klucznik.services.certificates import in_ksef, in_vault
from klucznik.services.control import ByAdministrator
from klucznik.services.export import ExportFormat, export
from klucznik.services.import_ import bring_in
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue, order
from klucznik.services.operator import set_operator
from klucznik.services.renewal.renew import RenewalEnd, renew
from klucznik.services.sign_in import unsealed
from klucznik.services.token_keys import made_here, unknown_keys
from klucznik.services.verify import verify, verify_due
from klucznik.storage import issuances
from klucznik.storage.schema import private_keys
from ksef_sandbox import Sandbox


@asynccontextmanager
async def with_token(home: Path, ksef: Sandbox, token: KeyToken | None) -> AsyncIterator[Installation]:
    opened = await Installation.open(
        home, database_url=database_url(home), ksef_url=ksef.base_url, clock=SandboxClock(ksef), key_token=token
    )
    async with opened as installation:
        yield installation


def nip_of(nip: str) -> Subject:
    return Subject(SubjectType.NIP, nip)


@pytest.mark.parametrize("key_type", KeyType)
async def test_a_pair_is_issued_proved_and_used_with_keys_that_never_leave_the_token(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens, key_type: KeyType
) -> None:
    nip = some_nip()
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef), key_type=key_type, keys_on_token=True)
        await assert_whole_pair(klucznik, outcome)
        held = await in_vault(klucznik)
        assert [one.key_on_token for one in held] == [True, True]
        on_token = {one["ID"]: one for one in tokens.private_keys(HSM)}
        for one in held:
            assert on_token[bytes.fromhex(one.key_id)]["NEVER_EXTRACTABLE"]
            key = await unsealed(klucznik, one.key_id)
            assert isinstance(key, rsa.RSAPrivateKey if key_type is KeyType.RSA else ec.EllipticCurvePrivateKey)
            with pytest.raises(InputError) as stays:
                await export(
                    klucznik,
                    serial_number=one.serial_number,
                    directory=tmp_path / "out",
                    password=b"haslo dla klucza",
                    format=ExportFormat.PKCS12,
                )
            assert stays.value.reason == "export_key_on_token"
        # Nothing but the vault signs in now.
        assert len((await in_ksef(klucznik, context_of(nip), None)).certificates) == 2
    async with with_token(tmp_path / "home", ksef, None) as without:
        with pytest.raises(Pkcs11Error) as unset:
            await in_ksef(without, context_of(nip), None)
        assert unset.value.reason == "pkcs11_token_not_set"


async def test_an_operator_whose_token_is_not_at_hand_is_told_so_once_and_signs_in_with_what_else_it_has(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    nip, clients = some_nip(), [some_nip() for _ in range(3)]
    async with with_token(tmp_path, ksef, tokens.hsm()) as klucznik:
        await issue(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
        await set_operator(klucznik, nip, NAME, None)
        for client in clients:
            set_permissions(ksef, client, "Nip", nip, *INVOICING)
            await expect_grant(klucznik, context_of(client), ByAdministrator())
    ksef.advance(days=1, minutes=1)
    async with with_token(tmp_path, ksef, None) as without:
        assert await verify_due(without) == 0
        assert caplog.text.count("pkcs11_token_not_set") == 2  # of its own company, and of all that have let it in
        await set_operator(without, nip, NAME, company(nip, ksef))
        assert await verify_due(without) == 3
        assert (await verify(without, context_of(clients[0]))).connection.health is Health.HEALTHY


async def test_the_vault_keeps_where_the_key_is_sealed_like_any_key(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens
) -> None:
    nip = some_nip()
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        await issue(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
        (first, _) = await in_vault(klucznik)

        def rows(connection: Connection) -> list[tuple[str, bytes]]:
            return [(row.algorithm, row.ciphertext) for row in connection.execute(select(private_keys))]

        for algorithm, ciphertext in await klucznik.database.read(rows):
            assert algorithm == "PKCS11"
            assert b"pkcs11:" not in ciphertext
        key = await unsealed(klucznik, first.key_id)
        binding = KeyBinding(Environment.SANDBOX, SubjectType.NIP, nip)
        sealed = klucznik.vault.seal(first.key_id, key, binding=binding)
        assert klucznik.vault.unseal(sealed, binding=binding) == KeyUri(
            token=HSM, object=f"klucznik-{first.key_id}", id=bytes.fromhex(first.key_id)
        )


async def test_a_refusal_by_the_limits_makes_no_key_on_the_token(tmp_path: Path, ksef: Sandbox, tokens: Tokens) -> None:
    nip = some_nip()
    set_limits(ksef, nip_of(nip), enrollment=1)
    before = len(tokens.private_keys(HSM))
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        refused = await issue(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
    assert isinstance(refused, Refusal)
    assert len(tokens.private_keys(HSM)) == before


async def test_a_crash_after_the_keys_were_made_leaves_them_known_by_their_label_and_spends_nothing(
    tmp_path: Path, tokens: Tokens
) -> None:
    nip, home = some_nip(), tmp_path / "home"
    write_test_credential(tmp_path, nip_of(nip), now=SystemClock().now())
    before = {one["ID"] for one in tokens.private_keys(HSM)}
    with Sandbox(switches=QUICK) as ksef:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            dying_process.__name__,
            *(str(home), database_url(home) or "", ksef.base_url, nip, str(tmp_path), tokens.module),
        )
        assert await process.wait() == -9
        orphans = {one["ID"].hex() for one in tokens.private_keys(HSM) if one["ID"] not in before}
        assert len(orphans) == 2
        assert accepted(ksef, nip_of(nip)) == []
        async with with_token(home, ksef, tokens.hsm()) as klucznik:
            cert, key = tmp_path / "credential.crt", tmp_path / "credential.key"
            credential = load_credential(cert=cert, key=key, password=None, now=ksef.now())
            ksef.advance(seconds=60)  # the lease of the dead process is over
            await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
            held = await in_vault(klucznik)
            assert all(one.key_on_token for one in held), "what was ordered on a token is made on it"
            listed = tokens.pkcs11().tokens(KeyUri(token=HSM), HSM_PIN)
            unknown = await unknown_keys(klucznik, made_here(listed))
            assert orphans <= unknown
            assert unknown.isdisjoint(one.key_id for one in held)
        assert len(accepted(ksef, nip_of(nip))) == 2


async def test_a_refused_pin_stops_an_issuance_until_a_person_comes(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens
) -> None:
    nip = some_nip()
    async with with_token(tmp_path / "home", ksef, tokens.hsm(pin=WRONG_PIN)) as klucznik:
        with pytest.raises(Pkcs11Error) as early:
            await issue(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
        assert early.value.reason == "pkcs11_pin_refused"
        assert await rows_of(klucznik, nip_of(nip)) == []  # told before anything was ordered
        tokens.hsm().check()

        ordered = await order(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
        issuance_id = getattr(ordered, "id", "")
        with pytest.raises(Pkcs11Error):
            await advance(klucznik, issuance_id)
        assert not tokens.wrong_pin_was_given(HSM), "a PIN that was refused was shown again"
        waiting = await klucznik.database.read(lambda connection: issuances.load(connection, issuance_id))
        assert waiting is not None
        assert waiting.wait is not None
        assert (waiting.wait.kind, waiting.wait.until) == (WaitKind.PKCS11_REFUSES, None)
        ksef.advance(days=1)
        due = await klucznik.database.read(
            lambda connection: issuances.due(connection, klucznik.environment, now=klucznik.clock.now(), most=9)
        )
        assert due == []
        assert accepted(ksef, nip_of(nip)) == []
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), company(nip, ksef)))


async def test_a_token_that_is_away_is_waited_for(tmp_path: Path, ksef: Sandbox, tokens: Tokens) -> None:
    nip = some_nip()
    away = KeyToken(tokens.pkcs11(), KeyUri(token="W innym czytniku"), HSM_PIN)
    async with with_token(tmp_path / "home", ksef, away) as klucznik:
        ordered = await order(klucznik, context_of(nip), company(nip, ksef), keys_on_token=True)
        issuance_id = getattr(ordered, "id", "")
        with pytest.raises(Pkcs11Error):
            await advance(klucznik, issuance_id)
        waiting = await klucznik.database.read(lambda connection: issuances.load(connection, issuance_id))
        assert waiting is not None
        assert waiting.wait is not None
        assert waiting.wait.kind is WaitKind.PKCS11_AWAY
        assert waiting.wait.until is not None
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        done = await advance(klucznik, issuance_id)
        assert done.state.value == "done"
        assert all(one.key_on_token for one in await in_vault(klucznik))


@pytest.mark.parametrize("key_type", KeyType)
async def test_a_renewal_makes_its_keys_where_the_old_ones_are(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens, key_type: KeyType
) -> None:
    nip = some_nip()
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        old = await issue(klucznik, context_of(nip), company(nip, ksef), key_type=key_type, keys_on_token=True)
        assert isinstance(old, Issued)
        make_due(ksef, old)
        done = await renew(klucznik, nip_of(nip))
        assert done is not None
        assert done.end is RenewalEnd.RENEWED
        on_token = {one["ID"].hex() for one in tokens.private_keys(HSM)}
        both = {one.key_id for one in (*old.certificates, *done.certificates)}
        assert len(both) == 4
        assert both <= on_token


async def test_a_certificate_is_imported_with_a_key_on_the_installations_token_and_no_other(
    tmp_path: Path, ksef: Sandbox, tokens: Tokens
) -> None:
    nip = some_nip()
    async with with_token(tmp_path / "elsewhere", ksef, None) as elsewhere:
        issued = await issue(elsewhere, context_of(nip), company(nip, ksef))
        assert isinstance(issued, Issued)
        certificate = x509.load_der_x509_certificate(issued.certificates[0].der)
        key = await unsealed(elsewhere, issued.certificates[0].key_id)
    async with with_token(tmp_path / "home", ksef, tokens.hsm()) as klucznik:
        for label, pin in ((CARD, CARD_PIN), (HSM, HSM_PIN)):
            brought = load_ksef_certificate(
                key=tokens.put(label, key, certificate),
                password=pin.encode(),
                pkcs11=tokens.pkcs11(),
                environment=Environment.SANDBOX,
                now=ksef.now(),
            )
            if label == CARD:
                with pytest.raises(Pkcs11Error) as other:
                    await bring_in(klucznik, brought)
                assert other.value.reason == "pkcs11_other_token"
                assert await in_vault(klucznik) == []
            else:
                assert (await bring_in(klucznik, brought)).key_on_token
        assert len((await in_ksef(klucznik, context_of(nip), None)).certificates) == 2
