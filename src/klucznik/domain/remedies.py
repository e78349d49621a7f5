"""The ways out of a refusal, ranked: what suffices and works at once comes first, waiting last.

Pure: from KSeF's numbers, what the subject holds and where the keys are, the requests we know of, the clock, and who
runs the installation. Carrying one out is `services.ways_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from klucznik.domain.certificates import PAIR, CertificateRecord, CertificateStatus, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Limits
from klucznik.domain.reasons import RemedyKind, Risk, Source, Task
from klucznik.domain.renewal_window import Estimate, requests_renew, slots_renew
from klucznik.domain.token_sunset import TOKEN_SUNSET


class Standing(StrEnum):
    """How the operator stands to the company."""

    NOT_SET = "not_set"  # nobody has said who runs this installation
    CANNOT_SIGN_IN = "cannot_sign_in"  # there is nothing with which it could
    MAY_BE_GRANTED = "may_be_granted"  # whoever is signed in may grant it
    NOT_BY_SIGNER = "not_by_signer"  # whoever is signed in may not manage the company's permissions
    GRANTED = "granted"  # KSeF lists the grant already
    IS_THE_COMPANY = "is_the_company"  # a company grants itself nothing


@dataclass(frozen=True)
class Situation:
    """All that decides which ways out there are.

    Attributes:
        missing: what was asked for: one request and one slot for each.
        listed: what KSeF lists for the subject; None: it could not be asked.
        held: what the vault holds of the subject.
        requested_at: times of requests known to us apart from those of `listed`.
        reserved: requests kept back for renewals (`domain.reserve`).
        renewal: the refused issuance is a renewal of what is held.
    """

    limits: Limits
    missing: tuple[CertificateType, ...]
    subject: Subject
    listed: tuple[CertificateRecord, ...] | None
    held: tuple[HeldCertificate, ...]
    requested_at: tuple[datetime, ...]
    operator: Standing
    now: datetime
    reserved: int = 0
    renewal: bool = False

    @property
    def needed(self) -> int:
        return len(self.missing)

    @property
    def lacks_requests(self) -> bool:
        return self.limits.enrollment.remaining < self.needed + self.reserved

    @property
    def lacking_slots(self) -> int:
        return max(0, self.needed - self.limits.certificate.remaining)

    @property
    def forbidden(self) -> bool:
        """KSeF forbids requests although the numbers would allow them."""
        return not self.limits.can_request and not self.lacks_requests and not self.lacking_slots

    @property
    def active(self) -> tuple[CertificateRecord, ...]:
        return tuple(record for record in self.listed or () if record.status is CertificateStatus.ACTIVE)

    def in_service(self) -> dict[CertificateType, HeldCertificate]:
        """Of each type the certificate of the vault that lasts longest; what KSeF lists as over is not usable."""
        over = {record.serial_number for record in self.listed or () if record.status is not CertificateStatus.ACTIVE}
        usable = [one for one in self.held if one.usable(self.now) and one.serial_number not in over]
        return {one.type: one for one in sorted(usable, key=lambda one: one.valid_to)}

    @property
    def half_suffices(self) -> bool:
        """A whole pair was asked for, one half is here and valid, and a request is left for the other."""
        if self.renewal or self.needed <= 1 or len(self.in_service()) != 1 or self.forbidden:
            return False
        return self.limits.enrollment.remaining >= 1 + self.reserved

    @property
    def slots_to_free(self) -> int:
        """How many slots have to be freed for what was asked for, or for the other half where there is none."""
        return 1 if self.half_suffices and not self.limits.certificate.remaining else self.lacking_slots


@dataclass(frozen=True)
class About:
    """A certificate that a way out is about.

    Attributes:
        unused: never used to sign in. Of an Offline certificate nobody can tell: it signs without KSeF.
        superseded: a newer active one of the same type exists.
        key_here: its key is in our vault.
    """

    record: CertificateRecord
    unused: bool
    superseded: bool
    key_here: bool


@dataclass(frozen=True)
class Evidence:
    """One fact that a way out rests on.

    Attributes:
        number: how many, for example certificates listed; None where it is not about a number.
        at: a date that the source names.
    """

    source: Source
    number: int | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Remedy:
    """One way out.

    Attributes:
        task: what a person has to do.
        here: whether it can be walked here, in the session at hand.
        suffices: whether it alone leads on; False: another must be walked besides.
        after: what has to be walked before.
        spends: what it takes of each limit itself.
        frees_requests, frees_certificates: what it gives back, as far as KSeF's rules promise.
        certificates: those it is about; for `REVOKE` in the order in which they may best be missed.
        suggested: how many of `certificates` are enough.
        estimate: when it works, where that is not at once.
    """

    kind: RemedyKind
    task: Task
    here: bool = False
    suffices: bool = True
    after: RemedyKind | None = None
    spends: int = 0
    frees_requests: int = 0
    frees_certificates: int = 0
    certificates: tuple[About, ...] = ()
    suggested: int = 0
    risks: tuple[Risk, ...] = ()
    evidence: tuple[Evidence, ...] = field(default=())
    estimate: Estimate | None = None

    @property
    def serial_numbers(self) -> tuple[str, ...]:
        return tuple(about.record.serial_number for about in self.certificates)

    @property
    def suggested_certificates(self) -> tuple[About, ...]:
        return self.certificates[: self.suggested]


def plan(situation: Situation) -> tuple[Remedy, ...]:
    """Ranked ways out of a refusal, at most one of each kind."""
    found = [remedy for rule in _RULES if (remedy := rule(situation)) is not None]
    return tuple(sorted(found, key=lambda remedy: _place(remedy, situation.subject)))


# ── without a certificate of its own, or with one that is there ──────────────────────────────────────────────────────


def _reuse(situation: Situation) -> Remedy | None:
    """A whole valid pair is in the vault, and another was asked for."""
    here = situation.in_service()
    if situation.renewal or any(kind not in here for kind in PAIR):
        return None
    evidence = Evidence(Source.VAULT, len(here), min(one.valid_to for one in here.values()))
    return Remedy(RemedyKind.REUSE, Task.USE_WHAT_IS_HERE, here=True, evidence=(evidence,))


def _complete_pair(situation: Situation) -> Remedy | None:
    """One half is in the vault and valid, and a whole pair was asked for: one of each suffices."""
    if not situation.half_suffices:
        return None
    ready = situation.limits.certificate.remaining >= 1
    if not ready and _revoke(situation) is None:
        return None
    (half,) = situation.in_service().values()
    return Remedy(
        RemedyKind.COMPLETE_PAIR,
        Task.ORDER_THE_MISSING_HALF,
        here=True,
        suffices=ready,
        after=None if ready else RemedyKind.REVOKE,
        spends=1,
        evidence=(Evidence(Source.VAULT, 1, half.valid_to), Evidence(Source.KSEF_LIMITS)),
    )


def _grant_permission(situation: Situation) -> Remedy | None:
    """The operator acts for the company with its own certificate; the company needs none."""
    tasks = {
        Standing.NOT_SET: Task.SET_THE_OPERATOR,
        Standing.CANNOT_SIGN_IN: Task.SET_THE_OPERATOR,
        Standing.MAY_BE_GRANTED: Task.CONFIRM_THE_GRANT,
        Standing.NOT_BY_SIGNER: Task.ASK_WHO_MAY_GRANT,
        Standing.GRANTED: Task.CONNECT_BY_THE_GRANT,
    }
    task = tasks.get(situation.operator)
    if task is None:
        return None
    known = task is not Task.SET_THE_OPERATOR
    return Remedy(
        RemedyKind.GRANT_PERMISSION,
        task,
        here=task in (Task.CONFIRM_THE_GRANT, Task.CONNECT_BY_THE_GRANT),
        risks=(Risk.OPERATOR_MAY_INVOICE,),
        evidence=(Evidence(Source.KSEF_PERMISSIONS),) if known else (),
    )


def _import(situation: Situation) -> Remedy | None:
    """Active certificates whose key is elsewhere, of the types that are missing."""
    ours = {one.serial_number for one in situation.held}
    foreign = [
        _about(situation, record)
        for record in situation.active
        if record.serial_number not in ours and record.type in situation.missing
    ]
    if not foreign:
        return None
    rest = len(set(situation.missing) - {about.record.type for about in foreign})
    limits = situation.limits
    room = min(limits.enrollment.remaining - situation.reserved, limits.certificate.remaining)
    personal = situation.subject.type is not SubjectType.NIP
    return Remedy(
        RemedyKind.IMPORT,
        Task.BRING_KEY_AND_PASSWORD,
        suffices=rest == 0 or (rest <= room and not situation.forbidden),
        certificates=tuple(foreign),
        risks=(Risk.PERSONAL_CERTIFICATE,) if personal else (),
        evidence=(Evidence(Source.KSEF_CERTIFICATES, len(foreign)),),
    )


def _token(situation: Situation) -> Remedy | None:
    """Signs in and nothing else, and not for long any more."""
    if TOKEN_SUNSET.over(situation.now) or CertificateType.AUTHENTICATION not in situation.missing:
        return None
    return Remedy(
        RemedyKind.TOKEN,
        Task.MAKE_A_TOKEN,
        risks=(Risk.NOTHING_OFFLINE, Risk.TOKENS_END),
        evidence=(Evidence(Source.TOKEN_REGULATION, at=TOKEN_SUNSET.ends_at),),
    )


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _revoke(situation: Situation) -> Remedy | None:
    """Frees slots, never requests. Offered where slots are lacking and it can free enough of them."""
    enough = situation.slots_to_free
    candidates = _may_be_missed(situation)
    if not enough or (situation.listed is not None and len(candidates) < enough):
        return None
    suggested = candidates[:enough]
    listed = (Evidence(Source.KSEF_CERTIFICATES, len(situation.active)),) if situation.listed is not None else ()
    return Remedy(
        RemedyKind.REVOKE,
        Task.CHOOSE_AND_CONFIRM,
        here=bool(suggested),
        suffices=situation.half_suffices or not situation.lacks_requests,
        frees_certificates=enough,
        certificates=candidates,
        suggested=len(suggested),
        risks=revocation_risks(suggested),
        evidence=(Evidence(Source.KSEF_LIMITS), *listed),
    )


def revocation_risks(certificates: Sequence[About]) -> tuple[Risk, ...]:
    """What is lost with certificates that are revoked."""
    kinds = {about.record.type for about in certificates}
    signed_in = any(about.record.type is CertificateType.AUTHENTICATION and not about.unused for about in certificates)
    told = {
        Risk.REVOKING_IS_FINAL: True,
        Risk.PRINTED_CODES_STOP_VERIFYING: CertificateType.OFFLINE in kinds,
        Risk.SESSIONS_LIVE_ON: signed_in,
        Risk.USED_ELSEWHERE: any(not about.key_here for about in certificates),
    }
    return tuple(risk for risk, applies in told.items() if applies)


def _may_be_missed(situation: Situation) -> tuple[About, ...]:
    """Active certificates in the order in which they may best be missed.

    Never used, superseded, oldest; of equals Offline ones later, for printed codes depend on them. What serves here
    comes last of all, and not at all where a renewal or the other half of the pair needs it.
    """
    serving = {one.serial_number: one.type for one in situation.in_service().values()}
    needed = situation.renewal or situation.half_suffices
    found = [
        _about(situation, record)
        for record in situation.active
        if record.serial_number not in serving or (not needed and serving[record.serial_number] in situation.missing)
    ]

    def order(about: About) -> tuple[bool, bool, bool, bool, datetime, str]:
        record = about.record
        return (
            record.serial_number in serving,
            not about.unused,
            not about.superseded,
            record.type is CertificateType.OFFLINE,
            record.requested_at,
            record.serial_number,
        )

    return tuple(sorted(found, key=order))


def _about(situation: Situation, record: CertificateRecord) -> About:
    return About(
        record,
        unused=record.type is CertificateType.AUTHENTICATION and record.last_used_at is None,
        superseded=any(
            other.type is record.type and other.requested_at > record.requested_at for other in situation.active
        ),
        key_here=any(one.serial_number == record.serial_number for one in situation.held),
    )


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wait_for_requests(situation: Situation) -> Remedy | None:
    if not situation.lacks_requests and not situation.forbidden:
        return None
    listed = situation.listed or ()
    times = [*situation.requested_at, *(record.requested_at for record in listed)]
    needed, limit = situation.needed + situation.reserved, situation.limits.enrollment.limit
    estimate = requests_renew(situation.limits, needed, times, situation.now)
    evidence = (
        Evidence(Source.KSEF_CERTIFICATES, len(listed)),
        Evidence(Source.OUR_RECORD, len(situation.requested_at)),
        Evidence(Source.TAXPAYER_APP),
        Evidence(Source.API_IS_SILENT),
    )
    return Remedy(
        RemedyKind.WAIT_FOR_REQUESTS,
        Task.COME_BACK if needed <= limit else Task.ASK_THE_MINISTRY,
        suffices=not situation.lacking_slots,
        risks=(Risk.MAY_NEVER_RENEW, Risk.OTHERS_MAY_SPEND),
        evidence=evidence,
        estimate=estimate,
    )


def _wait_for_slot(situation: Situation) -> Remedy | None:
    if not situation.lacking_slots:
        return None
    ends = [record.valid_to for record in situation.active]
    return Remedy(
        RemedyKind.WAIT_FOR_CERTIFICATE_SLOT,
        Task.COME_BACK if situation.needed <= situation.limits.certificate.limit else Task.ASK_THE_MINISTRY,
        suffices=not situation.lacks_requests,
        frees_certificates=situation.lacking_slots,
        risks=(Risk.OTHERS_MAY_SPEND,),
        evidence=(Evidence(Source.KSEF_CERTIFICATES, len(ends)), Evidence(Source.CERTIFICATE_APP)),
        estimate=slots_renew(situation.limits, situation.needed, ends, situation.now),
    )


_RULES: tuple[Callable[[Situation], Remedy | None], ...] = (
    _reuse,
    _complete_pair,
    _grant_permission,
    _import,
    _revoke,
    _token,
    _wait_for_requests,
    _wait_for_slot,
)

_PLACES = (
    RemedyKind.REUSE,
    RemedyKind.COMPLETE_PAIR,
    RemedyKind.GRANT_PERMISSION,
    RemedyKind.IMPORT,
    RemedyKind.REVOKE,
    RemedyKind.TOKEN,
    RemedyKind.WAIT_FOR_REQUESTS,
    RemedyKind.WAIT_FOR_CERTIFICATE_SLOT,
)


def _place(remedy: Remedy, subject: Subject) -> tuple[bool, bool, bool, int]:
    """Nobody is nudged to hand a personal certificate round: that way comes after all others that work at once."""
    personal = remedy.kind is RemedyKind.IMPORT and subject.type is not SubjectType.NIP
    return remedy.estimate is not None, not remedy.suffices, personal, _PLACES.index(remedy.kind)
