"""The commands about users, for whoever rules the machine: who may sign in, and a link for somebody who cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import AsJson
from klucznik.cli.running import start, with_installation

if TYPE_CHECKING:
    from klucznik.domain.accounts import User
    from klucznik.services.accounts.users import Listed
    from klucznik.services.installation import Installation


def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    from klucznik.cli import user_pictures as pictures
    from klucznik.services.accounts.users import PAGE, list_users
    from klucznik.views import users as views

    async def all_of_them(klucznik: Installation) -> list[Listed]:
        found = page = await list_users(klucznik)
        while len(page) == PAGE:
            page = await list_users(klucznik, after=page[-1].user.email)
            found = found + page
        return found

    settings, output = start(ctx, as_json)
    found = with_installation(settings, all_of_them)
    output.result(views.listed(found), pictures.listed(found, settings.words))


def link(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="help.user_email")],
    url: Annotated[
        str, typer.Option("--public-url", envvar="KLUCZNIK_PUBLIC_URL", metavar="URL", help="help.link_url")
    ],
    remove_second_factor: Annotated[
        bool, typer.Option("--remove-second-factor", help="help.remove_second_factor")
    ] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import user_pictures as pictures
    from klucznik.services.accounts.second_factor import remove_all_factors
    from klucznik.services.accounts.users import find_user, new_link
    from klucznik.views import users as views

    async def make(klucznik: Installation) -> tuple[str, User]:
        user = await find_user(klucznik, email)
        if remove_second_factor:
            await remove_all_factors(klucznik, user.id)
        return await new_link(klucznik, user.id)

    settings, output = start(ctx, as_json)
    token, user = with_installation(settings, make)
    address = f"{url.rstrip('/')}/password/{token}"
    output.result(views.link_made(user, address), pictures.link_made(user, address, settings.words))
