"""What a connection wants to happen after a renewal: its own hook, and whether the old certificate is revoked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event
from klucznik.domain.connections import Connection
from klucznik.domain.identifiers import Context
from klucznik.errors import InputError
from klucznik.services.connections import find_connection, record
from klucznik.services.installation import Installation
from klucznik.services.renewal import hooks
from klucznik.storage import connections


async def change_after_renewal(
    installation: Installation,
    context: Context,
    *,
    hook: Path | None = None,
    no_hook: bool = False,
    revokes_superseded: bool | None = None,
) -> Connection:
    """Change what is given and leave the rest; the connection as it is then.

    Args:
        hook: a program, checked now as it will be before each run.
        no_hook: the connection has none any more.

    Raises:
        InputError: ``not_connected``, ``hook_missing``, ``hook_untrusted``.
    """
    if hook is not None:
        _check(hook)
    there = await find_connection(installation, context)
    changed = replace(
        there,
        deploy_hook=None if no_hook else there.deploy_hook if hook is None else str(hook),
        revokes_superseded=there.revokes_superseded if revokes_superseded is None else revokes_superseded,
    )
    if changed == there:
        return there

    def commit(transaction: Transaction) -> Connection:
        saved = connections.save(transaction, changed, now=installation.clock.now())
        facts = {"hook": saved.deploy_hook, "revokes_superseded": saved.revokes_superseded}
        record(installation, transaction, Event.CONNECTION_CHANGED, saved, **facts)
        return saved

    return await installation.database.write(commit)


def _check(hook: Path) -> None:
    try:
        hooks.check(hook)
    except hooks.Untrusted as error:
        raise InputError("hook_untrusted", file=str(hook), part=str(error.part)) from None
    except OSError:
        raise InputError("hook_missing", file=str(hook)) from None
