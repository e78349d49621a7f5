"""What comes after a renewal: its hooks, each until it has ended well, and then the old certificates.

All of it is in rows and done under the subject's lease, so that whoever comes next knows what is left, and no hook runs
twice at the same time. A hook is claimed before it starts. The renewal stays valid whatever becomes of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.connections import Connection
from klucznik.domain.deployment import Deployment, DeploymentState, all_settled
from klucznik.domain.issuance import Issuance
from klucznik.errors import KlucznikError
from klucznik.services import audit
from klucznik.services.advance import held, load, take_lease
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.renewal import hooks, retire
from klucznik.services.renewal.retire import KEEP_THEM, Retiring
from klucznik.services.road import LEASE_LASTS
from klucznik.services.see_through import wait_for_lease
from klucznik.storage import certificates, connections, deployments, issuances, leases

T = TypeVar("T")


@dataclass(frozen=True)
class FollowUp:
    """How it stands with what comes after a renewal.

    Attributes:
        revoked: serial numbers of old certificates that were revoked just now.
        error: what stopped the revoking.
    """

    issuance: Issuance
    deployments: tuple[Deployment, ...] = ()
    revoked: tuple[str, ...] = ()
    error: KlucznikError | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all_settled(self.deployments) and self.error is None


async def open_follow_ups(installation: Installation) -> list[str]:
    """Ids of the renewals after which something is left to do."""
    return await installation.database.read(
        lambda connection: deployments.open_renewals(connection, installation.environment)
    )


async def follow_up(
    installation: Installation,
    issuance_id: str,
    *,
    retiring: Retiring = KEEP_THEM,
    told_to: bool = False,
    patient: bool = False,
    limit_s: float = hooks.TIME_LIMIT_S,
    listener: Listener = unheard,
    stopping: Callable[[], bool] = lambda: False,
) -> FollowUp:
    """Run the hooks that are to be run now, and deal with the old certificates when all of them have ended well.

    Args:
        retiring: which old certificates to revoke, beside what the connections ask for.
        told_to: run also what was given up or is to rest.
        stopping: asked before each hook; True: this process is to end, so the rest is left to the next scan.
        patient: wait, up to two minutes, for whoever is at work for this subject; a dead process' lease ends by then.

    Raises:
        SubjectBusy: somebody is at work for this subject.
    """
    issuance = await load(installation, issuance_id)
    if patient:
        lease = await wait_for_lease(installation, issuance.subject, listener)
    else:
        lease = await take_lease(installation, issuance.subject)
    async with held(installation, lease):
        closed = await installation.database.read(lambda connection: deployments.is_closed(connection, issuance_id))
        if closed:
            return FollowUp(issuance)
        following = _Following(installation, issuance, lease, listener, limit_s, stopping)
        return await following.go(retiring, told_to=told_to)


@dataclass
class _Following:
    installation: Installation
    issuance: Issuance
    lease: leases.Lease
    listener: Listener
    limit_s: float
    stopping: Callable[[], bool]
    _served: list[Connection] = field(default_factory=list, init=False)
    _new: list[HeldCertificate] = field(default_factory=list, init=False)

    async def go(self, retiring: Retiring, *, told_to: bool) -> FollowUp:
        self._served, self._new = await self.installation.database.read(self._look)
        found = {hook.name: hook for hook in hooks.hooks_for(self.installation.home, self._served)}
        ended = []
        for planned in await self._planned(list(found)):
            if planned.may_run(self.installation.clock.now(), told_to=told_to) and not self.stopping():
                ended.append(await self._run(planned, found.get(planned.hook)))
            else:
                ended.append(planned)
        if not all_settled(ended):
            return FollowUp(self.issuance, tuple(ended))
        revoked, error = await self._retire(retiring)
        if error is None:
            await self._commit(
                lambda transaction: deployments.close(transaction, self.issuance.id, now=self.installation.clock.now())
            )
        return FollowUp(self.issuance, tuple(ended), revoked, error)

    def _look(self, transaction: Transaction) -> tuple[list[Connection], list[HeldCertificate]]:
        environment, subject = self.issuance.environment, self.issuance.subject
        mine = certificates.of_subject(transaction, environment, subject)
        rows = issuances.enrollments_of(transaction, self.issuance.id)  # in the order of a pair
        new = [one for row in rows for one in mine if one.serial_number == row.certificate_serial_number]
        return connections.of_subject(transaction, environment, subject), new

    async def _planned(self, found: Sequence[str]) -> list[Deployment]:
        """The hooks of this renewal: those that were there when this was first asked."""

        def plan(transaction: Transaction) -> list[Deployment]:
            if (known := deployments.of_issuance(transaction, self.issuance.id)) is not None:
                return known
            deployments.plan(transaction, self.issuance.id, found)
            return [Deployment(self.issuance.id, hook) for hook in found]

        planned = await self._commit(plan)
        order = {name: place for place, name in enumerate(found)}
        return sorted(planned, key=lambda one: (order.get(one.hook, len(order)), one.hook))

    async def _run(self, planned: Deployment, hook: hooks.Hook | None) -> Deployment:
        if hook is None:
            return await self._end(replace(planned, state=DeploymentState.MISSING))
        started = replace(
            planned,
            state=DeploymentState.STARTED,
            attempts=planned.attempts + 1,
            exit_code=None,
            started_at=self.installation.clock.now(),
            ended_at=None,
        )
        await self._commit(lambda transaction: deployments.save(transaction, started))
        try:
            program = hooks.check(hook.program)
        except hooks.Untrusted as error:
            return await self._end(replace(started, state=DeploymentState.UNTRUSTED), str(error))
        except OSError as error:
            missing = DeploymentState.MISSING if isinstance(error, FileNotFoundError) else DeploymentState.FAILED
            return await self._end(replace(started, state=missing), os.strerror(error.errno or 0))
        with tempfile.TemporaryDirectory(prefix="klucznik-") as directory:
            told = self._told(hook, self._write_certificates(Path(directory)))
            environment = hooks.environment_for(os.environ, told)
            try:
                ran = await hooks.run(program, environment, Path(directory), limit_s=self.limit_s)
            except OSError as error:  # its interpreter is missing, or it is no program at all
                return await self._end(replace(started, state=DeploymentState.FAILED), os.strerror(error.errno or 0))
        return await self._end(replace(started, state=_state_of(ran), exit_code=ran.exit_code), ran.output)

    async def _end(self, deployment: Deployment, output: str = "") -> Deployment:
        ended = replace(deployment, ended_at=self.installation.clock.now())
        facts: dict[str, Fact] = {
            "hook": ended.hook,
            "state": ended.state.value,
            "attempt": ended.attempts,
            "exit_code": ended.exit_code,
        }
        await self._commit(
            lambda transaction: deployments.save(transaction, ended),
            Entry(Event.HOOK_ENDED, facts, self.issuance.id),
        )
        self.listener(Progress(Stage.HOOK_ENDED, issuance=self.issuance, deployment=ended, output=output))
        return ended

    def _write_certificates(self, directory: Path) -> list[str]:
        """The new certificates as files; they are public, their keys stay in the vault."""
        files = []
        for held_now in self._new:
            file = directory / f"{held_now.type.value.lower()}-{held_now.serial_number}.crt"
            file.write_bytes(x509.load_der_x509_certificate(held_now.der).public_bytes(Encoding.PEM))
            files.append(str(file))
        return files

    def _told(self, hook: hooks.Hook, files: Sequence[str]) -> dict[str, str]:
        serial_of = {one.type: one.serial_number for one in self._new}
        companies = [one.context.value for one in self._served] or [self.issuance.context.value]
        return {
            "KLUCZNIK_EVENT": "renewed",
            "KLUCZNIK_HOME": str(self.installation.home.absolute()),
            "KLUCZNIK_ENV": self.issuance.environment.value,
            "KLUCZNIK_NIP": (hook.company or self.issuance.context).value,
            "KLUCZNIK_NIPS": " ".join(companies),
            "KLUCZNIK_SUBJECT_TYPE": self.issuance.subject.type.value,
            "KLUCZNIK_SERIALS": " ".join(one.serial_number for one in self._new),
            "KLUCZNIK_AUTHENTICATION_SERIAL": serial_of.get(CertificateType.AUTHENTICATION, ""),
            "KLUCZNIK_OFFLINE_SERIAL": serial_of.get(CertificateType.OFFLINE, ""),
            "KLUCZNIK_OLD_SERIALS": " ".join(self.issuance.replaces or ()),
            "KLUCZNIK_CERTIFICATE_FILES": os.pathsep.join(files),
        }

    async def _retire(self, retiring: Retiring) -> tuple[tuple[str, ...], KlucznikError | None]:
        # One company of several that wants to keep the old one decides for all: it is the same certificate.
        asked_for = bool(self._served) and all(one.revokes_superseded for one in self._served)
        wanted = replace(retiring, authentication=retiring.authentication or asked_for)
        try:
            return await retire.retire(self.installation, self.issuance, self.lease, wanted), None
        except KlucznikError as error:
            return (), error

    async def _commit(self, work: Callable[[Transaction], T], *entries: Entry) -> T:
        """One transaction that holds only while the lease is ours."""

        def confirmed(transaction: Transaction) -> T:
            leases.confirm(transaction, self.lease, now=self.installation.clock.now(), lasts=LEASE_LASTS)
            done = work(transaction)
            if entries:
                audit.record(self.installation, transaction, self.lease.subject, *entries)
            return done

        return await self.installation.database.write(confirmed)


def _state_of(ran: hooks.Ran) -> DeploymentState:
    if ran.exit_code is None:
        return DeploymentState.TIMED_OUT
    return DeploymentState.SUCCEEDED if ran.exit_code == 0 else DeploymentState.FAILED
