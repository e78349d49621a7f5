"""The commands about permissions: who the operator is, the owner's grant to it, and whether it is let in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from klucznik.cli.exit_codes import Exit, code_of
from klucznik.cli.options import P12, AsJson, Cert, Key, Nip, PasswordEnv, confirmed, parsed
from klucznik.cli.running import context_of, credential_of, start, with_installation
from klucznik.cli.signing import External, OutFile, have_signed, wants_external
from klucznik.domain.identifiers import Context, parse_nip
from klucznik.domain.permissions import parse_entity_name
from klucznik.errors import InputError

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.cli.state import Settings
    from klucznik.keys.credential import Credential
    from klucznik.services.grant import Grant, Granted
    from klucznik.services.installation import Installation
    from klucznik.services.sign_in import SignedIn
    from klucznik.services.verify import Looked
    from klucznik.services.withdraw import Withdrawal

T = TypeVar("T")

MaybeCompany = Annotated[str | None, typer.Argument(metavar="NIP", help="help.verify_nip", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="help.yes")]


def operator_set(
    ctx: typer.Context,
    nip: Annotated[str, typer.Option("--nip", metavar="NIP", help="help.operator_nip")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="help.operator_name")],
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.cli.progress import Teller
    from klucznik.services.operator import set_operator
    from klucznik.views import permissions as views

    settings, output = start(ctx, as_json)
    operator_nip, operator_name = parsed(parse_nip, nip), parsed(parse_entity_name, name)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    status = with_installation(
        settings,
        lambda klucznik: set_operator(klucznik, operator_nip, operator_name, credential, listener=Teller(output)),
    )
    output.result(views.operator(status), pictures.operator(status, settings.words))


def operator_show(ctx: typer.Context, as_json: AsJson = False) -> None:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.services.operator import operator_status
    from klucznik.views import permissions as views

    settings, output = start(ctx, as_json)
    status = with_installation(settings, operator_status)
    output.result(views.operator(status), pictures.operator(status, settings.words))


def grant(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    delegate: Annotated[bool, typer.Option("--delegate", help="help.delegate")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="help.withdraw")] = False,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="help.by_hand")] = False,
    external: External = False,
    out: OutFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    settings, output = start(ctx, as_json)
    if sum((delegate, withdraw, by_hand)) > 1 or (external and (withdraw or by_hand)):
        raise InputError("grant_one_thing_at_a_time")
    context = context_of(nip, output)
    if by_hand:
        if cert or key or p12:
            raise InputError("by_hand_needs_no_credential")
        return _ask_to_grant(settings, output, context)
    if wants_external(external, out, cert, key, p12):
        return _have_owner_sign(settings, output, context, delegate=delegate, out=out, yes=yes)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    if withdraw:
        return _take_back(settings, output, context, credential, yes=yes)
    return _let_in(settings, output, context, credential, delegate=delegate, yes=yes)


def verify(
    ctx: typer.Context,
    nip: MaybeCompany = None,
    all_: Annotated[bool, typer.Option("--all", help="help.verify_all")] = False,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.cli.progress import Teller
    from klucznik.domain.connections import Health
    from klucznik.services.verify import verify as verify_one
    from klucznik.views import permissions as views

    settings, output = start(ctx, as_json)
    if (nip is None) is not all_:
        raise InputError("verify_needs_nip_or_all")
    if nip is None:
        return _verify_all(settings, output)
    context = context_of(nip, output)
    found = with_installation(settings, lambda klucznik: verify_one(klucznik, context, listener=Teller(output)))
    output.result(views.verified(found, settings.words), pictures.verified(found, settings.words))
    return Exit.DONE if found.connection.health is Health.HEALTHY else Exit.REFUSED_BY_KSEF


def _let_in(
    settings: Settings, output: Output, context: Context, credential: Credential | None, *, delegate: bool, yes: bool
) -> int:
    from klucznik.cli.progress import Teller
    from klucznik.services.grant import grant as grant_to_operator
    from klucznik.services.grant import ready_operator

    def agreed(asked: Grant) -> bool:
        return agrees_to_grant(asked, settings, output, yes=yes)

    async def work(klucznik: Installation, signed_in: SignedIn) -> Granted:
        return await grant_to_operator(klucznik, signed_in, delegable=delegate, confirm=agreed, listener=Teller(output))

    done = _signed_in(settings, output, context, credential, lambda klucznik: ready_operator(klucznik, context), work)
    return show_granted(done, settings, output)


def _have_owner_sign(
    settings: Settings, output: Output, context: Context, *, delegate: bool, out: Path | None, yes: bool
) -> int:
    from klucznik.domain.signature_requests import Purpose, SignatureRequest
    from klucznik.services.grant import ready_operator
    from klucznik.services.signing import ask_for_signature

    async def ask(klucznik: Installation) -> SignatureRequest:
        await ready_operator(klucznik, context)  # nobody signs for what cannot be done
        return await ask_for_signature(klucznik, context, Purpose.GRANT, {"delegable": delegate})

    return have_signed(settings, output, ask, out=out, stay=True, yes=yes)


def agrees_to_grant(asked: Grant, settings: Settings, output: Output, *, yes: bool) -> bool:
    """The owner's yes to what would be granted."""
    from klucznik.cli import permission_pictures as pictures

    if yes:
        return True
    for line in pictures.grant_warnings(asked, settings.words):
        output.note(line, sign="!", style="yellow")
    return not output.as_json and confirmed(settings.words.say("ask.grant"), settings.words)


def show_granted(done: Granted, settings: Settings, output: Output) -> int:
    """How a grant came out; the exit code."""
    from klucznik.cli import permission_pictures as pictures
    from klucznik.domain.connections import Health
    from klucznik.views import permissions as views

    output.result(views.granted(done, settings.words), pictures.granted(done, settings.words))
    return Exit.DONE if done.connection.health is Health.HEALTHY else Exit.REFUSED_BY_KSEF


def _take_back(
    settings: Settings, output: Output, context: Context, credential: Credential | None, *, yes: bool
) -> int:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.cli.progress import Teller
    from klucznik.services.operator import load_operator
    from klucznik.services.withdraw import Withdrawn, withdraw
    from klucznik.views import permissions as views

    words = settings.words

    def agreed(asked: Withdrawal) -> bool:
        if yes:
            return True
        for line in pictures.withdrawal_warnings(asked, words):
            output.note(line, sign="!", style="yellow")
        return not output.as_json and confirmed(words.say("ask.withdraw"), words)

    async def work(klucznik: Installation, signed_in: SignedIn) -> Withdrawn:
        return await withdraw(klucznik, signed_in, confirm=agreed, listener=Teller(output))

    done = _signed_in(settings, output, context, credential, load_operator, work)
    output.result(views.withdrawn(done), pictures.withdrawn(done, words))
    return Exit.DONE


def _signed_in(
    settings: Settings,
    output: Output,
    context: Context,
    credential: Credential | None,
    ready: Callable[[Installation], Awaitable[object]],
    work: Callable[[Installation, SignedIn], Awaitable[T]],
) -> T:
    """`work` in a session of whoever signs in for the company; nobody signs in before all is `ready`."""
    from klucznik.cli.progress import Teller
    from klucznik.services.sign_in import sign_in, sign_out
    from klucznik.services.ways import signer_for

    async def opened(klucznik: Installation) -> T:
        await ready(klucznik)
        signer = await signer_for(klucznik, context, credential)
        signed_in = await sign_in(klucznik, context, signer, listener=Teller(output))
        try:
            return await work(klucznik, signed_in)
        finally:
            await sign_out(signed_in)

    return with_installation(settings, opened)


def _ask_to_grant(settings: Settings, output: Output, context: Context) -> int:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.services.by_hand import expect_grant
    from klucznik.services.control import ByAdministrator
    from klucznik.views import permissions as views

    expected = with_installation(settings, lambda klucznik: expect_grant(klucznik, context, ByAdministrator()))
    output.result(views.expected(expected, settings.words), pictures.expected(expected, settings.words))
    return Exit.DONE


def _verify_all(settings: Settings, output: Output) -> int:
    from klucznik.cli import permission_pictures as pictures
    from klucznik.domain.connections import Health
    from klucznik.services.verify import verify_all
    from klucznik.views import permissions as views

    async def work(klucznik: Installation) -> list[Looked]:
        found = []
        async for looked in verify_all(klucznik):
            found.append(looked)
            output.note(pictures.looked(looked, settings.words))
        return found

    found = with_installation(settings, work)
    output.result(views.verified_all(found, settings.words), pictures.verified_all(found, settings.words))
    errors = [code_of(one.error) for one in found if one.error is not None]
    if any(one.verified is not None and one.connection.health is not Health.HEALTHY for one in found):
        return Exit.REFUSED_BY_KSEF
    return max(errors, default=Exit.DONE)
