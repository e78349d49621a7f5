"""The commands before and at an issuance: the limits of whoever signs in, and the order itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import P12, AsJson, Cert, Key, Nip, PasswordEnv, said_again
from klucznik.cli.outcomes import show_outcome
from klucznik.cli.running import context_of, credential_of, start, with_installation
from klucznik.cli.signing import External, OutFile, have_signed, wants_external
from klucznik.domain.identifiers import Context
from klucznik.domain.keytype import KeyType

if TYPE_CHECKING:
    from klucznik.domain.signature_requests import Options, SignatureRequest
    from klucznik.services.installation import Installation


def limits(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.services.limits import read_limits
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    context = context_of(nip, output)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    found = with_installation(settings, lambda klucznik: read_limits(klucznik, context, credential))
    output.result(views.subject_limits(found), pictures.limits(found, settings.words))


def issue(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    key_type: Annotated[KeyType, typer.Option("--key-type", metavar="ec|rsa", help="help.key_type")] = KeyType.EC,
    keys_on_token: Annotated[
        bool, typer.Option("--keys-on-token", envvar="KLUCZNIK_KEYS_ON_TOKEN", help="help.keys_on_token")
    ] = False,
    another_pair: Annotated[bool, typer.Option("--another-pair", help="help.another_pair")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="help.wait")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="help.detach")] = False,
    force: Annotated[bool, typer.Option("--force", help="help.force_issue")] = False,
    external: External = False,
    out: OutFile = None,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli.progress import Teller
    from klucznik.cli.ways_out import Guide
    from klucznik.services.issue import issue as issue_pair
    from klucznik.services.issue import order

    settings, output = start(ctx, as_json)
    context = context_of(nip, output)
    if force:
        output.note(settings.words.say("issue.force_warning"), sign="!", style="yellow")
    if wants_external(external, out, cert, key, p12):
        options: Options = {
            "key_type": key_type.value,
            "keys_on_token": keys_on_token,
            "another_pair": another_pair,
            "wait_for_limits": wait,
            "ignores_reserve": force,
        }
        return have_signed(settings, output, _signature_for(context, options), out=out, stay=not detach)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    again = said_again(ctx, cert, key, p12, key_password_env)
    guide = Guide(output, again)
    carry_out = order if detach else partial(issue_pair, on_refusal=guide if Guide.wanted(output) else None)
    outcome = with_installation(
        settings,
        lambda klucznik: carry_out(
            klucznik,
            context,
            credential,
            key_type=key_type,
            keys_on_token=keys_on_token,
            another_pair=another_pair,
            wait_for_limits=wait,
            ignores_reserve=force,
            listener=Teller(output),
        ),
    )
    return show_outcome(outcome, settings, output, again=again, guide=guide)


def _signature_for(context: Context, options: Options) -> Callable[[Installation], Awaitable[SignatureRequest]]:
    from klucznik.domain.signature_requests import Purpose
    from klucznik.services.signing import ask_for_signature

    return lambda klucznik: ask_for_signature(klucznik, context, Purpose.ISSUE, options)
