"""Onboardings: from a NIP to a connection, step by step."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from klucznik.api.models.connections import BareConnection
from klucznik.api.models.issuances import EXAMPLE as AN_ISSUANCE
from klucznik.api.models.issuances import Issuance
from klucznik.api.models.parts import (
    Certificate,
    Company,
    Limits,
    Model,
    Moment,
    NipInBody,
    SerialNumber,
    Subject,
    shown_as,
)
from klucznik.api.models.refusals import Preflight
from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Method
from klucznik.domain.keytype import KeyType
from klucznik.domain.onboarding import Act, OnboardingState, Setback, SignerKind
from klucznik.domain.permissions import Permission
from klucznik.domain.road_steps import Standing, StepKind
from klucznik.services.signed_by import Doubt, SignedWith

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["0b4c1d2e3f405162738495a6b7c8d9e0"])]
EXAMPLE = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "context": {"type": "Nip", "value": "5265877635"},
    "name": "Piekarnia Kłos",
    "state": "limits",
    "setback": None,
    "refused_code": None,
    "checking_since": None,
    "under_way": None,
    "signer": "person",
    "method": "certificates",
    "subject": {"type": "Pesel", "value": "80010112294"},
    "signed_by_another": False,
    "limits": {
        "enrollment": {"remaining": 6, "limit": 6},
        "certificate": {"remaining": 6, "limit": 6},
        "can_request": True,
    },
    "limits_at": "2026-11-24T09:12:00Z",
    "issuance": None,
    "created_at": "2026-11-24T09:00:00Z",
    "updated_at": "2026-11-24T09:12:00Z",
}


class NewOnboarding(Model):
    """A company to be set on its way. Whoever has begun already goes on with that."""

    nip: NipInBody
    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Piekarnia Kłos"])] | None = None


class SignerChoice(Model):
    """Who will sign. Whose the limits are, the signature alone tells."""

    signer: SignerKind


class MethodChoice(Model):
    """By what the company is to be connected."""

    method: Method


class UnderWay(Model):
    """A grant or a revocation that goes on. Nothing else is begun meanwhile."""

    act: Act
    since: Moment


class BareOnboarding(Model):
    """A company on its way to a connection, without its refusal."""

    id: Id
    context: Company
    name: str | None
    state: OnboardingState = Field(description="What is to be done next")
    setback: Setback | None = Field(description="Why it is at an earlier step, where nobody went there")
    refused_code: int | None = Field(
        description="Of KSeF, where the setback is that it has refused the sign-in or what was under way"
    )
    checking_since: Moment | None = Field(
        description="Since when KSeF is checking a signature; null: it is checking none"
    )
    under_way: UnderWay | None = Field(description="What was said yes to and takes KSeF a while; null: nothing")
    signer: SignerKind | None
    method: Method | None
    subject: Subject | None = Field(description="Who has signed; the limits and certificates are theirs")
    signed_by_another: bool = Field(description="Another kind of subject has signed than was said")
    limits: Limits | None = Field(description="As KSeF told them last")
    limits_at: Moment | None
    issuance: Id | None = Field(description="The last order")
    created_at: Moment
    updated_at: Moment


class Onboarding(BareOnboarding):
    """A company on its way to a connection."""

    model_config = shown_as({**EXAMPLE, "refusal": None})

    refusal: Preflight | None = Field(
        description="Why the limits leave no room, as of `limits_at`, and the ways out; there while it is refused, or"
        " an order waits for that to end"
    )


class OnboardingPage(Model):
    """A page of onboardings that have not ended, the latest changed first."""

    items: list[BareOnboarding]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class Document(Model):
    """A document to sign as it is, with a qualified signature, a seal or the trusted profile."""

    id: Id
    expires_at: Moment = Field(description="From then on a signature of it is of no use")
    document: str = Field(description="XML, UTF-8; every byte counts", examples=["<?xml version='1.0'?>…"])


class HandedIn(Model):
    """A signed document that KSeF has accepted."""

    onboarding: Onboarding
    signed_with: SignedWith
    certificate: str = Field(description="Serial number of the certificate that signed, hexadecimal")
    doubts: list[Doubt] = Field(description="What KSeF allows and may refuse another time")


class Look(Model):
    """What there is to decide on."""

    onboarding: Onboarding
    missing: list[CertificateType] = Field(description="What would be requested: one request and one slot each")
    held: list[Certificate] = Field(
        description="Certificates of who has signed that are here; none is requested for them"
    )
    reserved: int = Field(description="Requests kept back for renewals")


class Confirmation(Model):
    """The yes."""

    key_type: KeyType = KeyType.EC


class Operator(Model):
    """Who would be let in."""

    nip: str = Field(examples=["7811767696"])
    name: str


class ProposedGrant(Model):
    """What would be granted, and to whom."""

    context: Company
    operator: Operator
    permissions: list[Permission] = Field(description="Those that are lacking; none: all are there")
    delegable: bool


class GrantOrder(Model):
    """The yes to a grant."""

    operator: NipInBody = Field(description="NIP of the operator that was shown: nobody else is let in")
    delegable: bool = Field(default=False, description="It may pass the permissions on to its own people")


class ConnectedByGrant(Model):
    """The operator has been let in, or will be."""

    onboarding: Onboarding
    granted: list[Permission] = Field(description="Granted now; none: all were there, or it is granted by hand")
    connection: BareConnection


class RevocationOrder(Model):
    """The yes to a revocation. It is final: it frees certificate slots, never a request."""

    serials: list[SerialNumber] = Field(min_length=1, max_length=20, description="Of those that the refusal names")
    end_sessions: bool = Field(default=False, description="End the subject's other sessions in this company too")


class RevokedForRoom(Look):
    """What was revoked, and what the limits leave since."""

    revoked: list[SerialNumber]
    sessions_ended: int | None


class BroughtToken(Model):
    """A KSeF token of the company; it is sealed here and in no answer."""

    token: Annotated[
        str, Field(min_length=1, max_length=200, json_schema_extra={"writeOnly": True, "format": "password"})
    ]


class Step(Model):
    """One step of the road of an order."""

    kind: StepKind
    standing: Standing
    type: CertificateType | None = Field(description="Of which certificate; null: of all")
    in_doubt: bool = Field(description="The answer to the request was lost; it is looked for, never sent again")


class Progress(Model):
    """How far it is; from rows alone, so it may be asked as often as you like."""

    model_config = shown_as(
        {
            "state": "issuing",
            "setback": None,
            "issuance": AN_ISSUANCE,
            "steps": [{"kind": "limits", "standing": "done", "type": None, "in_doubt": False}],
        }
    )

    state: OnboardingState
    setback: Setback | None
    issuance: Issuance | None
    steps: list[Step]
