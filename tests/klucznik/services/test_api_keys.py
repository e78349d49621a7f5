"""Keys of the API: what they open, for how long, and that only their hash is kept."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.databases import everything_in
from tests.klucznik.world import installed, some_nip

from klucznik.domain.roles import SCOPES, Action
from klucznik.errors import AccessDenied, InputError
from klucznik.services.accounts.api_keys import key_of, list_keys, make_key, revoke_key, rotate_key
from ksef_sandbox import Sandbox


async def test_a_key_opens_what_its_scopes_say_until_it_ends(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        nip = some_nip()
        secret, made = await make_key(klucznik, " Nightly  import ", ["see", "issue"], days=30, nip=f"PL {nip}")
        assert (secret.startswith("klk_"), made.name, made.shown) == (True, "Nightly import", secret[:12])
        principal = (await key_of(klucznik, secret)).principal
        assert principal.actions == {Action.SEE, Action.ISSUE}
        assert principal.role is None
        assert (principal.reaches(nip), principal.reaches(some_nip())) == (True, False)
        assert not principal.runs_the_installation
        ksef.advance(seconds=timedelta(days=30).total_seconds())
        with pytest.raises(AccessDenied, match="key_expired"):
            await key_of(klucznik, secret)


async def test_a_revoked_or_guessed_key_opens_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        secret, made = await make_key(klucznik, "vendor", ["see"], days=366)
        assert (await key_of(klucznik, secret)).id == made.id
        await revoke_key(klucznik, made.id)
        revoked = await revoke_key(klucznik, made.id)
        assert revoked.revoked_at is not None
        for given, reason in ((secret, "key_revoked"), (secret[:-1], "key_unknown"), (made.shown, "key_unknown")):
            with pytest.raises(AccessDenied, match=reason):
                await key_of(klucznik, given)


async def test_a_rotated_key_is_the_same_key_and_both_secrets_open_it_for_a_while(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first, made = await make_key(klucznik, "vendor", ["see"], days=30)
        second, rotated = await rotate_key(klucznik, made.id, overlap_hours=24)
        assert second != first
        assert (rotated.id, rotated.expires_at, rotated.shown) == (made.id, made.expires_at, second[:12])
        for secret in (first, second):
            assert (await key_of(klucznik, secret)).principal == made.principal
        # Once more in that time: no secret that a program still has is cut off sooner, and none lives longer.
        ksef.advance(hours=12)
        third, _ = await rotate_key(klucznik, made.id, overlap_hours=24)
        ksef.advance(hours=13)
        with pytest.raises(AccessDenied, match="key_replaced"):
            await key_of(klucznik, first)
        assert (await list_keys(klucznik))[0].overlaps(klucznik.clock.now())
        await key_of(klucznik, second)
        ksef.advance(hours=12)
        with pytest.raises(AccessDenied, match="key_replaced"):
            await key_of(klucznik, second)
        await key_of(klucznik, third)
        assert not (await list_keys(klucznik))[0].overlaps(klucznik.clock.now())
        await revoke_key(klucznik, made.id)
        with pytest.raises(AccessDenied, match="key_revoked"):
            await key_of(klucznik, third)
        with pytest.raises(InputError, match="api_key_is_revoked"):
            await rotate_key(klucznik, made.id, overlap_hours=0)
    kept = everything_in(tmp_path)
    assert b"api_key_rotated" in kept
    assert not any(secret.encode() in kept for secret in (first, second, third))


async def test_without_an_overlap_all_former_secrets_are_void_at_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first, made = await make_key(klucznik, "vendor", ["see"], days=30)
        second, _ = await rotate_key(klucznik, made.id, overlap_hours=168)
        third, _ = await rotate_key(klucznik, made.id, overlap_hours=0)
        for secret in (first, second):
            with pytest.raises(AccessDenied, match="key_replaced"):
                await key_of(klucznik, secret)
        assert (await key_of(klucznik, third)).id == made.id


async def test_an_expired_key_needs_a_new_end_and_its_former_secret_stays_void(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first, made = await make_key(klucznik, "vendor", ["see"], days=1)
        ksef.advance(hours=25)
        with pytest.raises(InputError, match="api_key_end_needed"):
            await rotate_key(klucznik, made.id, overlap_hours=24)
        for wrong, reason in ({"overlap_hours": 169}, "overlap"), ({"overlap_hours": 1, "days": 367}, "lifetime"):
            with pytest.raises(InputError, match=f"key_{reason}_out_of_range"):
                await rotate_key(klucznik, made.id, **wrong)
        second, _ = await rotate_key(klucznik, made.id, overlap_hours=24, days=10)
        await key_of(klucznik, second)
        with pytest.raises(AccessDenied, match="key_replaced"):
            await key_of(klucznik, first)


async def test_the_key_itself_is_kept_nowhere(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        secret, made = await make_key(klucznik, "vendor", ["see"], days=1)
        assert secret not in repr(made)
    kept = everything_in(tmp_path)
    assert made.id.encode() in kept
    assert secret.encode() not in kept


async def test_the_last_use_is_written_once_a_minute(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        secret, _ = await make_key(klucznik, "vendor", ["see"], days=1)
        first = klucznik.clock.now()
        for _ in range(3):
            await key_of(klucznik, secret)
        used = (await list_keys(klucznik))[0].last_used_at
        assert used is not None
        assert timedelta(0) <= used - first < timedelta(minutes=1)
        ksef.advance(seconds=61)
        await key_of(klucznik, secret)
        later = (await list_keys(klucznik))[0].last_used_at
        assert later is not None
        assert later - used >= timedelta(seconds=61)


async def test_the_newest_keys_come_first_page_by_page(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        made = [(await make_key(klucznik, f"key {number}", ["see"], days=1))[1].id for number in range(3)]
        found = [key.id for key in await list_keys(klucznik)]
        assert sorted(found) == sorted(made)
        assert [key.id for key in await list_keys(klucznik, after=found[0])] == found[1:]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "  "}, "key_name_malformed"),
        ({"name": "two\x00lines"}, "key_name_malformed"),
        ({"scopes": []}, "scopes_missing"),
        ({"scopes": ["see", "export_keys"]}, "scope_unknown"),
        ({"scopes": ["administer"]}, "scope_unknown"),
        ({"scopes": ["see", "import"], "nip": "1234563218"}, "scope_of_all"),
        ({"days": 0}, "key_lifetime_out_of_range"),
        ({"days": 367}, "key_lifetime_out_of_range"),
        ({"nip": "123"}, "nip_malformed"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_and_nothing_is_kept(
    ksef: Sandbox, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    asked: dict[str, object] = {"name": "vendor", "scopes": ["see"], "days": 30, "nip": None, **change}
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(InputError, match=reason):
            await make_key(klucznik, asked.pop("name"), asked.pop("scopes"), **asked)  # type: ignore[arg-type]
        assert await list_keys(klucznik) == []


def test_no_scope_hands_out_keys_or_runs_the_installation() -> None:
    assert {Action.EXPORT_KEYS, Action.ADMINISTER}.isdisjoint(SCOPES)
