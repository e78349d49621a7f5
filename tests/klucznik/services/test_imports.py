"""Many companies at once: nothing before the yes, every good line once, and no statement for each of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.klucznik.databases import everything_in
from tests.klucznik.offices import connection_of, let_in, office
from tests.klucznik.onboardings import STAFF, api_key
from tests.klucznik.world import company, installed, some_nip

from klucznik.domain.bulk_imports import ImportState, LineOutcome, Tally
from klucznik.domain.connections import Health, Method
from klucznik.errors import InputError
from klucznik.services import imports
from klucznik.services.audit import verify
from klucznik.services.installation import Installation
from klucznik.services.invitations import enter, invite, page_of_invitations
from klucznik.services.verify import verify_due
from ksef_sandbox import Sandbox


def csv_of(*rows: str) -> bytes:
    return "\n".join(["nip;nazwa;email;metoda", *rows]).encode()


async def faults_of(klucznik: Installation, import_id: str) -> dict[int, list[str]]:
    found = await imports.page_of_lines(klucznik, STAFF, import_id, bad=True)
    return {one.line.number: [fault.reason for fault in one.line.faults] for one in found}


@contextmanager
def counted(klucznik: Installation) -> Iterator[list[str]]:
    statements: list[str] = []
    engine = klucznik.database._dialect.engine

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def test_only_good_lines_are_carried_out_and_only_after_the_yes(ksef: Sandbox, tmp_path: Path) -> None:
    there, invited, asked, wanted = (some_nip() for _ in range(4))
    operator = some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await let_in(klucznik, there, company(there, ksef))
        await invite(klucznik, STAFF, invited)
        content = csv_of(
            f"{wanted};Żółw;a@b.pl;zaproszenie",
            f"{asked};Ślimak;;uprawnienie",
            f"{there};;;uprawnienie",
            f"{invited};;;zaproszenie",
            f"{operator};;;uprawnienie",
            "123;;;",
        )
        brought = await imports.bring(klucznik, STAFF, content, file_name="C:\\Users\\a\\..\\klienci\u202e.csv")
        import_id = brought.bulk_import.id
        assert brought.bulk_import.file_name == "klienci.csv"
        assert brought.tally == Tally(good=2, bad=4)
        assert await faults_of(klucznik, import_id) == {
            4: ["company_connected"],
            5: ["invitation_there"],
            6: ["operator_is_the_company"],
            7: ["nip_malformed"],
        }
        assert (len(await page_of_invitations(klucznik, STAFF)), await connection_of(klucznik, asked)) == (1, None)

        done = await imports.carry_out(klucznik, STAFF, import_id)
        assert (done.bulk_import.state, done.tally) == (
            ImportState.CARRIED_OUT,
            Tally(bad=4, invited=1, awaited=1),
        )
        connection = await connection_of(klucznik, asked)
        assert connection is not None
        assert (connection.method, connection.health) == (Method.PERMISSION, Health.AWAITING_GRANT)
        assert connection.name == "Ślimak"
        assert await connection_of(klucznik, wanted) is None
        (link,) = await imports.links(klucznik, STAFF, import_id)
        (again,) = await imports.links(klucznik, STAFF, import_id)
        with pytest.raises(InputError, match="invitation_unknown"):
            await enter(klucznik, link.token)
        await enter(klucznik, again.token)
        assert await imports.links(klucznik, STAFF, import_id) == []
        ksef.clear_requests()
        assert await verify_due(klucznik) > 0  # from now on the grant is looked for
        assert ksef.requests(method="POST", path="/auth/xades-signature")
        assert (await verify(klucznik)).broken == ()
    assert again.token.encode() not in everything_in(tmp_path)


async def test_a_list_that_is_carried_out_again_or_at_once_makes_nothing_twice(ksef: Sandbox, tmp_path: Path) -> None:
    rows = [f"{some_nip()};Firma {number};;" for number in range(7)]
    async with installed(tmp_path, ksef) as klucznik, installed(tmp_path, ksef) as other:
        brought = await imports.bring(klucznik, STAFF, csv_of(*rows), file_name="a.csv")
        import_id = brought.bulk_import.id
        late = rows[0].split(";")[0]
        await invite(klucznik, STAFF, late)  # between the look and the yes
        await asyncio.gather(*(imports.carry_out(one, STAFF, import_id) for one in (klucznik, other, klucznik)))
        done = await imports.carry_out(klucznik, STAFF, import_id)
        assert done.tally == Tally(invited=6, skipped=1)
        assert len(await page_of_invitations(klucznik, STAFF)) == 7
        (skipped,) = [
            one for one in await imports.page_of_lines(klucznik, STAFF, import_id) if one.outcome is LineOutcome.SKIPPED
        ]
        assert skipped.line.nip == late
        await imports.discard(klucznik, STAFF, import_id)
        with pytest.raises(InputError, match="import_unknown"):
            await imports.one_import(klucznik, STAFF, import_id)
        assert len(await page_of_invitations(klucznik, STAFF)) == 7


async def test_the_number_of_statements_does_not_grow_with_the_list(ksef: Sandbox, tmp_path: Path) -> None:
    numbers = []
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        for length in (2, 4, imports.BATCH - 2):  # the first also begins the chains of the audit log
            # Distinct ones, half of them by a permission.
            nips = [f"5{length % 9 + 1}{1}{place:07d}" for place in range(length)]
            content = csv_of(*(f"{nip};;;{'uprawnienie' if int(nip) % 2 else ''}" for nip in nips))
            with counted(klucznik) as statements:
                brought = await imports.bring(klucznik, STAFF, content, file_name="a.csv")
                done = await imports.carry_out(klucznik, STAFF, brought.bulk_import.id)
                await imports.links(klucznik, STAFF, brought.bulk_import.id)
            assert done.tally == Tally(invited=length // 2, awaited=length // 2)
            numbers.append(len(statements))
    assert numbers[1] == numbers[2]


async def test_a_key_only_invites_only_its_own_company_and_sees_only_its_own_lists(
    ksef: Sandbox, tmp_path: Path
) -> None:
    mine, other, there = (some_nip() for _ in range(3))
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        await let_in(klucznik, there, company(there, ksef))
        theirs = await imports.bring(klucznik, STAFF, csv_of(f"{other};;;"), file_name="a.csv")
        bound, vendor = api_key(mine), api_key(number=2)
        content = csv_of(f"{mine};;;", f"{there};;;", f"{other};;;uprawnienie")
        brought = await imports.bring(klucznik, bound, content, file_name="a.csv")
        assert await faults_of(klucznik, brought.bulk_import.id) == {
            3: ["import_company_not_theirs"],
            4: ["import_company_not_theirs"],
        }
        unbound = await imports.bring(klucznik, vendor, content, file_name="a.csv")
        assert await faults_of(klucznik, unbound.bulk_import.id) == {
            3: ["company_connected"],
            4: ["import_needs_signature"],
        }
        for by in (bound, vendor):
            for act in (imports.one_import, imports.carry_out, imports.links, imports.discard):
                with pytest.raises(InputError, match="import_unknown"):
                    await act(klucznik, by, theirs.bulk_import.id)
            assert len(await imports.page_of_imports(klucznik, by)) == 1
        assert len(await imports.page_of_imports(klucznik, STAFF)) == 3
        done = await imports.carry_out(klucznik, bound, brought.bulk_import.id)
        assert done.tally == Tally(bad=2, invited=1)
        assert await connection_of(klucznik, other) is None


async def test_without_an_operator_no_company_is_asked_for_a_permission(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        content = csv_of(f"{some_nip()};;;uprawnienie", f"{some_nip()};;;")
        brought = await imports.bring(klucznik, STAFF, content, file_name="a.csv")
        assert await faults_of(klucznik, brought.bulk_import.id) == {2: ["operator_not_set"]}
