"""The command that renews: what is due, of one company or of all, and what earlier renewals left to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import AsJson, MaybeNip, Nip, confirmed
from klucznik.cli.running import context_of, start, with_installation
from klucznik.errors import InputError

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.domain.identifiers import Context, Subject
    from klucznik.services.installation import Installation
    from klucznik.services.renewal.renew_many import Renewed
    from klucznik.services.renewal.renewals import Standing
    from klucznik.services.renewal.retire import Retiring


def renew(
    ctx: typer.Context,
    nip: MaybeNip = None,
    all_: Annotated[bool, typer.Option("--all", help="help.renew_all")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="help.renew_dry_run")] = False,
    force: Annotated[bool, typer.Option("--force", help="help.renew_force")] = False,
    revoke_old: Annotated[bool, typer.Option("--revoke-old", help="help.revoke_old")] = False,
    revoke_old_offline: Annotated[bool, typer.Option("--revoke-old-offline", help="help.revoke_old_offline")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="help.yes")] = False,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli import renewal_pictures as pictures
    from klucznik.services.renewal.retire import Retiring
    from klucznik.views import renewals as views

    settings, output = start(ctx, as_json)
    words = settings.words
    if (nip is None) is not all_:
        raise InputError("renew_needs_nip_or_all")
    if force and nip is None:
        raise InputError("renew_force_needs_nip")
    context = None if nip is None else context_of(nip, output)
    if dry_run:
        planned = with_installation(settings, lambda klucznik: _planned(klucznik, context, early=force))
        output.result(views.planned(planned), pictures.planned(planned, words))
        return Exit.DONE
    if revoke_old_offline and not (yes or _agreed(output)):
        raise InputError("not_confirmed")
    retiring = Retiring(authentication=revoke_old, offline=revoke_old_offline)

    async def work(klucznik: Installation) -> tuple[list[Renewed], int]:
        return await _renewed(klucznik, context, output, early=force, retiring=retiring)

    done, looked_at = with_installation(settings, work)
    output.result(views.renewed(done, looked_at, words), pictures.renewed(done, looked_at, words))
    return Exit.DONE if all(one.well for one in done) else Exit.NOT_ALL_RENEWED


def after_renewal(
    ctx: typer.Context,
    nip: Nip,
    hook: Annotated[Path | None, typer.Option("--hook", metavar="FILE", help="help.hook")] = None,
    no_hook: Annotated[bool, typer.Option("--no-hook", help="help.no_hook")] = False,
    revoke_old: Annotated[bool, typer.Option("--revoke-old", help="help.revoke_old")] = False,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="help.keep_old")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.services.renewal.after_renewal import change_after_renewal
    from klucznik.views import renewals as views

    settings, output = start(ctx, as_json)
    if (hook is not None and no_hook) or (revoke_old and keep_old):
        raise InputError("after_renewal_contradicts_itself")
    context = context_of(nip, output)
    changed = with_installation(
        settings,
        lambda klucznik: change_after_renewal(
            klucznik,
            context,
            hook=None if hook is None else hook.absolute(),
            no_hook=no_hook,
            revokes_superseded=revoke_old if revoke_old or keep_old else None,
        ),
    )
    words = settings.words
    old = words.say("after_renewal.revoked" if changed.revokes_superseded else "after_renewal.kept")
    own = words.say("after_renewal.hook", nip=context.value, hook=changed.deploy_hook)
    output.result(views.after_renewal(changed), f"{own}\n{old}")


def _agreed(output: Output) -> bool:
    """Codes on paper cannot be called back, so this is asked for itself."""
    words = output.words
    output.note(words.say("renew.offline_warning"), sign="!", style="yellow")
    return not output.as_json and confirmed(words.say("ask.revoke_old_offline"), words)


async def _planned(klucznik: Installation, context: Context | None, *, early: bool) -> list[Standing]:
    from klucznik.services.renewal.renewals import all_subjects, standings

    subjects = await all_subjects(klucznik) if context is None else await _subjects_of(klucznik, context)
    return await standings(klucznik, subjects, early=early)


async def _renewed(
    klucznik: Installation, context: Context | None, output: Output, *, early: bool, retiring: Retiring
) -> tuple[list[Renewed], int]:
    """What became of those that may be due, and how many subjects were looked at."""
    from klucznik.cli.progress import Teller
    from klucznik.services.progress import unheard
    from klucznik.services.renewal.renew_many import renew_many, subjects_with_something_left
    from klucznik.services.renewal.renewals import all_subjects, running_out

    if context is None:
        left = [*await running_out(klucznik), *await subjects_with_something_left(klucznik)]
        subjects = list(dict.fromkeys(left))
        looked_at = len({*await all_subjects(klucznik), *subjects})
    else:
        subjects = await _subjects_of(klucznik, context)
        looked_at = len(subjects)
    # Lines about several at the same time would tell nobody anything.
    listener = Teller(output) if len(subjects) == 1 else unheard
    done = await renew_many(klucznik, subjects, early=early, retiring=retiring, listener=listener)
    return done, looked_at


async def _subjects_of(klucznik: Installation, context: Context) -> list[Subject]:
    from klucznik.services.renewal.renewals import subjects_of

    found = await subjects_of(klucznik, context)
    if not found:
        raise InputError("renew_nothing_held", nip=context.value)
    return found
