"""A company is connected by what KSeF has just let in; nobody's certificate serves a company that was not said to."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection as Transaction
from sqlalchemy import event, func, select, update
from tests.klucznik.mishaps import Mishap, Network, not_connected
from tests.klucznik.offices import office, set_permissions
from tests.klucznik.services.test_token_sign_in import make_token, revoke_token
from tests.klucznik.world import company, context_of, installed, owner, some_nip, some_pesel

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Connection, Dated, Health, Method
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.permissions import INVOICING
from klucznik.errors import CredentialError, InputError, KsefUnavailable, SignInRefused, StorageError
from klucznik.keys.import_ import ImportedCertificate, load_ksef_certificate
from klucznik.services.by_hand import expect_grant
from klucznik.services.certificates import in_ksef
from klucznik.services.connect import connect_with_imported, connect_with_token, connect_with_vault
from klucznik.services.connections import (
    all_connections,
    disconnect,
    find_connection,
    new_connection,
    one_connection,
    page_of_connections,
)
from klucznik.services.control import ByAdministrator, BySignIn
from klucznik.services.export import ExportFormat, export
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.limits import read_limits
from klucznik.services.revoke import Revocation, revoke
from klucznik.services.sign_in import sign_in, sign_out, signer_of
from klucznik.services.verify import verify, verify_all
from klucznik.services.ways import way_of
from klucznik.storage import connections, ksef_tokens
from klucznik.storage.schema import certificates
from klucznik.storage.schema import ksef_tokens as tokens_table
from klucznik.storage.tables import metadata
from ksef_sandbox import Sandbox

PASSWORD = b"kanarek-haslo-7f3a9c"
ADMINISTRATOR = ByAdministrator()


async def pair_of(klucznik: Installation, nip: str, credential: object) -> Issued:
    outcome = await issue(klucznik, context_of(nip), credential)  # type: ignore[arg-type]
    assert isinstance(outcome, Issued)
    return outcome


async def exported(klucznik: Installation, nip: str, directory: Path, program: str | None = None) -> dict[str, Path]:
    """For each type the path without its ending."""
    files = await export(
        klucznik,
        context=context_of(nip),
        directory=directory,
        password=PASSWORD,
        format=ExportFormat.PEM,
        program=program,
    )
    return {one.certificate.type.value: one.files[0].with_suffix("") for one in files}


def brought(path: Path, klucznik: Installation) -> ImportedCertificate:
    return load_ksef_certificate(
        cert=path.with_suffix(".crt"),
        key=path.with_suffix(".key"),
        password=PASSWORD,
        environment=klucznik.environment,
        now=klucznik.clock.now(),
    )


def set_test_data(ksef: Sandbox, path: str, body: dict[str, object]) -> None:
    httpx.post(f"{ksef.base_url}/testdata/{path}", json=body).raise_for_status()


async def test_issuing_connects_and_another_company_of_the_person_has_to_be_said(ksef: Sandbox, tmp_path: Path) -> None:
    first, second, nip_of_nobody = some_nip(), some_nip(), some_nip()
    credential = owner(first, ksef)
    pesel = credential.holder.signs_in_as
    ksef.link_person(nip=second, pesel=pesel.value)
    async with installed(tmp_path, ksef) as klucznik:
        await pair_of(klucznik, first, credential)
        made = await find_connection(klucznik, context_of(first))
        assert (made.method, made.subject, made.health) == (Method.CERTIFICATES, pesel, Health.HEALTHY)
        # KSeF would let the person in to both, but nobody has said that they act for the second.
        ksef.clear_requests()
        with pytest.raises(InputError, match="no_credential"):
            await read_limits(klucznik, context_of(second), None)
        assert not ksef.requests()
        with pytest.raises(SignInRefused) as refused:
            await connect_with_vault(klucznik, context_of(nip_of_nobody), ADMINISTRATOR)
        assert refused.value.code == 415
        with pytest.raises(InputError, match="not_connected"):
            await find_connection(klucznik, context_of(nip_of_nobody))
        done = await connect_with_vault(klucznik, context_of(second), ADMINISTRATOR, name="Druga sp. z o.o.")
        assert [one.context.value for one in done.detail.others] == [first]
        assert done.detail.status.next_date is not None
        assert done.detail.status.next_date.about is Dated.RENEWAL_DUE
        assert (await read_limits(klucznik, context_of(second), None)).subject == pesel


async def test_of_several_people_the_vault_is_told_whose_certificates_to_take(ksef: Sandbox, tmp_path: Path) -> None:
    nips, third = [some_nip(), some_nip()], some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pairs = [await pair_of(klucznik, nip, owner(nip, ksef)) for nip in nips]
        with pytest.raises(InputError, match="several_subjects"):
            await connect_with_vault(klucznik, context_of(third), ADMINISTRATOR)
        ksef.link_person(nip=third, pesel=pairs[1].subject.value)
        serial = pairs[1].certificates[0].serial_number
        done = await connect_with_vault(klucznik, context_of(third), ADMINISTRATOR, serial_number=serial)
        assert done.detail.status.connection.subject == pairs[1].subject
        # Whoever has only proved control of a company takes nobody else's certificates for it.
        mine = signer_of(klucznik, company(nips[0], ksef))
        signed_in = await sign_in(klucznik, context_of(nips[0]), mine)
        with pytest.raises(InputError, match="control_of_other_subject"):
            await connect_with_vault(klucznik, context_of(nips[0]), BySignIn(signed_in), serial_number=serial)
        await sign_out(signed_in)


async def test_issuing_never_changes_by_whom_a_company_is_connected(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        first = await pair_of(klucznik, nip, owner(nip, ksef))
        before = await find_connection(klucznik, context_of(nip))
        await pair_of(klucznik, nip, company(nip, ksef))
        after = await find_connection(klucznik, context_of(nip))
        assert (after.subject, after.version) == (first.subject, before.version)
        changed = await connect_with_vault(
            klucznik, context_of(nip), ADMINISTRATOR, serial_number=await own_serial(klucznik, nip)
        )
        assert changed.before == before
        assert changed.detail.status.connection.subject == Subject(SubjectType.NIP, nip)


async def own_serial(klucznik: Installation, nip: str) -> str:
    query = select(certificates.c.serial_number).where(
        certificates.c.subject_value == nip, certificates.c.type == CertificateType.AUTHENTICATION.value
    )
    return await klucznik.database.read(lambda transaction: str(transaction.execute(query).scalar_one()))


async def test_an_imported_pair_is_kept_when_ksef_has_let_it_in_and_not_before(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    async with installed(tmp_path / "there", ksef) as elsewhere:
        await pair_of(elsewhere, nip, company(nip, ksef))
        files = await exported(elsewhere, nip, tmp_path / "files")
        await pair_of(elsewhere, other, company(other, ksef))
        others = await exported(elsewhere, other, tmp_path / "others")
    async with installed(tmp_path / "here", ksef) as klucznik:
        pair = [brought(files[kind.value], klucznik) for kind in CertificateType]
        with pytest.raises(SignInRefused):
            await connect_with_imported(klucznik, context_of(other), pair)
        with pytest.raises(InputError, match="authentication_certificate_needed"):
            await connect_with_imported(klucznik, context_of(nip), pair[1:])
        mixed = [pair[0], brought(others["Offline"], klucznik)]
        with pytest.raises(InputError, match="certificates_of_several_subjects"):
            await connect_with_imported(klucznik, context_of(nip), mixed)
        assert await counted(klucznik, "certificates") == await counted(klucznik, "connections") == 0
        done = await connect_with_imported(klucznik, context_of(nip), pair)
        assert done.detail.status.connection.method is Method.IMPORTED
        assert {one.type for one in done.detail.status.certificates} == set(CertificateType)
        await connect_with_imported(klucznik, context_of(nip), pair)  # once more changes nothing in the vault
        assert await counted(klucznik, "certificates") == await counted(klucznik, "private_keys") == 2
        assert (await verify(klucznik, context_of(nip))).connection.health is Health.HEALTHY
    wrong_key = files["Authentication"].with_suffix(".key")
    wrong_key.write_bytes(others["Authentication"].with_suffix(".key").read_bytes())
    with pytest.raises(CredentialError, match="key_does_not_match"):
        brought(files["Authentication"], klucznik)


async def counted(klucznik: Installation, table: str) -> int:
    query = select(func.count()).select_from(metadata.tables[table])
    return await klucznik.database.read(lambda transaction: transaction.execute(query).scalar_one())


async def test_the_life_of_a_token_from_its_connection_to_its_end(ksef: Sandbox, tmp_path: Path) -> None:
    nip, pesel = some_nip(), some_pesel()
    ksef.link_person(nip=nip, pesel=pesel)
    token = make_token(ksef, nip, pesel=pesel)
    ksef.advance(seconds=60)
    author = Subject(SubjectType.PESEL, pesel)
    async with installed(tmp_path, ksef) as klucznik:
        done = await connect_with_token(klucznik, context_of(nip), token)
        assert done.detail.status.connection.subject == author
        assert done.detail.token_reference == token.reference_number
        assert done.detail.status.next_date is not None
        assert done.detail.status.next_date.about is Dated.TOKENS_END
        assert (await read_limits(klucznik, context_of(nip), None)).subject == author
        with pytest.raises(InputError, match="token_cannot_do_this"):
            await issue(klucznik, context_of(nip), None)
        await at_rest_nowhere(klucznik, token.text)
        revoke_token(ksef, nip, token)
        ksef.advance(seconds=60)
        ill = await verify(klucznik, context_of(nip))
        assert (ill.connection.health, ill.connection.health_code) == (Health.TOKEN_INVALID, 450)
        gone = await disconnect(klucznik, context_of(nip))
        assert gone.token_reference == token.reference_number
        assert await counted(klucznik, "ksef_tokens") == await counted(klucznik, "connections") == 0


async def test_what_was_done_is_told_although_the_session_could_not_be_ended(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    token = make_token(ksef, nip)
    ksef.advance(seconds=60)
    lost = Mishap("DELETE /v2/auth/sessions/current", not_connected, on=None)
    async with installed(tmp_path, ksef, transport=Network(lost)) as klucznik:
        done = await connect_with_token(klucznik, context_of(nip), token)
        assert done.detail.status.connection.health is Health.HEALTHY
        credential = company(other, ksef)
        issued = await pair_of(klucznik, other, credential)
        serial = issued.certificates[0].serial_number
        assert (await revoke(klucznik, context_of(other), serial, credential, confirm=lambda _: True)).was_held
        assert (await read_limits(klucznik, context_of(other), credential)).limits.certificate.remaining == 99
        assert len((await in_ksef(klucznik, context_of(other), credential)).certificates) == 2


async def test_a_company_that_is_asked_to_grant_keeps_its_token_until_the_operator_is_let_in(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    token = make_token(ksef, nip)
    ksef.advance(seconds=60)
    async with office(tmp_path, ksef, operator) as klucznik:
        await connect_with_token(klucznik, context_of(nip), token)
        asked = await expect_grant(klucznik, context_of(nip), ADMINISTRATOR)
        assert (asked.connection.method, asked.verified) == (Method.TOKEN, None)
        assert (await verify(klucznik, context_of(nip))).connection.health is Health.HEALTHY
        set_permissions(ksef, nip, "Nip", operator, *INVOICING)
        granted = await expect_grant(klucznik, context_of(nip), ADMINISTRATOR)
        assert (granted.connection.method, granted.connection.health) == (Method.PERMISSION, Health.HEALTHY)
        assert await counted(klucznik, "ksef_tokens") == 0


async def at_rest_nowhere(klucznik: Installation, secret: str) -> None:
    def everything(transaction: Transaction) -> str:
        return "".join(str(transaction.execute(select(table)).all()) for table in metadata.sorted_tables)

    kept = await klucznik.database.read(everything)
    assert secret not in kept
    assert secret.rpartition("|")[2] not in kept


async def test_a_token_whose_author_has_lost_the_rights_and_one_of_another_company(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, pesel = some_nip(), some_pesel()
    ksef.link_person(nip=nip, pesel=pesel)
    token = make_token(ksef, nip, pesel=pesel)
    ksef.advance(seconds=60)
    async with installed(tmp_path, ksef) as klucznik:
        ksef.clear_requests()
        with pytest.raises(InputError, match="ksef_token_of_other_company"):
            await connect_with_token(klucznik, context_of(some_nip()), token)
        assert not ksef.requests()
        await connect_with_token(klucznik, context_of(nip), token)
        set_test_data(ksef, "person/remove", {"nip": nip})
        lost = await verify(klucznik, context_of(nip))
        assert (lost.connection.health, lost.connection.health_code) == (Health.PERMISSION_LOST, 415)


async def test_a_sealed_token_opens_for_its_own_connection_alone(ksef: Sandbox, tmp_path: Path) -> None:
    nips = [some_nip(), some_nip()]
    tokens = [make_token(ksef, nip) for nip in nips]
    ksef.advance(seconds=60)
    async with installed(tmp_path, ksef) as klucznik:
        those = [
            (await connect_with_token(klucznik, context_of(nip), token)).detail.status.connection
            for nip, token in zip(nips, tokens, strict=True)
        ]

        def swap(transaction: Transaction) -> None:
            sealed = ksef_tokens.load(transaction, those[0].id)
            assert sealed is not None
            transaction.execute(
                update(tokens_table)
                .where(tokens_table.c.connection_id == those[1].id)
                .values(nonce=sealed.nonce, ciphertext=sealed.ciphertext)
            )

        await klucznik.database.write(swap)
        assert await way_of(klucznik, those[0]) is not None
        with pytest.raises(StorageError, match="vault_key_damaged"):
            await way_of(klucznik, those[1])


async def test_what_ksef_says_becomes_the_health_of_a_connection_and_trouble_on_the_way_does_not(
    ksef: Sandbox, tmp_path: Path
) -> None:
    revoked, blocked, fine = sorted(some_nip() for _ in range(3))
    async with installed(tmp_path, ksef) as klucznik:
        for nip in (revoked, blocked, fine):
            await pair_of(klucznik, nip, company(nip, ksef))
        serial = (await one_connection(klucznik, context_of(revoked))).status.certificates[0].serial_number
        bearer = {"Authorization": f"Bearer {ksef.access_token(nip=revoked)}"}
        httpx.post(f"{ksef.base_url}/certificates/{serial}/revoke", json={}, headers=bearer).raise_for_status()
        set_test_data(ksef, "context/block", {"contextIdentifier": {"type": "Nip", "value": blocked}})
        ksef.advance(seconds=60)
        found = {one.connection.context.value: one async for one in verify_all(klucznik)}
        assert {nip: one.connection.health for nip, one in found.items()} == {
            revoked: Health.CERTIFICATE_INVALID,
            blocked: Health.BLOCKED,
            fine: Health.HEALTHY,
        }
        assert found[blocked].connection.health_code == 480
    down = Mishap("POST /v2/auth/challenge", not_connected, on=None)
    async with installed(tmp_path, ksef, transport=Network(down)) as klucznik:
        with pytest.raises(KsefUnavailable):
            await verify(klucznik, context_of(fine))
        assert (await find_connection(klucznik, context_of(fine))).health is Health.HEALTHY


async def test_a_revocation_says_which_programs_will_notice(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    asked: list[Revocation] = []

    def agree(revocation: Revocation) -> bool:
        asked.append(revocation)
        return True

    async with installed(tmp_path, ksef) as klucznik:
        pair = await pair_of(klucznik, nip, company(nip, ksef))
        for program, directory in (("Sklep", "one"), ("ERP", "two"), ("ERP", "three")):
            await exported(klucznik, nip, tmp_path / directory, program)
        detail = await one_connection(klucznik, context_of(nip))
        assert [one.programs for one in detail.held] == [("ERP", "Sklep")] * 2
        serial = pair.certificates[1].serial_number
        done = await revoke(klucznik, context_of(nip), serial, None, confirm=agree)
        assert [one.programs for one in asked] == [done.programs] == [("ERP", "Sklep")]


@pytest.mark.sqlite
async def test_a_list_of_thousands_takes_as_many_statements_as_a_short_one(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        nip = some_nip()
        pair = await pair_of(klucznik, nip, company(nip, ksef))
        short = await statements(klucznik, 500)
        now = klucznik.clock.now()

        def fill(transaction: Transaction) -> None:
            for number in range(5000):
                context = context_of(f"11{number + 10**7 + 10**6:08d}")
                one: Connection = new_connection(klucznik, context, Method.CERTIFICATES, pair.subject)
                connections.add(transaction, one, now=now)

        await klucznik.database.write(fill)
        assert await statements(klucznik, 500) == short
        assert len([one async for one in all_connections(klucznik)]) == 5001


async def statements(klucznik: Installation, size: int) -> int:
    """How many SQL statements one page takes."""
    seen: list[str] = []
    engine = klucznik.database._dialect.engine

    def heard(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", heard)
    page = await page_of_connections(klucznik, size=size)
    event.remove(engine, "before_cursor_execute", heard)
    assert page
    return len(seen)
