"""Keys of the API: what they open, for how long, and that only their hash is kept."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.databases import everything_in
from tests.klucznik.world import installed, some_nip

from klucznik.domain.roles import SCOPES, Action
from klucznik.errors import AccessDenied, InputError
from klucznik.services.api_keys import key_of, list_keys, make_key, revoke_key
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
        ({"scopes": ["see", "audit"], "nip": "1234563218"}, "scope_of_all"),
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
