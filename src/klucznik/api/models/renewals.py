"""Renewals: certificates are renewed with themselves before they end."""

from __future__ import annotations

from pydantic import Field

from klucznik.api.models.issuances import BareIssuance
from klucznik.api.models.parts import Model, Moment, NipInBody, Subject
from klucznik.domain.certificates import CertificateType


class NewRenewal(Model):
    """A renewal of what is due by which a company is acted for."""

    nip: NipInBody


class Renewal(Model):
    """How it stands with the certificates of one subject."""

    subject: Subject
    due: list[CertificateType] = Field(description="What is to be renewed now")
    due_at: Moment = Field(description="When the first of them is due")
    last_possible: Moment | None = Field(description="Until when they can sign in for their successors")
    not_before: Moment | None = Field(description="When it may be tried again after KSeF has rejected one")
    issuance: BareIssuance | None = Field(description="The issuance that renews them, or that runs already")


class Renewals(Model):
    """What was ordered; nothing where nothing is due."""

    items: list[Renewal]
