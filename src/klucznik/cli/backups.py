"""The commands about backups: write one, put one back, and compare with KSeF afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import P12, AsJson, Cert, Key, Nip, PasswordEnv, password_from
from klucznik.cli.running import context_of, credential_of, start, with_installation
from klucznik.errors import InputError

if TYPE_CHECKING:
    from klucznik.cli.state import Settings

PassphraseEnv = Annotated[
    str | None, typer.Option("--passphrase-env", metavar="NAME", help="help.passphrase_env", show_default=False)
]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="help.backup_file", show_default=False)]


def backup(
    ctx: typer.Context,
    file: Target,
    passphrase_env: PassphraseEnv = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="help.overwrite")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.services.backup import backup as write
    from klucznik.services.backup import check_passphrase
    from klucznik.views import parts as views

    settings, output = start(ctx, as_json)
    passphrase = _passphrase(settings, passphrase_env, twice=True)
    check_passphrase(passphrase)
    made_at = with_installation(settings, lambda klucznik: write(klucznik, file, passphrase, overwrite=overwrite))
    output.result(
        {"outcome": "backup_written", "file": str(file), "made_at": views.moment(made_at)},
        settings.words.say("backup.written", file=file, at=made_at),
    )


def restore(
    ctx: typer.Context,
    file: Target,
    passphrase_env: PassphraseEnv = None,
    force: Annotated[bool, typer.Option("--force", help="help.force_restore")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.services.backup import restore as put_back
    from klucznik.views import keeping as views

    settings, output = start(ctx, as_json)
    passphrase = _passphrase(settings, passphrase_env, twice=False)
    done = with_installation(settings, lambda klucznik: put_back(klucznik, file, passphrase, force=force))
    words = settings.words
    shown = words.say(
        "backup.restored", at=done.made_at, certificates=done.certificates, issuances=done.issuances, lost=done.lost
    )
    output.result(views.restored(done), f"{shown}\n{words.say('backup.restored.next')}")


def reconcile(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli.progress import Teller
    from klucznik.services.compare import compare_with_ksef
    from klucznik.views import keeping as views

    settings, output = start(ctx, as_json)
    context = context_of(nip, output)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    found = with_installation(
        settings, lambda klucznik: compare_with_ksef(klucznik, context, credential, listener=Teller(output))
    )
    words = settings.words
    lines = [
        words.say("compared.adopted", serials=", ".join(found.adopted)) if found.adopted else "",
        words.say("compared.revoked", serials=", ".join(found.revoked)) if found.revoked else "",
        words.say("compared.gone", serials=", ".join(one.serial_number for one in found.gone)) if found.gone else "",
    ]
    output.result(views.compared(found), "\n".join(line for line in lines if line) or words.say("compared.alike"))


def _passphrase(settings: Settings, name: str | None, *, twice: bool) -> bytes:
    """Out of the environment or from the terminal; never an argument, which others can read."""
    given = password_from(name)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise InputError("backup_passphrase_missing")
    words = settings.words
    again = words.say("ask.backup_passphrase_again") if twice else False
    asked: str = typer.prompt(words.say("ask.backup_passphrase"), hide_input=True, confirmation_prompt=again, err=True)
    return asked.encode()
