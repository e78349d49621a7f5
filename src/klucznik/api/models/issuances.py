"""Issuances: the durable orders for what is missing of a pair."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from klucznik.api.models.parts import (
    Certificate,
    Company,
    IssuanceId,
    Model,
    Moment,
    NipInBody,
    SerialNumber,
    Subject,
    shown_as,
)
from klucznik.domain.certificates import CertificateType
from klucznik.domain.issuance import EnrollmentState, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.waits import WaitKind

EXAMPLE: dict[str, Any] = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "context": {"type": "Nip", "value": "5265877635"},
    "subject": {"type": "Nip", "value": "5265877635"},
    "state": "done",
    "missing": ["Authentication", "Offline"],
    "waits_for": None,
    "waits_until": None,
    "reason": None,
    "cancelled": False,
    "created_at": "2026-11-23T14:05:00Z",
    "requests_spent": 2,
    "requests": [
        {
            "type": kind,
            "name": f"Klucznik {kind[0]} 20261123 0b4c1d2e",
            "state": "verified",
            "reference": "20261123-EA-1D2E3F4051-62738495A6-B7",
            "serial": serial,
            "failure": None,
        }
        for kind, serial in (("Authentication", "0123456789ABCDEF"), ("Offline", "0123456789ABCDF0"))
    ],
}


PAIR_EXAMPLE: list[dict[str, Any]] = [
    {
        "type": request["type"],
        "serial": request["serial"],
        "name": request["name"],
        "valid_from": "2026-11-23T14:05:00Z",
        "valid_to": "2028-11-22T14:05:00Z",
        "key_at": "vault",
        "verified": True,
    }
    for request in EXAMPLE["requests"]
]


class NewIssuance(Model):
    """An order for what a connected company's subject lacks of a pair."""

    nip: NipInBody
    another_pair: bool = Field(default=False, description="A whole new pair although a valid one is held")
    wait_for_limits: bool = Field(
        default=False, description="Where the limits leave no room, wait for them (up to 60 days) instead of ending"
    )
    key_type: KeyType = KeyType.EC


class RequestFailure(Model):
    """Why KSeF rejected a request."""

    code: int | None
    text: str
    details: str
    reason: str | None


class CertificateRequest(Model):
    """One certificate request of an issuance."""

    type: CertificateType
    name: str
    state: EnrollmentState
    reference: str | None = Field(description="KSeF's name of the request")
    serial: SerialNumber | None
    failure: RequestFailure | None


class BareIssuance(Model):
    """An issuance without its requests."""

    id: IssuanceId
    context: Company
    subject: Subject
    state: IssuanceState = Field(
        description="`refused`: by the limits, before anything was sent; the ways out are at `/issuances/{id}/remedies`"
    )
    missing: list[CertificateType] = Field(description="What it was ordered for")
    waits_for: WaitKind | None
    waits_until: Moment | None
    reason: str | None = Field(description="The name of the error that made it wait")
    cancelled: bool
    created_at: Moment


class Issuance(BareIssuance):
    """The durable order for what is missing of a pair, as its row says now."""

    model_config = shown_as(EXAMPLE)

    requests_spent: int = Field(description="Spent on it, as far as we know; one whose answer is unknown counts")
    requests: list[CertificateRequest]


class IssuanceDetail(Issuance):
    """An issuance with the certificates that have come of it."""

    model_config = shown_as({**EXAMPLE, "certificates": PAIR_EXAMPLE})

    certificates: list[Certificate] = Field(description="Issued by it and kept here; their keys are in no answer")


class IssuancePage(Model):
    """A page of issuances, the newest first."""

    items: list[Issuance]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class OrderOutcome(StrEnum):
    """What became of an order."""

    ORDERED = "ordered"  # and not ended yet: it is under way, or waits
    ISSUED = "issued"
    REFUSED = "refused"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    ALREADY_HELD = "already_held"


class Ordered(Model):
    """What became of an order: an issuance, or nothing to do."""

    model_config = shown_as({"outcome": "issued", "issuance": EXAMPLE, "certificates": PAIR_EXAMPLE})

    outcome: OrderOutcome = Field(
        description="`ordered`: it has not ended yet. `issued`, `refused` (by the limits, before anything was sent),"
        " `rejected` (by KSeF), `cancelled`: it has ended so. `already_held`: there was nothing to order."
    )
    issuance: Issuance | None = Field(description="null: a valid pair is held already, and nothing was ordered")
    certificates: list[Certificate] = Field(description="What has come of it so far; or the pair that is held already")


class Cancelled(Model):
    """What calling it off has come to."""

    issuance: BareIssuance
    requests_spent: int
    requests_saved: int
