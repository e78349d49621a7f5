"""The commands about keys of the API: make one, see which there are, give one a new secret, revoke one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import AsJson
from klucznik.cli.running import start, with_installation

if TYPE_CHECKING:
    from klucznik.domain.api_keys import ApiKey
    from klucznik.services.installation import Installation


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="help.key_name")],
    scope: Annotated[list[str], typer.Option("--scope", metavar="NAME", help="help.scope")],
    nip: Annotated[str | None, typer.Option("--nip", metavar="NIP", help="help.key_nip")] = None,
    days: Annotated[int, typer.Option("--days", metavar="N", help="help.key_days")] = 365,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import api_key_pictures as pictures
    from klucznik.services.accounts.api_keys import make_key
    from klucznik.views import api_keys as views

    settings, output = start(ctx, as_json)
    secret, key = with_installation(settings, lambda klucznik: make_key(klucznik, name, scope, days=days, nip=nip))
    output.result(views.made(secret, key, datetime.now(UTC)), pictures.made(secret, key, settings.words))


def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    from klucznik.cli import api_key_pictures as pictures
    from klucznik.services.accounts.api_keys import PAGE, list_keys
    from klucznik.views import api_keys as views

    async def all_of_them(klucznik: Installation) -> list[ApiKey]:
        found = page = await list_keys(klucznik)
        while len(page) == PAGE:
            page = await list_keys(klucznik, after=page[-1].id)
            found = found + page
        return found

    settings, output = start(ctx, as_json)
    found, now = with_installation(settings, all_of_them), datetime.now(UTC)
    output.result(views.listed(found, now), pictures.listed(found, settings.words, now=now))


def rotate(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="help.key_id")],
    overlap: Annotated[int, typer.Option("--overlap", metavar="HOURS", help="help.key_overlap")] = 24,
    days: Annotated[int | None, typer.Option("--days", metavar="N", help="help.key_new_days")] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import api_key_pictures as pictures
    from klucznik.services.accounts.api_keys import rotate_key
    from klucznik.views import api_keys as views

    settings, output = start(ctx, as_json)
    secret, done = with_installation(
        settings, lambda klucznik: rotate_key(klucznik, key, overlap_hours=overlap, days=days)
    )
    now = datetime.now(UTC)
    output.result(views.rotated(secret, done, now), pictures.rotated(secret, done, settings.words, now=now))


def revoke(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="help.key_id")],
    as_json: AsJson = False,
) -> None:
    from klucznik.services.accounts.api_keys import revoke_key
    from klucznik.views import api_keys as views

    settings, output = start(ctx, as_json)
    done = with_installation(settings, lambda klucznik: revoke_key(klucznik, key))
    output.result(views.revoked(done, datetime.now(UTC)), settings.words.say("api_key.revoked", name=done.name))
