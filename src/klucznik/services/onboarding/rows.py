"""The rows of onboardings: begun, found, changed by whoever saw them last. The login beside them is `logins`."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event
from klucznik.domain.connections import Method, parse_connection_name
from klucznik.domain.identifiers import Context
from klucznik.domain.onboarding import Onboarding, OnboardingState, as_of, connected, may_follow
from klucznik.domain.roles import Action, Principal
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.services.onboarding import rights
from klucznik.services.onboarding_follows import record
from klucznik.storage import invitations, onboardings
from klucznik.storage.races import alone

PAGE = 50
_ID = re.compile(r"[0-9a-f]{32}")


async def begin(
    installation: Installation,
    nip: str,
    *,
    by: Principal,
    name: str | None = None,
) -> Onboarding:
    """Set a company on its way. Whoever has begun already and not ended goes on with that.

    Whoever came by an invitation connects the company that it names, once.

    Args:
        nip: as people write it.
        name: what people call the company; empty: nobody says.

    Raises:
        InputError: ``nip_malformed``, ``connection_name_malformed``; ``onboarding_unknown``: the company is not theirs
            to touch; ``invitation_done``, ``invitation_revoked``: they came by one that leads nowhere any more.
    """
    try:
        context, called = Context.of_nip(nip), parse_connection_name(name) if name and name.strip() else None
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    now = installation.clock.now()
    fresh = Onboarding(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=context,
        begun_by=by.id,
        state=OnboardingState.SIGNER,
        created_at=now,
        updated_at=now,
        name=called,
        invitation_id=by.invitation_id,
    )
    rights.check_may_go_on(by, fresh)

    def commit(transaction: Transaction) -> Onboarding:
        alone(transaction, f"onboarding {installation.environment} {context} {by.id}")
        there = onboardings.unfinished_of(transaction, installation.environment, context, by.id)
        if there is not None:
            return there
        _check_invitation(installation, transaction, fresh)
        onboardings.add(transaction, fresh)
        record(installation, transaction, fresh, Event.ONBOARDING_BEGUN)
        return fresh

    return await installation.database.write(commit)


async def find(installation: Installation, onboarding_id: str, by: Principal) -> Onboarding:
    """One onboarding, as its row says. Asks KSeF nothing.

    Raises:
        InputError: ``onboarding_unknown``: there is none such for them.
    """
    found = await _found(installation, onboarding_id)
    if not rights.may_see(by, found):
        raise rights.unknown(onboarding_id)
    return found


async def to_go_on(
    installation: Installation, onboarding_id: str, by: Principal, action: Action = Action.CONNECT
) -> Onboarding:
    """One onboarding that they may change.

    Raises:
        InputError: ``onboarding_unknown``.
    """
    found = await _found(installation, onboarding_id)
    rights.check_may_go_on(by, found, action)
    return found


async def of_invitation(installation: Installation, by: Principal) -> Onboarding | None:
    """The latest that was begun by the invitation by which they came; None: nothing was begun."""
    invitation_id = by.invitation_id
    if invitation_id is None:
        return None
    found = await installation.database.read(
        lambda transaction: onboardings.of_invitation(transaction, installation.environment, invitation_id)
    )
    return None if found is None else as_of(found, installation.clock.now())


async def unfinished(
    installation: Installation, by: Principal, *, before: tuple[datetime, str] | None = None, size: int = PAGE
) -> list[Onboarding]:
    """A page of those that have not ended, the latest changed first.

    Args:
        before: `Onboarding.place` of the last one of the page before.
    """
    begun_by, now = None if rights.sees_all(by) else by.id, installation.clock.now()
    found = await installation.database.read(
        lambda transaction: onboardings.page(
            transaction, installation.environment, begun_by=begun_by, nip=by.nip, before=before, size=size
        )
    )
    return [as_of(one, now) for one in found]


async def unfinished_of(installation: Installation, context: Context, by: Principal) -> Onboarding | None:
    """The one that they have begun for a company and not ended: `begin` goes on with that."""
    return await installation.database.read(
        lambda transaction: onboardings.unfinished_of(transaction, installation.environment, context, by.id)
    )


def save(installation: Installation, transaction: Transaction, onboarding: Onboarding) -> Onboarding:
    """Part of a transaction; tells the audit log of an end. Raises as `storage.onboardings.save`."""
    saved = onboardings.save(transaction, onboarding, now=installation.clock.now())
    if saved.state.ended:
        record(installation, transaction, saved, Event.ONBOARDING_ENDED)
    return saved


async def saved(installation: Installation, onboarding: Onboarding) -> Onboarding:
    return await installation.database.write(lambda transaction: save(installation, transaction, onboarding))


async def done(installation: Installation, onboarding: Onboarding, method: Method) -> Onboarding:
    """The company is connected, whatever else happened to the onboarding meanwhile."""

    def commit(transaction: Transaction) -> Onboarding:
        there = to_change(installation, transaction, onboarding.id)
        after = connected(there, method)
        return save(installation, transaction, after) if may_follow(there.state, after.state) else there

    return await installation.database.write(commit)


def reload(installation: Installation, transaction: Transaction, onboarding_id: str) -> Onboarding:
    """As it is now; raises InputError ``onboarding_unknown``."""
    return _there(installation, onboarding_id, onboardings.load(transaction, installation.environment, onboarding_id))


def to_change(installation: Installation, transaction: Transaction, onboarding_id: str) -> Onboarding:
    """As it is now, and as it stays until the transaction ends; raises as `reload`."""
    found = onboardings.load(transaction, installation.environment, onboarding_id, to_change=True)
    return _there(installation, onboarding_id, found)


def _there(installation: Installation, onboarding_id: str, found: Onboarding | None) -> Onboarding:
    if found is None:
        raise rights.unknown(onboarding_id)
    return as_of(found, installation.clock.now())


async def reloaded(installation: Installation, onboarding: Onboarding) -> Onboarding:
    return await installation.database.read(lambda transaction: reload(installation, transaction, onboarding.id))


def check_state(onboarding: Onboarding, *states: OnboardingState) -> None:
    """Raise InputError ``onboarding_elsewhere`` where it is at another step by now; as `check_idle`."""
    if onboarding.state not in states:
        raise InputError("onboarding_elsewhere", state=onboarding.state.value)
    check_idle(onboarding)


def check_idle(onboarding: Onboarding) -> None:
    """Raise InputError ``onboarding_act_under_way`` where KSeF is granting or revoking for it at this moment."""
    if onboarding.under_way is not None:
        raise InputError("onboarding_act_under_way", act=onboarding.under_way.act.value)


async def _found(installation: Installation, onboarding_id: str) -> Onboarding:
    if not _ID.fullmatch(onboarding_id):
        raise rights.unknown(onboarding_id)
    return await installation.database.read(lambda transaction: reload(installation, transaction, onboarding_id))


def _check_invitation(installation: Installation, transaction: Transaction, onboarding: Onboarding) -> None:
    if onboarding.invitation_id is None:
        return
    invitation = invitations.load(transaction, installation.environment, onboarding.invitation_id)
    if invitation is None or invitation.revoked_at is not None:
        raise InputError("invitation_revoked", nip=onboarding.context.value)
    if invitation.done_at is not None:
        raise InputError("invitation_done", nip=onboarding.context.value)
