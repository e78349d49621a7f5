"""Issue what is missing of a subject's pair: both limits first, then the requests, then the proofs.

The lease of the subject is held from before the limits are read until the road ends (rules 1 and 4 of the design).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.preflight import Refusal
from klucznik.domain.waits import LONGEST_WAIT_FOR_LIMITS
from klucznik.errors import SubjectBusy
from klucznik.services import audit, login
from klucznik.services.advance import held, load, take_over
from klucznik.services.installation import Installation
from klucznik.services.outcomes import AlreadyHeld, Issued, Outcome, WaitingForLimits
from klucznik.services.progress import Listener, unheard
from klucznik.services.road import LEASE_LASTS
from klucznik.services.see_through import Errand, wait_for_lease
from klucznik.services.sign_in import SignedIn, Signer, sign_in, sign_out
from klucznik.services.ways import signer_for
from klucznik.services.ways_out import OnRefusal, Turn, WaysOut
from klucznik.storage import certificates, issuances, leases

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential

__all__ = ["AlreadyHeld", "Issued", "Outcome", "WaitingForLimits", "issue", "order", "order_signed_in"]


async def issue(
    installation: Installation,
    context: Context,
    credential: Credential | Signer | None,
    *,
    key_type: KeyType = KeyType.EC,
    another_pair: bool = False,
    wait_for_limits: bool = False,
    keys_on_token: bool = False,
    ignores_reserve: bool = False,
    on_refusal: OnRefusal | None = None,
    listener: Listener = unheard,
) -> Outcome:
    """Issue what the subject lacks of a pair (Authentication and Offline).

    An issuance that was interrupted is finished first, whatever it was started with; an answer that was lost is looked
    for, never asked for twice.

    Args:
        credential: what to sign in with, or a signer of the caller's own (any function that signs); None: an
            Authentication certificate from the vault.
        another_pair: issue a whole new pair although a valid one is held.
        wait_for_limits: where the limits leave no room, leave the order waiting for up to 60 days instead of ending it.
        keys_on_token: make the keys on the installation's card or HSM (`Installation.key_token`); they stay there.
        ignores_reserve: may spend requests that renewals of what is held will need (`domain.reserve`).
        on_refusal: is asked after a refusal, while the session is still open, and may walk a way out of it in that
            session; what it returns says what to order then, if anything.

    Returns:
        `Refusal` when KSeF's limits do not leave room; then no request was filed.

    Raises:
        Pkcs11Error: the keys are to be made on a token, which is not to be had.
        KsefRefused: KSeF rejected a sign-in or a request.
        KsefUnavailable: KSeF does not answer, or is not done after ten minutes; calling again goes on where it stopped.
        SubjectBusy: another issuance of the same subject is running and does not end within two minutes.
    """
    if keys_on_token:  # a wrong PIN is told before anything is ordered
        await asyncio.to_thread(installation.token_of_keys.check)
    wanted = _Wanted(key_type, another_pair, wait_for_limits, keys_on_token, ignores_reserve)
    ordering = await _Ordering.begin(installation, context, credential, wanted, listener=listener)
    return ordering if isinstance(ordering, AlreadyHeld) else await ordering.carry_out(on_refusal)


async def order(
    installation: Installation,
    context: Context,
    credential: Credential | Signer | None,
    *,
    key_type: KeyType = KeyType.EC,
    another_pair: bool = False,
    wait_for_limits: bool = False,
    keys_on_token: bool = False,
    ignores_reserve: bool = False,
    for_this_company_alone: bool = False,
    recorded: Recorded | None = None,
    listener: Listener = unheard,
) -> Issuance | AlreadyHeld:
    """Sign in and order as `issue` does, and leave the rest to a worker: nothing but the sign-in is asked of KSeF here.

    The login rests in the vault until the issuance ends. Arguments and errors are those of `issue`, and `recorded` as
    for `order_signed_in`.

    Args:
        for_this_company_alone: whoever asks may not know of others: where an issuance of the same subject for another
            company is under way, it is `SubjectBusy`.
    """
    wanted = _Wanted(key_type, another_pair, wait_for_limits, keys_on_token, ignores_reserve)
    ordering = await _Ordering.begin(installation, context, credential, wanted, listener=listener)
    if isinstance(ordering, _Ordering):
        ordering.recorded = recorded or ordering.recorded
        ordering.for_this_company_alone = for_this_company_alone
    return ordering if isinstance(ordering, AlreadyHeld) else await ordering.leave()


async def order_signed_in(
    installation: Installation,
    signed_in: SignedIn,
    *,
    key_type: KeyType = KeyType.EC,
    wait_for_limits: bool = False,
    recorded: Recorded,
    listener: Listener = unheard,
) -> Issuance | AlreadyHeld:
    """As `order`, for whoever is signed in already, and stays signed in unless the issuance ends well.

    Args:
        recorded: part of the transaction in which the issuance, or one that runs already, is taken up; what it raises
            undoes that.
    """
    wanted = _Wanted(key_type, False, wait_for_limits, False, False)
    ordering = _Ordering(installation, signed_in, None, wanted, listener, stays_signed_in=True, recorded=recorded)
    return await ordering.leave()


async def issue_signed_in(
    installation: Installation,
    signed_in: SignedIn,
    *,
    key_type: KeyType = KeyType.EC,
    another_pair: bool = False,
    wait_for_limits: bool = False,
    keys_on_token: bool = False,
    ignores_reserve: bool = False,
    on_refusal: OnRefusal | None = None,
    listener: Listener = unheard,
) -> Outcome:
    """As `issue`, for whoever is signed in already and cannot sign in again by himself."""
    if keys_on_token:
        await asyncio.to_thread(installation.token_of_keys.check)
    wanted = _Wanted(key_type, another_pair, wait_for_limits, keys_on_token, ignores_reserve)
    return await _Ordering(installation, signed_in, None, wanted, listener).carry_out(on_refusal)


# Part of the transaction in which an issuance is taken up.
Recorded: TypeAlias = Callable[[Connection, Issuance], None]


def _unrecorded(_: Connection, __: Issuance) -> None:
    """For those who have nothing to add."""


@dataclass(frozen=True)
class _Wanted:
    """What was asked for; the arguments of `issue`."""

    key_type: KeyType
    another_pair: bool
    wait_for_limits: bool
    keys_on_token: bool
    ignores_reserve: bool


@dataclass
class _Ordering:
    """What was asked for, and the login it was asked with."""

    installation: Installation
    signed_in: SignedIn
    signer: Signer | None
    wanted: _Wanted
    listener: Listener
    ordered: str | None = None
    stays_signed_in: bool = False
    recorded: Recorded = _unrecorded
    for_this_company_alone: bool = False

    @classmethod
    async def begin(
        cls,
        installation: Installation,
        context: Context,
        credential: Credential | Signer | None,
        wanted: _Wanted,
        *,
        listener: Listener,
    ) -> _Ordering | AlreadyHeld:
        signer = await signer_for(installation, context, credential)
        if not wanted.another_pair and not await _unfinished(installation, signer.subject):
            pair = await held_pair(installation, signer.subject)
            if len(pair) == len(PAIR):
                return AlreadyHeld(signer.subject, context, pair)
        signed_in = await sign_in(installation, context, signer, listener=listener)
        return cls(installation, signed_in, signer, wanted, listener)

    async def carry_out(self, on_refusal: OnRefusal | None) -> Outcome:
        """Order and see it through; and once more for as long as a way out leads on."""
        while True:
            outcome = await self._see_through(stays_signed_in=on_refusal is not None)
            if not isinstance(outcome, Refusal) or on_refusal is None:
                return outcome
            turn = Turn.LEAVE
            try:
                turn = await on_refusal(WaysOut(self.installation, self.signed_in, outcome, self.listener))
            finally:
                if turn is Turn.LEAVE:
                    await sign_out(self.signed_in)
            if turn is Turn.LEAVE:
                return outcome
            if turn is Turn.COMPLETE_PAIR:
                self.wanted = replace(self.wanted, another_pair=False)
            self.ordered = None

    async def _see_through(self, *, stays_signed_in: bool) -> Outcome:
        subject, context = self.signed_in.subject, self.signed_in.context
        errand = Errand(
            self.installation, subject, context, self.signed_in, self.signer, self.listener, stays_signed_in
        )
        try:
            outcome = await errand.see_through(self._taken_up)
        except SubjectBusy:
            if self.ordered is None:
                await sign_out(self.signed_in)
            raise
        self.signed_in = errand.signed_in or self.signed_in
        return await self._nothing_missing() if outcome is None else outcome

    async def leave(self) -> Issuance | AlreadyHeld:
        """Order and leave it to whoever is woken."""
        try:
            lease = await wait_for_lease(self.installation, self.signed_in.subject, self.listener)
            async with held(self.installation, lease):
                issuance = await self._taken_up(lease)
        except SubjectBusy:
            await self._left()
            raise
        if issuance is None:
            return await self._nothing_missing()
        await self.installation.wake(issuance.id)  # after the lease was given back: whoever is woken may begin at once
        return issuance

    async def _left(self) -> None:
        if not self.stays_signed_in:
            await sign_out(self.signed_in)

    async def _nothing_missing(self) -> AlreadyHeld:
        await self._left()
        pair = await held_pair(self.installation, self.signed_in.subject)
        return AlreadyHeld(self.signed_in.subject, self.signed_in.context, pair)

    async def _taken_up(self, lease: leases.Lease) -> Issuance | None:
        """Our own issuance, or one of this subject that has not ended, or a new one; None: nothing is missing."""
        if self.ordered is not None:
            return await load(self.installation, self.ordered)
        subject = self.signed_in.subject
        issuance = await _unfinished(self.installation, subject)
        if issuance is not None:
            if self.for_this_company_alone and issuance.context != self.signed_in.context:
                raise SubjectBusy(subject, until=self.installation.clock.now() + LEASE_LASTS)
            issuance = await take_over(self.installation, issuance, self.signed_in, lease, recorded=self.recorded)
        else:
            pair = () if self.wanted.another_pair else await held_pair(self.installation, subject)
            missing = tuple(kind for kind in PAIR if kind not in {certificate.type for certificate in pair})
            if not missing:
                return None
            issuance = await self._plan(lease, missing)
        self.ordered = issuance.id
        return issuance

    async def _plan(self, lease: leases.Lease, missing: tuple[CertificateType, ...]) -> Issuance:
        now = self.installation.clock.now()
        issuance = Issuance(
            id=secrets.token_hex(16),
            environment=self.installation.environment,
            context=self.signed_in.context,
            subject=self.signed_in.subject,
            key_type=self.wanted.key_type,
            state=IssuanceState.PLANNED,
            missing=missing,
            created_at=now,
            limits_until=now + LONGEST_WAIT_FOR_LIMITS if self.wanted.wait_for_limits else None,
            keys_on_token=self.wanted.keys_on_token,
            ignores_reserve=self.wanted.ignores_reserve,
            stays_signed_in=self.stays_signed_in,
        )
        sealed = login.seal(self.installation, issuance, self.signed_in)

        def commit(connection: Connection) -> None:
            leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
            issuances.add(connection, issuance, now=now)
            if sealed is not None:
                login.keep(connection, sealed, self.signed_in)
            self.recorded(connection, issuance)
            audit.record(self.installation, connection, issuance.subject, _ordered(issuance))

        await self.installation.database.write(commit)
        return issuance


def _ordered(issuance: Issuance) -> Entry:
    facts: dict[str, Fact] = {
        "context": issuance.context.value,
        "missing": [kind.value for kind in issuance.missing],
        "key_type": issuance.key_type.value,
        "waits_for_limits": issuance.limits_until is not None,
        "ignores_reserve": issuance.ignores_reserve,
    }
    return Entry(Event.ISSUANCE_ORDERED, facts, issuance.id)


async def _unfinished(installation: Installation, subject: Subject) -> Issuance | None:
    return await installation.database.read(
        lambda connection: issuances.running(connection, installation.environment, subject)
    )


async def held_pair(installation: Installation, subject: Subject) -> tuple[HeldCertificate, ...]:
    """The newest usable certificate of each type."""
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, installation.environment, subject)
    )
    now = installation.clock.now()
    newest: dict[CertificateType, HeldCertificate] = {}
    for certificate in held:
        if certificate.usable(now):
            newest.setdefault(certificate.type, certificate)
    return tuple(newest[kind] for kind in PAIR if kind in newest)
