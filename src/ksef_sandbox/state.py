"""The World: every record of the sandbox, its clock, switches, randomness and CA, in memory or on a file.
It stores and finds; the rules of KSeF are in the modules named after the nouns.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heapify
from pathlib import Path
from typing import TypeVar

from ksef_sandbox import permission_records as p
from ksef_sandbox import records as r
from ksef_sandbox.ca import CertificateAuthority
from ksef_sandbox.clock import Clock
from ksef_sandbox.faults.in_force import Faults
from ksef_sandbox.references import Randomness
from ksef_sandbox.requestlog import RequestLog
from ksef_sandbox.store import Store
from ksef_sandbox.switches import Switches
from ksef_sandbox.tables import Journal, Members, NoJournal, Table
from ksef_sandbox.windows import SlidingWindows

R = TypeVar("R")


class World:
    """One KSeF. All access is from one thread: the server's event loop."""

    def __init__(self, *, seed: int | None = None, path: Path | None = None, switches: Switches | None = None) -> None:
        """Start empty, or go on with what `path` holds; raises StoreError when that file cannot be used."""
        self.seed = seed
        self.switches = switches or Switches()
        self._first_switches = self.switches.as_dict()
        self.clock = Clock()
        self.log = RequestLog()
        # Grows with everything that may have changed something, so that a page knows when to look again.
        self.revision = 0
        self.rate_windows = SlidingWindows()
        self.faults = Faults(self.switches, seed)
        # Requests still in progress by the moment they are due, so that nothing has to search for them.
        self.due_enrollments: list[tuple[datetime, str]] = []
        self._store = Store(path) if path else None
        self._tables: list[Table[object]] = []
        self._define_tables(self._store or NoJournal())
        self._begin()

    def _define_tables(self, journal: Journal) -> None:
        def table(kind: str, record_type: type[R], key_of: Callable[[R], str]) -> Table[R]:
            new = Table(kind, record_type, key_of, journal)
            self._tables.append(new)  # type: ignore[arg-type]  # only restored and cleared through this list
            return new

        self.challenges = table("challenge", r.Challenge, lambda c: c.value)
        self.sign_ins = table("sign_in", r.SignIn, lambda s: s.reference)
        self.sign_ins_by_owner = self.sign_ins.index(lambda s: (s.identity, s.context))
        self.sign_ins_by_identity = self.sign_ins.index(lambda s: s.identity)
        self.enrollments = table("enrollment", r.Enrollment, lambda e: e.reference)
        self.enrollments_by_identity = self.enrollments.index(lambda e: e.identity)
        self.refusals = table("refusal", r.SpentRefusal, lambda e: e.reference)
        self.refusals_by_identity = self.refusals.index(lambda e: e.identity)
        self.certificates = table("certificate", r.Certificate, lambda c: c.serial)
        self.certificates_by_identity = self.certificates.index(lambda c: c.identity)
        self.certificates_in_time = self.certificates.order(lambda c: c.requested_at)
        self.key_owners = table("key_owner", r.KeyOwner, lambda k: k.key_hash)
        self.subject_limits = table("subject_limits", r.SubjectLimits, lambda s: r.identity_key(s.identity))
        self.context_limits = table("context_limits", r.ContextLimits, lambda c: r.identity_key(c.context))
        self.context_rates = table("context_rates", r.ContextRates, lambda c: r.identity_key(c.context))
        self.persons = table("person", r.Person, lambda p: p.nip)
        self.persons_by_pesel = self.persons.index(lambda p: p.pesel)
        self.subjects = table("subject", r.DeclaredSubject, lambda s: s.nip)
        self.grants = table("grant", p.Grant, lambda g: g.id)
        self.grants_by_pair = self.grants.index(lambda g: (g.context, g.subject))
        self.grants_by_subject = self.grants.index(lambda g: g.subject)
        self.grants_by_context = self.grants.index(lambda g: g.context)
        self.grants_by_origin = self.grants.index(lambda g: g.granted_in)
        self.grants_in_time = self.grants.order(lambda g: g.started_at)
        self.operations = table("permission_operation", p.PermissionOperation, lambda o: o.reference)
        self.ksef_tokens = table("ksef_token", p.KsefToken, lambda t: t.reference)
        self.ksef_tokens_by_context = self.ksef_tokens.index(lambda t: t.context)
        self.blocked_contexts = table("blocked_context", r.BlockedContext, lambda b: r.identity_key(b.context))
        self.attachments = table("attachment", r.AttachmentConsent, lambda a: a.nip)
        self.identities = Members()
        self.sign_ins.tell(self.identities.of(lambda s: r.identity_key(s.identity)))
        self.enrollments.tell(self.identities.of(lambda e: r.identity_key(e.identity)))
        self.certificates.tell(self.identities.of(lambda c: r.identity_key(c.identity)))
        self.subject_limits.tell(self.identities.of(lambda s: r.identity_key(s.identity)))

    def _begin(self) -> None:
        """Read the file's own settings, or make new ones: CA, token key, clock, and how often it was opened."""
        kept = self._read_settings()
        self.encryption_keys: tuple[r.EncryptionKey, ...] = kept.encryption_keys if kept else ()
        generation = 0 if kept is None else kept.generation + 1
        self.randomness = Randomness(self.seed, generation)
        if kept is None:
            self.ca = CertificateAuthority.create(self.randomness, deterministic=self.seed is not None)
            self.token_key = self.randomness.bytes(32)
        else:
            self.ca = CertificateAuthority.load(kept.ca_key_pem, kept.ca_certificate_pem)
            self.token_key = base64.b64decode(kept.token_key)
            self.clock.offset = timedelta(microseconds=kept.clock_offset_us)
            for table in self._tables:
                self._restore(table)
            self.due_enrollments = [(e.ready_at, e.reference) for e in self.enrollments if e.outcome is None]
            heapify(self.due_enrollments)
        self._generation = generation
        self.save_settings()
        self.commit()

    def _read_settings(self) -> r.Settings | None:
        found = list(self._store.read("settings", r.Settings)) if self._store else []
        return found[0] if found else None

    def _restore(self, table: Table[object]) -> None:
        if self._store:
            for record in self._store.read(table.kind, table.record_type):
                table.restore(record)

    def save_settings(self) -> None:
        """Write down what a restart must find again; after every move of the clock."""
        if self._store is None:
            return
        settings = r.Settings(
            ca_key_pem=self.ca.key_pem(),
            ca_certificate_pem=self.ca.certificate_pem(),
            token_key=base64.b64encode(self.token_key).decode(),
            clock_offset_us=self.clock.offset // timedelta(microseconds=1),
            generation=self._generation,
            encryption_keys=self.encryption_keys,
        )
        self._store.put("settings", "settings", settings)

    def move_clock(self, moment: datetime) -> None:
        """Make a moment the present, or raise ClockError; safe over a restart."""
        self.clock.set(moment)
        self.save_settings()
        self.commit()

    def commit(self) -> None:
        """Make everything done so far survive a kill of the process."""
        self.revision += 1
        if self._store:
            self._store.commit()

    def reset(self) -> None:
        """Become as after the start: no records, no request log, real time, the first switches. The CA stays."""
        for table in self._tables:
            table.clear()
        self.log.clear()
        self.rate_windows.clear()
        self.due_enrollments.clear()
        self.switches.set_all(self._first_switches)
        self.faults.reset()
        self.clock.offset = timedelta()
        if self._store:
            self._store.delete_all()
        self.save_settings()
        self.commit()

    def close(self) -> None:
        if self._store:
            self._store.close()
