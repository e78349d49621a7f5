"""A refusal by the limits: what stands in the way, why, and the ways out."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from klucznik.api.models.parts import Company, Limits, Model, Moment, SerialNumber, Subject
from klucznik.domain.certificates import CertificateType
from klucznik.domain.reasons import Cause, Reason, RemedyKind, Risk, Source, Task


class Finding(Model):
    """One reason not to start."""

    code: Reason
    needed: int
    remaining: int
    limit: int
    reserved: int = Field(description="Requests kept back for renewals, where they are the reason")
    text: str


class LikelyCause(Model):
    """What probably led there."""

    code: Cause
    count: int | None
    text: str


class RemedyRisk(Model):
    """What may go wrong on a way out, or is given up by it."""

    code: Risk
    text: str


class Evidence(Model):
    """What it rests on."""

    source: Source
    number: int | None
    at: Moment | None


class Estimate(Model):
    """When, as far as anybody can tell: a range with its evidence, never a promise."""

    earliest: Moment | None
    latest: Moment | None
    known: int
    counted: int
    complete: bool
    by_rule: dict[str, Moment | None]


class RemedyCertificate(Model):
    """A certificate that a way out is about."""

    serial: SerialNumber
    type: CertificateType
    name: str
    requested_at: Moment
    last_used_at: Moment | None
    valid_to: Moment
    superseded: bool
    key_in_vault: bool


class Remedy(Model):
    """A way out, the best first."""

    kind: RemedyKind
    task: Task = Field(description="What a person has to do")
    here: bool = Field(description="Whether it can be walked here and now")
    suffices: bool
    after: RemedyKind | None = Field(description="What has to be done first")
    spends: int
    frees_requests: int
    frees_certificates: int
    certificates: list[RemedyCertificate]
    suggested: list[SerialNumber]
    risks: list[RemedyRisk]
    evidence: list[Evidence]
    estimate: Estimate | None
    title: str
    effect: str
    text: str


class PreflightOutcome(StrEnum):
    """What the limits allow."""

    GO = "go"
    ALREADY_HELD = "already_held"
    REFUSED = "refused"


class Preflight(Model):
    """The decision on both limits as KSeF tells them now. Nothing was filed."""

    outcome: PreflightOutcome
    subject: Subject
    context: Company
    limits: Limits
    needed: int = Field(description="How many certificates are missing: so many requests and slots are needed")
    requests_filed: int = Field(description="Requests of this issuance that had been filed before")
    reasons: list[Finding]
    causes: list[LikelyCause]
    remedies: list[Remedy]
