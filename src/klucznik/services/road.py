"""One issuance on its road. `advance` acts on what the rows say, commits, and looks again until the road ends or waits.

What comes next is decided by `domain.issuance.next_step`; every commit confirms the subject's lease. The two promises
kept here: a key is on disk before its CSR leaves, and nothing is sent twice while the first may have arrived.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact, limits_facts
from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.issuance import (
    Enrollment,
    EnrollmentState,
    Failure,
    Issuance,
    IssuanceState,
    NextStep,
    Step,
    ending,
    next_step,
)
from klucznik.domain.limits import Limits
from klucznik.domain.polling import next_poll
from klucznik.domain.preflight import Finding, Refusal, preflight
from klucznik.domain.sealed import KeyBinding, SealedKey
from klucznik.domain.waits import Wait, WaitKind, believed, pause, wait_after
from klucznik.errors import (
    AnswerLost,
    KsefRefused,
    KsefUnavailable,
    Paced,
    RateLimited,
    SentTooLate,
    SignatureNeeded,
    SignInRefused,
    VerificationFailed,
)
from klucznik.keys.csr import build_csr
from klucznik.keys.generate import generate_key
from klucznik.ksef.session import Session
from klucznik.services import audit, proof, reconcile, refusals, restored
from klucznik.services.installation import Installation
from klucznik.services.login import Login
from klucznik.services.naming import certificate_name, named_for
from klucznik.services.progress import Listener, Progress, Settled, Stage, unheard
from klucznik.services.sign_in import SignedIn
from klucznik.services.together import together
from klucznik.storage import certificates, issuances, leases, logins, private_keys

T = TypeVar("T")

# The lease outlives every HTTP time-out (`services.installation`), so that nobody takes a subject over while a request
# may still be on its way; whoever works renews it, so that a dead worker's subject is free within half a minute.
LEASE_LASTS = timedelta(seconds=25)
# Limits older than this are read again before a request leaves, even where nothing was waited for.
LIMITS_STAY_FRESH = timedelta(seconds=30)
# A wait up to this long is slept through under the lease; a longer one is committed, and the lease given back.
SHORT_WAIT = timedelta(seconds=2)
# How often waiting limits are looked at again, whatever the estimate says.
_LIMITS_LOOK = timedelta(days=1)
_LONGEST_PAUSE_S = 100
# Status of a sign-in with a certificate that is revoked, suspended or expired (facts.md §2.7).
_CERTIFICATE_INVALID = 460
# Between the commit of the intent and the last byte of the POST lies at most the wait for its turn (2 s); more means
# a frozen process. With the answer (12 s) this stays inside the lease.
_SENT_AT_ONCE = timedelta(seconds=7)
# Waits that only a person or many days can end are recorded when they begin; the others are KSeF's everyday life.
_WAITS_THAT_MATTER = (WaitKind.NEEDS_SIGNATURE, WaitKind.LIMITS, WaitKind.WRONG_CERTIFICATE)

# What an enrollment's new state is called in the audit log, where nothing more is known.
_MOVED = {
    EnrollmentState.KEY_COMMITTED: Event.REQUEST_NOT_SENT,
    EnrollmentState.REQUESTED: Event.REQUEST_FILED,
    EnrollmentState.UNKNOWN: Event.ANSWER_LOST,
    EnrollmentState.ISSUED: Event.CERTIFICATE_ISSUED,
    EnrollmentState.REJECTED: Event.REQUEST_REJECTED,
}


@dataclass
class Road:
    """The issuance of one subject, taken as far as it goes now while `lease` lasts.

    Args:
        stopping: asked between two steps; True: this process is to end, so the rest is left to whoever is woken next.
    """

    installation: Installation
    login: Login
    lease: leases.Lease
    listener: Listener = unheard
    stopping: Callable[[], bool] = lambda: False
    refusal: Refusal | None = field(default=None, init=False)
    proofs: tuple[proof.Proof, ...] = field(default=(), init=False)
    _limits: Limits | None = field(default=None, init=False, repr=False)
    _limits_read_at: datetime | None = field(default=None, init=False, repr=False)
    _sent_since: int = field(default=0, init=False, repr=False)
    _looks: int = field(default=0, init=False, repr=False)
    _looking_for: WaitKind | None = field(default=None, init=False, repr=False)
    _rested: bool = field(default=False, init=False, repr=False)
    _before: Wait | None = field(default=None, init=False, repr=False)
    _random: Random = field(default_factory=Random, init=False, repr=False)

    async def advance(self, issuance: Issuance) -> Issuance:
        """Take the issuance on until it ends or has to wait (then `Issuance.wait` says for what).

        Raises:
            KsefUnavailable: KSeF does not answer now; the rows keep everything, and a later call goes on from there.
            SignatureNeeded: the login is over.
            VerificationFailed: KSeF gave something else than was asked for.
        """
        acts = {
            Step.PREFLIGHT: self._preflight,
            Step.SEND: self._send,
            Step.RECONCILE: self._reconcile,
            Step.POLL: self._poll,
            Step.RETRIEVE: self._retrieve,
            Step.VERIFY: self._verify,
            Step.FILE_ANEW: self._file_anew,
            Step.FINISH: self._finish,
        }
        if issuance.wait is not None:
            self._before = issuance.wait
            if issuance.wait.kind in (WaitKind.PROCESSING, WaitKind.UNSETTLED):
                # What was waited for is over, or somebody wants to look earlier: no rest before this look.
                self._looking_for, self._looks, self._rested = issuance.wait.kind, issuance.wait.looks, True
        issuance = await self._after_a_restore(replace(issuance, wait=None))
        while issuance.wait is None and not self.stopping():
            todo = await self._next(issuance)
            if todo.step is Step.NOTHING:
                break
            issuance = await acts[todo.step](issuance, todo.enrollments)
        return issuance

    async def _after_a_restore(self, issuance: Issuance) -> Issuance:
        """Where the rows come from a backup, look first at what KSeF has issued since.

        Raises:
            KsefRefused: ``issued_since_the_backup``: this issuance went on after the backup, and its keys are gone.
        """
        subject = issuance.subject
        if not await restored.is_from_a_backup(self.installation, subject):
            return issuance
        signed_in = SignedIn(await self.login.session(), subject)
        found = await restored.compare(self.installation, signed_in, self.lease, lasts=LEASE_LASTS)
        gone = [record.serial_number for record in found.gone if named_for(record.name, issuance.id)]
        if not gone:
            return issuance
        called_off = replace(issuance, cancelled_at=self._now)
        if issuance.state is not IssuanceState.PLANNED:
            # What it filed is finished and kept; nothing is filed anew, for that has been done since.
            told = Entry(Event.ISSUANCE_CANCELLED, {"why": "issued_since_the_backup", "keys_gone": gone}, issuance.id)
            return await self._commit(lambda connection: issuances.save(connection, called_off, now=self._now), told)
        await self._end(replace(called_off, state=IssuanceState.CANCELLED), ())
        raise KsefRefused("issued_since_the_backup", serials=", ".join(gone))

    async def _next(self, issuance: Issuance) -> NextStep:
        def look(connection: Connection) -> list[Enrollment]:
            # Whoever was frozen between two acts learns here that somebody else has taken over, and asks KSeF nothing.
            leases.check(connection, self.lease)
            return issuances.enrollments_of(connection, issuance.id)

        return next_step(issuance, await self.installation.database.read(look))

    async def _rows(self, issuance: Issuance) -> list[Enrollment]:
        return await self.installation.database.read(
            lambda connection: issuances.enrollments_of(connection, issuance.id)
        )

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _rest(self, issuance: Issuance, kind: WaitKind, since: datetime | None = None) -> Issuance:
        """Pause before looking once more for the same thing: here where it is short, in the row where it is long.

        Args:
            since: how long KSeF has been at it, where it is KSeF that is waited for.
        """
        if self._looking_for is not kind:
            # A lost answer is looked for at once; what KSeF has just accepted is not done yet.
            self._looking_for, self._looks, self._rested = kind, 0, kind is WaitKind.UNSETTLED
        if self._rested:
            self._rested = False
            return issuance
        rest = pause(kind, self._looks) if since is None else next_poll(self._looks, self._now - since, self._random)
        if self._looks == 0 or kind is WaitKind.UNSETTLED:
            self.listener(Progress(Stage.WAITING_FOR_KSEF, seconds=rest.total_seconds()))
        self._looks += 1
        return await self._wait(issuance, kind, self._now + rest)

    async def _wait(self, issuance: Issuance, kind: WaitKind, until: datetime, reason: str | None = None) -> Issuance:
        self._limits = None  # after every wait they are read anew (rule 1)
        left = until - self._now
        if left <= SHORT_WAIT:
            await self.installation.clock.sleep(max(0.0, left.total_seconds()))
            return issuance
        return await self.park(issuance, kind, until, reason)

    async def park(
        self, issuance: Issuance, kind: WaitKind, until: datetime | None, reason: str | None = None
    ) -> Issuance:
        """Commit that the issuance waits; whoever is woken then goes on from the rows."""
        now = self._now
        wait = wait_after(self._before, kind, until, now, reason)
        if self._looking_for is kind:
            wait = replace(wait, looks=self._looks)
        entries = []
        if kind in _WAITS_THAT_MATTER and (self._before is None or self._before.kind is not kind):
            told: dict[str, Fact] = {
                "for": kind.value,
                "reason": reason,
                "until": None if until is None else until.isoformat(),
            }
            entries = [Entry(Event.WAITING, told, issuance.id)]
        waiting = replace(issuance, wait=wait)
        parked = await self._commit(lambda connection: issuances.save(connection, waiting, now=now), *entries)
        self.listener(Progress(Stage.WAITING, issuance=parked))
        return parked

    async def park_until_ksef_answers(self, issuance: Issuance, reason: str) -> Issuance:
        """Commit that KSeF gave no usable answer; the longer that lasts, the more seldom it is asked."""
        kind = WaitKind.KSEF_UNAVAILABLE
        looks = self._before.looks if self._before is not None and self._before.kind is kind else 0
        return await self.park(issuance, kind, self._now + pause(kind, looks), reason)

    # ── before anything is sent ──────────────────────────────────────────────────────────────────────────────────

    async def _preflight(self, issuance: Issuance, _: Sequence[Enrollment]) -> Issuance:
        limits = await self._read_limits()
        findings = preflight(limits, len(issuance.missing))
        if findings:
            return await self._refuse(issuance, limits, findings, needed=len(issuance.missing))
        # Not beside the limits: a second connection costs more round trips (TCP, TLS) than it saves.
        data = await (await self.login.session()).enrollment_data()
        prepared = [await self._prepare(issuance, kind, data) for kind in issuance.missing]
        underway = replace(issuance, state=IssuanceState.UNDERWAY, limits_before=limits)
        return await self._commit_keys(underway, limits, prepared)

    async def _commit_keys(
        self,
        issuance: Issuance,
        limits: Limits,
        prepared: Sequence[tuple[Enrollment, SealedKey, KeyBinding]],
        **facts: Fact,
    ) -> Issuance:
        def commit(connection: Connection) -> Issuance:
            for enrollment, sealed, binding in prepared:
                private_keys.add(connection, sealed, binding, now=self._now)
                issuances.add_enrollment(connection, enrollment, now=self._now)
            return issuances.save(connection, issuance, now=self._now)

        keys = [{"type": row.type.value, "name": row.name, "key": row.key_id} for row, _, _ in prepared]
        decision: dict[str, Fact] = {"limits": limits_facts(limits), "needed": len(prepared), "keys": keys, **facts}
        saved = await self._commit(commit, Entry(Event.PREFLIGHT_PASSED, decision, issuance.id))
        self.listener(Progress(Stage.KEYS_COMMITTED))
        return saved

    async def _prepare(
        self, issuance: Issuance, kind: CertificateType, data: EnrollmentData, attempt: int = 1
    ) -> tuple[Enrollment, SealedKey, KeyBinding]:
        """A key, sealed for the vault, and its CSR. The key itself lives in this function only."""
        private_key = await asyncio.to_thread(generate_key, issuance.key_type)
        key_id = secrets.token_hex(16)
        subject = issuance.subject
        binding = KeyBinding(issuance.environment, subject.type, subject.value)
        enrollment = Enrollment(
            id=secrets.token_hex(16),
            issuance_id=issuance.id,
            type=kind,
            name=certificate_name(kind, self._now, issuance.id, attempt),
            key_id=key_id,
            csr=build_csr(data, private_key),
            state=EnrollmentState.KEY_COMMITTED,
        )
        return enrollment, self.installation.vault.seal(key_id, private_key, binding=binding), binding

    async def _refuse(
        self, issuance: Issuance, limits: Limits, findings: tuple[Finding, ...], *, needed: int
    ) -> Issuance:
        self.refusal = await self._explain(issuance, limits, findings, needed=needed)
        told = replace(issuance, limits_before=issuance.limits_before or limits)
        if (patient := await self._wait_for_limits(told, self.refusal)) is not None:
            return patient
        refused = _refused(issuance, limits, findings, needed)
        return await self._end(replace(told, state=IssuanceState.REFUSED), (), refused)

    async def _explain(
        self, issuance: Issuance, limits: Limits, findings: tuple[Finding, ...], *, needed: int
    ) -> Refusal:
        signed_in = SignedIn(await self.login.session(), issuance.subject)
        return await refusals.explain(self.installation, signed_in, limits, findings, needed=needed)

    async def _wait_for_limits(self, issuance: Issuance, refusal: Refusal) -> Issuance | None:
        """The issuance, waiting, where the user has asked for that and the time is not over; or None."""
        now = self._now
        if issuance.limits_until is None or now >= issuance.limits_until:
            return None
        look = min(now + _LIMITS_LOOK, issuance.limits_until)
        estimates = [remedy.estimate.earliest for remedy in refusal.remedies if remedy.estimate is not None]
        soonest = [moment for moment in estimates if moment is not None and now < moment < look]
        return await self.park(issuance, WaitKind.LIMITS, min(soonest, default=look))

    async def _read_limits(self) -> Limits:
        self._limits = await (await self.login.session()).limits()
        self._limits_read_at, self._sent_since = self._now, 0
        self.listener(Progress(Stage.LIMITS_READ, limits=self._limits))
        return self._limits

    # ── the request that spends ──────────────────────────────────────────────────────────────────────────────────

    async def _send(self, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
        (enrollment,) = those
        unsent = [row for row in await self._rows(issuance) if row.state is EnrollmentState.KEY_COMMITTED]
        session = await self.login.session()  # before the intent: nothing may come between the intent and the POST
        limits = await self._fresh_limits()
        # Of fresh limits, what this run has itself filed since reading them is taken off.
        findings = preflight(limits, len(unsent) + self._sent_since)
        if findings:
            return await self._stop_sending(issuance, unsent, limits, findings)
        before = limits.enrollment.remaining - self._sent_since
        intent: dict[str, Fact] = {"type": enrollment.type.value, "name": enrollment.name, "remaining_before": before}
        sending = await self._commit(
            lambda connection: issuances.save_enrollment(
                connection,
                replace(enrollment, sent_at=self._now, remaining_before=before),
                EnrollmentState.SENDING,
                now=self._now,
            ),
            Entry(Event.REQUEST_INTENDED, {**intent, "limits": limits_facts(limits)}, issuance.id),
        )
        return await self._post(issuance, sending, session)

    async def _post(self, issuance: Issuance, enrollment: Enrollment, session: Session) -> Issuance:
        send_by = (enrollment.sent_at or self._now) + _SENT_AT_ONCE
        try:
            ticket = await session.enroll(
                name=enrollment.name, type=enrollment.type, csr=enrollment.csr, send_by=send_by
            )
        except SentTooLate:
            # This process was frozen after the commit. Somebody else may have taken the subject over since, so it asks
            # first: this commit fails where the lease has moved on.
            await self._move(enrollment, EnrollmentState.KEY_COMMITTED, why="frozen")
            self._limits = None
            return issuance
        except AnswerLost:
            self._limits = None
            await self._move(enrollment, EnrollmentState.UNKNOWN)
            self.listener(Progress(Stage.ANSWER_LOST, type=enrollment.type))
            return issuance
        except (RateLimited, Paced) as error:
            await self._move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason)
            return await self._pause(issuance, error)
        except KsefRefused as error:
            if error.status in (401, 403):  # about the login, not about the request: nothing was filed
                await self._move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason, status=error.status)
                raise
            await self._reject(enrollment, error)
            return issuance
        except (KsefUnavailable, SignatureNeeded) as error:  # the request never left this machine
            await self._move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason)
            raise
        self._sent_since += 1
        filed = replace(enrollment, reference_number=ticket.reference_number, requested_at=ticket.timestamp)
        await self._move(filed, EnrollmentState.REQUESTED)
        self.listener(Progress(Stage.REQUEST_FILED, type=enrollment.type))
        return issuance

    async def _stop_sending(
        self, issuance: Issuance, unsent: Sequence[Enrollment], limits: Limits, findings: tuple[Finding, ...]
    ) -> Issuance:
        """The limits have shrunk since they were first read: nothing more is sent; what was sent is finished."""
        filed = len(await self._rows(issuance)) - len(unsent)
        refusal = await self._explain(issuance, limits, findings, needed=len(unsent))
        self.refusal = replace(refusal, filed=filed)
        if not filed and (patient := await self._wait_for_limits(issuance, refusal)) is not None:
            return patient
        # All in one: a crash that left one of two behind would later send it alone, half a pair.
        refused = _refused(issuance, limits, findings, len(unsent))
        return await self._end(issuance if filed else replace(issuance, state=IssuanceState.REFUSED), unsent, refused)

    async def _fresh_limits(self) -> Limits:
        read_at = self._limits_read_at
        if self._limits is None or read_at is None or self._now - read_at > LIMITS_STAY_FRESH:
            return await self._read_limits()
        return self._limits

    async def _reconcile(self, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
        """Find out whether a request arrived. Sends nothing."""
        (enrollment,) = those
        if enrollment.state is EnrollmentState.SENDING:  # a crash left it so
            enrollment = await self._move(enrollment, EnrollmentState.UNKNOWN, why="interrupted")
        if (resting := await self._rest(issuance, WaitKind.UNSETTLED)).wait is not None:
            return resting
        self._limits = None
        signed_in = SignedIn(await self.login.session(), issuance.subject)
        verdict = await reconcile.investigate(self.installation, signed_in, enrollment)
        if verdict is None:
            return issuance
        if verdict.given_up:
            # Not sent again: it may have been spent. Whoever orders anew starts from the limits.
            await self._reject(
                enrollment, KsefRefused("enrollment_given_up"), Event.RECONCILED_GIVEN_UP, **verdict.evidence
            )
            settled = Settled.GIVEN_UP
        elif verdict.serial_number is None:
            await self._move(
                enrollment, EnrollmentState.KEY_COMMITTED, Event.RECONCILED_NEVER_ARRIVED, **verdict.evidence
            )
            settled = Settled.NEVER_ARRIVED
        else:
            settled = Settled.ADOPTED if enrollment.reference_number is None else Settled.FOUND_AGAIN
            found = replace(
                enrollment,
                certificate_serial_number=verdict.serial_number,
                requested_at=enrollment.requested_at or verdict.requested_at,
            )
            await self._move(found, EnrollmentState.ISSUED, Event.RECONCILED_ADOPTED, **verdict.evidence)
        self.listener(Progress(Stage.RECONCILED, type=enrollment.type, settled=settled))
        return issuance

    # ── after KSeF has accepted ──────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
        """Ask for the first request only until it is done: its twin, filed a moment later, is ready by then."""
        pending = list(those)
        while pending:
            since = pending[0].requested_at or self._now
            if (resting := await self._rest(issuance, WaitKind.PROCESSING, since)).wait is not None:
                return resting
            try:
                while pending and not await self._still_pending(pending[0]):
                    del pending[0]
            except (RateLimited, Paced) as error:
                return await self._pause(issuance, error)
        return issuance

    async def _still_pending(self, enrollment: Enrollment) -> bool:
        try:
            session = await self.login.session()
            status = await session.enrollment_status(enrollment.reference_number or "")
        except KsefRefused as error:
            if error.status == 410 or error.code == 25005:
                # The status is kept for 30 days only (facts.md §1.5); the certificate is found by its name.
                await self._move(enrollment, EnrollmentState.UNKNOWN, Event.STATUS_GONE, code=error.code)
                return False
            raise
        if status.pending:
            return True
        if status.issued:
            issued = replace(enrollment, certificate_serial_number=status.certificate_serial_number)
            await self._move(issued, EnrollmentState.ISSUED)
            self.listener(Progress(Stage.ISSUED, type=enrollment.type))
        else:
            refused = KsefRefused(code=status.code, text=status.text, details=status.details)
            await self._reject(enrollment, refused)
        return False

    async def _retrieve(self, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
        serial_numbers = [enrollment.certificate_serial_number or "" for enrollment in those]
        retrieved = await (await self.login.session()).retrieve(serial_numbers)
        wrong: list[tuple[Enrollment, VerificationFailed]] = []
        missing: KsefUnavailable | None = None
        for enrollment in those:  # what is right is kept, whatever is wrong with the other
            try:
                held = proof.find_ours(issuance, enrollment, retrieved, now=self._now)
            except VerificationFailed as error:
                wrong.append((enrollment, error))
            except KsefUnavailable as error:
                missing = error
            else:
                await self._keep(enrollment, held)
        if wrong:
            return await self._ask_again(issuance, wrong)
        if missing is not None:
            raise missing
        return issuance

    async def _keep(self, enrollment: Enrollment, held: HeldCertificate) -> None:
        def commit(connection: Connection) -> None:
            certificates.add(connection, held, now=self._now)
            issuances.save_enrollment(connection, enrollment, EnrollmentState.RETRIEVED, now=self._now)

        await self._commit(commit, _entry(Event.CERTIFICATE_RETRIEVED, enrollment))
        self.listener(Progress(Stage.RETRIEVED, type=enrollment.type))

    async def _ask_again(self, issuance: Issuance, wrong: Sequence[tuple[Enrollment, VerificationFailed]]) -> Issuance:
        """One wrong answer says nothing about the certificate that KSeF holds; only one that stays is its last word."""
        kind, before = WaitKind.WRONG_CERTIFICATE, self._before
        _, error = wrong[0]
        if believed(before, self._now):
            for enrollment, failed in wrong:
                await self._reject(enrollment, failed)
            raise error
        rest = pause(kind, before.looks if before is not None and before.kind is kind else 0)
        self.listener(Progress(Stage.WAITING_FOR_KSEF, seconds=rest.total_seconds()))
        return await self.park(issuance, kind, self._now + rest, error.reason)

    async def _verify(self, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
        """A real login with the one, a signed and verified KOD II link with the other; the limits beside them."""
        self.listener(Progress(Stage.VERIFYING))
        session = await self.login.session()
        # Where the user is now: rights in the company in which the issuance began may be gone since.
        context = session.context
        try:
            # The longer road first: it takes the connection that is open, and the shorter one waits for a second.
            proofs, limits = await together(proof.prove_all(self.installation, context, those), session.limits())
        except SignInRefused as error:
            if error.code == _CERTIFICATE_INVALID:
                await self._reject_authentication(those, error)
            elif error.passing:
                return await self._prove_later(issuance, error)
            raise VerificationFailed(
                "new_certificate_cannot_sign_in", code=error.code, text=error.text, details=" ".join(error.details)
            ) from None
        except KsefUnavailable as error:
            return await self._prove_later(issuance, error)

        def commit(connection: Connection) -> Issuance:
            for enrollment in those:
                issuances.save_enrollment(connection, enrollment, EnrollmentState.VERIFIED, now=self._now)
                serial_number = enrollment.certificate_serial_number or ""
                certificates.mark_verified(connection, issuance.environment, serial_number, now=self._now)
            return issuances.save(connection, replace(issuance, limits_after=limits), now=self._now)

        proved: dict[str, Fact] = {
            "limits": limits_facts(limits),
            "proofs": [
                {"serial": one.serial_number, "login": one.reference_number, "kod2": one.link is not None}
                for one in proofs
            ],
        }
        saved = await self._commit(commit, Entry(Event.CERTIFICATES_PROVED, proved, issuance.id))
        self.proofs += tuple(proofs)
        for enrollment in those:
            self.listener(Progress(Stage.VERIFIED, type=enrollment.type))
        return saved

    async def _prove_later(self, issuance: Issuance, error: SignInRefused | KsefUnavailable) -> Issuance:
        """The certificates are in the vault; that KSeF does not answer now says nothing about them."""
        if isinstance(error, (RateLimited, Paced)):
            return await self.park(issuance, WaitKind.PACED, error.until, error.reason)
        return await self.park_until_ksef_answers(issuance, error.reason)

    async def _reject_authentication(self, those: Sequence[Enrollment], error: SignInRefused) -> None:
        """The certificate will never sign in (revoked meanwhile): its road ends, lest it bar the subject for good."""
        for enrollment in those:
            if enrollment.type is CertificateType.AUTHENTICATION:
                await self._reject(enrollment, error)

    async def _file_anew(self, issuance: Issuance, dropped: Sequence[Enrollment]) -> Issuance:
        """Put new requests in the place of those that KSeF took on and dropped, where the limits leave room for all.

        Whatever it dropped may be spent; so limits that leave no room are the end, and nothing is asked in vain.
        """
        rows = await self._rows(issuance)
        unsent = [row for row in rows if row.state is EnrollmentState.KEY_COMMITTED]
        limits, needed = await self._read_limits(), len(dropped) + len(unsent)
        findings = preflight(limits, needed)
        if findings:
            return await self._finish(issuance, unsent, _refused(issuance, limits, findings, needed))
        data = await (await self.login.session()).enrollment_data()
        attempts = [1 + sum(other.type is row.type for other in rows) for row in dropped]
        prepared = [
            await self._prepare(issuance, row.type, data, attempt)
            for row, attempt in zip(dropped, attempts, strict=True)
        ]
        for row in dropped:
            self.listener(Progress(Stage.FILING_ANEW, type=row.type))
        return await self._commit_keys(issuance, limits, prepared, needed=needed, in_place_of=[r.name for r in dropped])

    async def _finish(self, issuance: Issuance, unsent: Sequence[Enrollment], *why: Entry) -> Issuance:
        ended = [
            replace(row, state=EnrollmentState.UNSENT) if row in unsent else row for row in await self._rows(issuance)
        ]
        return await self._end(replace(issuance, state=ending(issuance, ended)), unsent, *why)

    async def _end(self, issuance: Issuance, unsent: Sequence[Enrollment], *why: Entry) -> Issuance:
        """Save `issuance`, with those that will not be sent; at its end its login is forgotten."""
        ended: dict[str, Fact] = {"state": issuance.state.value, "never_sent": [row.name for row in unsent]}
        entries = [*why, Entry(Event.ISSUANCE_ENDED, ended, issuance.id)] if issuance.state.ended else why

        def commit(connection: Connection) -> Issuance:
            for enrollment in unsent:
                issuances.save_enrollment(connection, enrollment, EnrollmentState.UNSENT, now=self._now)
            if issuance.state.ended:
                logins.forget(connection, issuance.id)
            return issuances.save(connection, issuance, now=self._now)

        saved = await self._commit(commit, *entries)
        if saved.state.ended:
            self.listener(Progress(Stage.ENDED, issuance=saved))
        return saved

    # ── small parts ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _now(self) -> datetime:
        return self.installation.clock.now()

    async def _commit(self, work: Callable[[Connection], T], *entries: Entry) -> T:
        """One transaction that holds only while the lease is ours, and `entries` of the audit log in it."""

        def confirmed(connection: Connection) -> T:
            leases.confirm(connection, self.lease, now=self._now, lasts=LEASE_LASTS)
            done = work(connection)
            if entries:
                audit.record(self.installation, connection, self.lease.subject, *entries)
            return done

        return await self.installation.database.write(confirmed)

    async def _move(
        self, enrollment: Enrollment, state: EnrollmentState, event: Event | None = None, **facts: Fact
    ) -> Enrollment:
        self._before = None  # it goes on: a later wait is a new one
        return await self._commit(
            lambda connection: issuances.save_enrollment(connection, enrollment, state, now=self._now),
            _entry(event or _MOVED[state], enrollment, **facts),
        )

    async def _reject(
        self,
        enrollment: Enrollment,
        error: KsefRefused | VerificationFailed,
        event: Event = Event.REQUEST_REJECTED,
        **facts: Fact,
    ) -> None:
        if isinstance(error, KsefRefused) and (error.code is not None or error.status is not None):
            failure = Failure(error.code, error.text, " ".join(error.details), error.trace_id)
        else:
            failure = Failure(None, "", reason=error.reason)
        said: dict[str, Fact] = {"code": failure.code, "reason": failure.reason, "trace": failure.trace_id}
        await self._move(replace(enrollment, failure=failure), EnrollmentState.REJECTED, event, **said, **facts)
        self.listener(Progress(Stage.REJECTED, type=enrollment.type, failure=failure))

    async def _pause(self, issuance: Issuance, error: RateLimited | Paced) -> Issuance:
        """Wait exactly as long as KSeF, or our own pace, says; a long wait is told to whoever called."""
        left = (error.until - self._now).total_seconds()
        if left > _LONGEST_PAUSE_S:
            raise error
        self.listener(Progress(Stage.PACED, seconds=left))
        return await self._wait(issuance, WaitKind.PACED, error.until, error.reason)


def _entry(event: Event, enrollment: Enrollment, **facts: Fact) -> Entry:
    known = {
        "type": enrollment.type.value,
        "name": enrollment.name,
        "reference": enrollment.reference_number,
        "serial": enrollment.certificate_serial_number,
    }
    told = {name: value for name, value in {**known, **facts}.items() if value is not None}
    return Entry(event, told, enrollment.issuance_id)


def _refused(issuance: Issuance, limits: Limits, findings: tuple[Finding, ...], needed: int) -> Entry:
    reasons = [finding.code.value for finding in findings]
    facts: dict[str, Fact] = {"limits": limits_facts(limits), "needed": needed, "reasons": reasons}
    return Entry(Event.PREFLIGHT_REFUSED, facts, issuance.id)
