"""Renew many subjects, a few at a time: a failure of one is told in its place and stops nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from klucznik.domain.identifiers import Subject
from klucznik.errors import KlucznikError
from klucznik.services.advance import load
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.renewal.deploy import FollowUp, follow_up, open_follow_ups
from klucznik.services.renewal.renew import Renewal, RenewalEnd, renew
from klucznik.services.renewal.retire import KEEP_THEM, Retiring

# KSeF's limits on calls are kept by all together; more at once would only wait for each other.
AT_ONCE = 8
_WELL = (RenewalEnd.RENEWED, RenewalEnd.NOT_DUE)


@dataclass(frozen=True)
class Renewed:
    """What became of one subject.

    Attributes:
        renewal: None: nothing is in service any more, and there is only something left to do after an older renewal.
        after: its hooks and old certificates, of this renewal or an earlier one, where there were any.
        error: what stopped those.
    """

    subject: Subject
    renewal: Renewal | None
    after: tuple[FollowUp, ...] = ()
    error: KlucznikError | None = None

    @property
    def well(self) -> bool:
        """Whether all that was to be done is done."""
        renewed = self.renewal is None or self.renewal.end in _WELL
        return renewed and self.error is None and all(one.done for one in self.after)


async def renew_many(
    installation: Installation,
    subjects: Sequence[Subject],
    *,
    early: bool = False,
    retiring: Retiring = KEEP_THEM,
    listener: Listener = unheard,
) -> list[Renewed]:
    """Renew what is due of each, then run the hooks, also those that earlier runs have left.

    Args:
        early: renew what is not due yet, and run hooks that were given up.
        retiring: which of the replaced certificates to revoke, beside what connections ask for.
    """
    left = await _left_by_subject(installation)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(subject: Subject) -> Renewed | None:
        async with room:
            renewal = await renew(installation, subject, early=early, listener=listener)
            todo = list(left.get(subject, ()))
            if renewal is not None and renewal.end is RenewalEnd.RENEWED and renewal.issuance is not None:
                todo += [renewal.issuance.id] * (renewal.issuance.id not in todo)
            if renewal is None and not todo:
                return None
            done = Renewed(subject, renewal)
            for issuance_id in todo:
                done = await _follow(installation, done, issuance_id, retiring, told_to=early, listener=listener)
            return done

    return [done for done in await asyncio.gather(*map(one, subjects)) if done is not None]


async def subjects_with_something_left(installation: Installation) -> list[Subject]:
    """Those after whose renewals something is left to do."""
    return list(await _left_by_subject(installation))


async def _left_by_subject(installation: Installation) -> dict[Subject, list[str]]:
    left: dict[Subject, list[str]] = {}
    for issuance_id in await open_follow_ups(installation):
        left.setdefault((await load(installation, issuance_id)).subject, []).append(issuance_id)
    return left


async def _follow(
    installation: Installation,
    done: Renewed,
    issuance_id: str,
    retiring: Retiring,
    *,
    told_to: bool,
    listener: Listener,
) -> Renewed:
    try:
        after = await follow_up(
            installation, issuance_id, retiring=retiring, told_to=told_to, patient=True, listener=listener
        )
    except KlucznikError as error:
        return replace(done, error=error)
    return replace(done, after=(*done.after, after))
