"""What the models of all areas are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from klucznik.api.asked import NIP
from klucznik.domain.certificates import CertificateType
from klucznik.domain.identifiers import ContextType, SubjectType

Moment = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
    Field(examples=["2026-11-23T14:05:00Z"], json_schema_extra={"format": "date-time"}),
]
NipInBody = Annotated[str, Field(pattern=NIP, description="NIP of the company, ten digits", examples=["5265877635"])]
SerialNumber = Annotated[str, Field(pattern=r"^[0-9A-F]{16}$", examples=["0123456789ABCDEF"])]
IssuanceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["0b4c1d2e3f405162738495a6b7c8d9e0"])]


class Model(BaseModel):
    """Nothing is in an answer, and nothing may be in a question, that the description does not show."""

    model_config = ConfigDict(extra="forbid")


def shown_as(*examples: dict[str, Any]) -> ConfigDict:
    """The configuration of a model that the description shows by these examples."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [*examples]})


class Subject(Model):
    """Who signs in. Limits and certificates belong to the subject, in all its companies."""

    type: SubjectType = Field(examples=["Nip"])
    value: str = Field(description="NIP, PESEL or the fingerprint of a certificate", examples=["5265877635"])


class Company(Model):
    """For whom one acts."""

    type: ContextType = Field(examples=["Nip"])
    value: str = Field(examples=["5265877635"])


class Allowance(Model):
    """How much is left of how much."""

    remaining: int = Field(examples=[4])
    limit: int = Field(examples=[6])


class Limits(Model):
    """What KSeF has told of a subject: certificate requests of the period, and active certificates."""

    enrollment: Allowance = Field(description="Certificate requests. Revoking never gives one back.")
    certificate: Allowance = Field(description="Active certificates. Revoking frees one.")
    can_request: bool = Field(description="KSeF's own verdict")


class KeyPlace(StrEnum):
    """Where the private key is."""

    VAULT = "vault"
    TOKEN = "token"  # noqa: S105  a card or an HSM


class Certificate(Model):
    """A certificate whose private key is here. The key itself is never in an answer."""

    type: CertificateType = Field(description="What it is for: signing in, or offline invoices")
    serial: SerialNumber
    name: str = Field(examples=["Klucznik A 20261123 0b4c1d2e"])
    valid_from: Moment
    valid_to: Moment
    key_at: KeyPlace
    verified: bool = Field(description="Whether it was proved in use after its issue")
