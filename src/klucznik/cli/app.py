"""The command ``klucznik``: its global options and the list of its commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from klucznik.cli import (
    api_keys,
    audit,
    backups,
    certificates,
    connections,
    issuances,
    issue,
    language,
    permissions,
    pkcs11,
    renewals,
    signing,
    users,
)
from klucznik.cli.demo import demo
from klucznik.cli.doctor import doctor
from klucznik.cli.options import parsed
from klucznik.cli.serve import serve
from klucznik.cli.state import Settings
from klucznik.cli.usage import classes_for
from klucznik.cli.version import version
from klucznik.domain.environments import Environment
from klucznik.domain.key_uri import KeyUri
from klucznik.messages import Words

_COMMANDS: dict[str, Callable[..., Any]] = {
    "limits": issue.limits,
    "issue": issue.issue,
    "status": issuances.status,
    "resume": issuances.resume,
    "sign": signing.sign,
    "cancel": issuances.cancel,
    "worker": issuances.worker,
    "serve": serve,
    "renew": renewals.renew,
    "after-renewal": renewals.after_renewal,
    "certificates": certificates.certificates,
    "revoke": certificates.revoke,
    "grant": permissions.grant,
    "verify": permissions.verify,
    "connect": connections.connect,
    "connections": connections.connections,
    "disconnect": connections.disconnect,
    "doctor": doctor,
    "export": certificates.export,
    "import": certificates.import_,
    "backup": backups.backup,
    "restore": backups.restore,
    "reconcile": backups.reconcile,
    "test-credential": certificates.make_test_credential,
    "demo": demo,
    "version": version,
}

_GROUPS: dict[str, dict[str, Callable[..., Any]]] = {
    "api-key": {"add": api_keys.add, "list": api_keys.list_, "rotate": api_keys.rotate, "revoke": api_keys.revoke},
    "audit": {"verify": audit.verify, "export": audit.export},
    "operator": {"set": permissions.operator_set, "show": permissions.operator_show},
    "user": {"list": users.list_, "link": users.link},
    "pkcs11": {"list": pkcs11.list_},
}


def build(words: Words) -> typer.Typer:
    """The application, speaking the language of this run."""
    group, command = classes_for(words)
    application = typer.Typer(
        cls=group,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help=words.say("help.klucznik"),
    )

    @application.callback()
    def options(
        ctx: typer.Context,
        home: Annotated[Path, typer.Option("--home", envvar="KLUCZNIK_HOME", metavar="DIR", help="help.home")] = Path(
            "~/.klucznik"
        ),
        env: Annotated[
            str, typer.Option("--env", envvar="KLUCZNIK_ENV", metavar="NAME", help="help.env")
        ] = Environment.SANDBOX.value,
        ksef_url: Annotated[
            str | None, typer.Option("--ksef-url", envvar="KLUCZNIK_KSEF_URL", metavar="URL", help="help.ksef_url")
        ] = None,
        pkcs11_module: Annotated[
            str | None,
            typer.Option("--pkcs11-module", envvar="KLUCZNIK_PKCS11_MODULE", metavar="PATH", help="help.pkcs11_module"),
        ] = None,
        lang: Annotated[str, typer.Option("--lang", envvar="KLUCZNIK_LANG", metavar="pl|en", help="help.lang")] = "pl",
        debug: Annotated[bool, typer.Option("--debug", envvar="KLUCZNIK_DEBUG", help="help.debug")] = False,
    ) -> None:
        language.check(lang)
        token = os.environ.get("KLUCZNIK_PKCS11_TOKEN") or None
        ctx.obj = Settings(
            home=home.expanduser(),
            environment=parsed(Environment.parse, env),
            ksef_url=ksef_url,
            words=words,
            database_url=os.environ.get("KLUCZNIK_DATABASE_URL") or None,
            master_key=os.environ.get("KLUCZNIK_MASTER_KEY"),
            pkcs11_module=pkcs11_module,
            token=None if token is None else parsed(KeyUri.parse, token),
            pin=os.environ.get("KLUCZNIK_PKCS11_PIN") or None,
            debug=debug,
        )

    for name, function in _COMMANDS.items():
        application.command(name, cls=command, help=words.say(f"help.command.{name}"))(function)
    for name, functions in _GROUPS.items():
        under = typer.Typer(cls=group, add_completion=False, help=words.say(f"help.group.{name}"))
        for verb, function in functions.items():
            under.command(verb, cls=command, help=words.say(f"help.command.{name}.{verb}"))(function)
        application.add_typer(under, name=name)
    return application
