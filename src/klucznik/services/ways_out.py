"""Walking a way out of a refusal, in the very session that was refused: nobody signs in twice.

Which ways there are is `domain.remedies`; who asks the person is the interface, through `OnRefusal`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from klucznik.domain.certificates import RevocationReason
from klucznik.domain.preflight import Refusal
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.remedies import About, Remedy
from klucznik.services.certificates import programs_of
from klucznik.services.grant import Grant, Granted, grant
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.revoke import Revocation, Revoked, end_other_sessions, revoke_listed
from klucznik.services.sign_in import SignedIn

# KSeF revokes within seconds; until then the slot may still count (facts.md §3.10, §4.3).
_PAUSES_S = (1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0)


class Turn(StrEnum):
    """What follows a refusal."""

    LEAVE = "leave"
    ORDER_AGAIN = "order_again"  # the same as was refused
    COMPLETE_PAIR = "complete_pair"  # only what the vault lacks of a pair


@dataclass(frozen=True)
class WaysOut:
    """The ways that can be walked at once after a refusal, by whoever is signed in.

    Every method may raise as those of `ksef.session.Session`; what was done before stays done.
    """

    installation: Installation
    signed_in: SignedIn
    refusal: Refusal
    listener: Listener = unheard

    @property
    def open(self) -> tuple[Remedy, ...]:
        """Those for which a person has to say yes and no more, in their order."""
        walkable = {RemedyKind.GRANT_PERMISSION, RemedyKind.REVOKE, RemedyKind.COMPLETE_PAIR}
        return tuple(
            remedy for remedy in self.refusal.remedies if remedy.here and remedy.kind in walkable and remedy.suffices
        )

    @property
    def after_revoking(self) -> Turn:
        """What to order when slots have been freed: the pair, or the half for which requests and slots suffice."""
        halves = (one for one in self.refusal.remedies if one.kind is RemedyKind.COMPLETE_PAIR)
        return Turn.COMPLETE_PAIR if any(one.after is RemedyKind.REVOKE for one in halves) else Turn.ORDER_AGAIN

    async def grant(self, *, delegable: bool = False, confirm: Callable[[Grant], bool]) -> Granted:
        """Let the operator in and prove it; arguments and errors are those of `services.grant.grant`."""
        return await grant(
            self.installation, self.signed_in, delegable=delegable, confirm=confirm, listener=self.listener
        )

    async def revocations(self, certificates: Sequence[About]) -> tuple[Revocation, ...]:
        """What a person has to know before saying yes: which programs will notice."""
        records = [about.record for about in certificates]
        programs = await programs_of(self.installation, [record.serial_number for record in records])
        return tuple(Revocation(record, programs.get(record.serial_number, ())) for record in records)

    async def revoke(
        self,
        certificates: Sequence[About],
        *,
        reason: RevocationReason = RevocationReason.UNSPECIFIED,
        end_sessions: bool = False,
    ) -> tuple[Revoked, ...]:
        """Revoke, for good, certificates of the `REVOKE` remedy, and wait until KSeF has freed their slots.

        Args:
            end_sessions: end the subject's other sessions in this company too.
        """
        revoked = [
            await revoke_listed(self.installation, self.signed_in, asked, reason)
            for asked in await self.revocations(certificates)
        ]
        ended = await end_other_sessions(self.installation, self.signed_in) if end_sessions else None
        await self._freed(len(revoked))
        return (*revoked[:-1], *(replace(last, sessions_ended=ended) for last in revoked[-1:]))

    async def _freed(self, number: int) -> None:
        """Look until the slots are free; where that takes longer, the next look at the limits decides."""
        wanted = self.refusal.limits.certificate.remaining + number
        for pause in _PAUSES_S:
            if (await self.signed_in.session.limits()).certificate.remaining >= wanted:
                return
            await self.installation.clock.sleep(pause)


OnRefusal: TypeAlias = Callable[[WaysOut], Awaitable[Turn]]
