"""Connections: the company, by what it is acted for, how well, and until when."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from klucznik.api.models.parts import Certificate, Company, Model, Moment, SerialNumber, Subject, shown_as
from klucznik.domain.connections import Dated, Health, Method
from klucznik.domain.permissions import Permission

EXAMPLE: dict[str, Any] = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "context": {"type": "Nip", "value": "5265877635"},
    "name": "Piekarnia Kłos",
    "method": "certificates",
    "subject": {"type": "Nip", "value": "5265877635"},
    "health": "healthy",
    "health_since": "2026-11-23T14:05:00Z",
    "health_code": None,
    "checked_at": "2026-11-24T03:00:00Z",
    "revokes_superseded": False,
    "certificates": [
        {
            "type": "Authentication",
            "serial": "0123456789ABCDEF",
            "name": "Klucznik A 20261123 0b4c1d2e",
            "valid_from": "2026-11-23T14:05:00Z",
            "valid_to": "2028-11-22T14:05:00Z",
            "key_at": "vault",
            "verified": True,
        }
    ],
    "next_date": {"about": "renewal_due", "at": "2028-09-23T14:05:00Z"},
}


class NextDate(Model):
    """The next date that matters."""

    about: Dated
    at: Moment


class BareConnection(Model):
    """A connection without its certificates."""

    id: str = Field(examples=["0b4c1d2e3f405162738495a6b7c8d9e0"])
    context: Company
    name: str | None = Field(description="What people call the company", examples=["Piekarnia Kłos"])
    method: Method
    subject: Subject | None = Field(description="Who signs in; null: the operator")
    health: Health = Field(description="What the last look found")
    health_since: Moment
    health_code: int | None = Field(description="KSeF's code that came with it", examples=[415])
    checked_at: Moment | None
    revokes_superseded: bool = Field(description="Whether a renewal revokes the certificate it replaces")


class Connection(BareConnection):
    """A company and the method by which we may act for it."""

    model_config = shown_as(EXAMPLE)

    certificates: list[Certificate] = Field(description="The subject's newest usable certificate of each type")
    next_date: NextDate | None


class ConnectionPage(Model):
    """A page of connections, by NIP."""

    items: list[Connection]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class CertificatePrograms(Model):
    """For which programs a certificate was exported."""

    serial: SerialNumber
    programs: list[str]


class ConnectionDetail(Connection):
    """A connection in full."""

    model_config = shown_as(
        {**EXAMPLE, "programs": [], "same_subject": [], "token_reference": None, "token_last_day": None}
    )

    programs: list[CertificatePrograms]
    same_subject: list[Company] = Field(description="Further companies for which the same subject signs in")
    token_reference: str | None = Field(description="KSeF's name of the token")
    token_last_day: str | None = Field(description="The last day on which KSeF takes tokens")


class ConnectionChange(Model):
    """What is not given stays as it is."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Piekarnia Kłos"])] | None = None
    revokes_superseded: bool | None = None


class SignInRefusal(Model):
    """KSeF's refusal of the sign-in."""

    code: int | None = Field(examples=[415])
    text: str
    message: str = Field(description="The same in words for people")


class Verification(Model):
    """What a real sign-in has found."""

    context: Company
    connection: BareConnection
    health_before: Health
    permissions: list[str] | None = Field(description="What KSeF lists for the operator; null: it was not asked")
    missing: list[Permission] = Field(description="What the company has not granted the operator")
    refused: SignInRefusal | None
