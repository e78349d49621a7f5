"""The command about cards and HSMs: what is on them, and how to name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import AsJson, parsed, password_from
from klucznik.cli.running import start, with_installation
from klucznik.domain.key_uri import KeyUri

if TYPE_CHECKING:
    from klucznik.cli.state import Settings
    from klucznik.keys.pkcs11_objects import FoundToken


def list_(
    ctx: typer.Context,
    token: Annotated[str, typer.Option("--token", metavar="URI", help="help.token_uri", show_default=False)] = "",
    pin_env: Annotated[str | None, typer.Option("--pin-env", metavar="NAME", help="help.pin_env")] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import token_pictures
    from klucznik.views import tokens as views

    settings, output = start(ctx, as_json)
    wanted = parsed(KeyUri.parse, token) if token else KeyUri()
    pin = password_from(pin_env)
    found = settings.pkcs11.tokens(wanted, None if pin is None else pin.decode("utf-8", "replace"))
    unknown = _unknown_here(settings, found)
    output.result(views.tokens(found, unknown), token_pictures.tokens(found, unknown, settings.words))


def _unknown_here(settings: Settings, found: list[FoundToken]) -> frozenset[str]:
    """Ids of keys that Klucznik has made and this installation knows nothing of. No installation is made for that."""
    from klucznik.services.installation import DATABASE_FILE
    from klucznik.services.token_keys import made_here, unknown_keys

    made = made_here(found)
    if not made or (settings.database_url is None and not (settings.home / DATABASE_FILE).exists()):
        return frozenset()
    return with_installation(settings, lambda klucznik: unknown_keys(klucznik, made))
