"""Invitations, and lists of companies."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from klucznik.api.models.parts import Model, Moment, NipInBody, shown_as
from klucznik.domain.bulk_imports import ImportState, LineOutcome
from klucznik.domain.csv_import import Column, ImportMethod
from klucznik.domain.invitations import LEAST_DAYS, MOST_DAYS, USUAL_DAYS, InvitationState
from klucznik.domain.languages import Language
from klucznik.domain.letters import DeliveryState

EXAMPLE: dict[str, Any] = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "nip": "5265877635",
    "name": "Piekarnia Kłos",
    "email": "biuro@firma.pl",
    "language": "pl",
    "letter": {"to": "biuro@firma.pl", "state": "sent", "at": "2026-11-24T12:00:05Z", "problem": None},
    "state": "open",
    "created_at": "2026-11-24T12:00:00Z",
    "expires_at": "2026-12-08T12:00:00Z",
    "opened_at": None,
    "done_at": None,
    "revoked_at": None,
}
_SHOWN = {**EXAMPLE, "letter": None}
LINK = "https://klucznik.example/i/q1M2wN9uZr3xk0V7b5c8d4e6f2g1h3j5k7l9m0n2p4Q"
IMPORT: dict[str, Any] = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "file_name": "companies.csv",
    "state": "preview",
    "created_at": "2026-11-24T12:00:00Z",
    "carried_out_at": None,
}
Days = Annotated[
    int, Field(ge=LEAST_DAYS, le=MOST_DAYS, description="How many days the link is good", examples=[USUAL_DAYS])
]


class NewInvitation(Model):
    """Whom to invite."""

    nip: NipInBody
    name: str | None = Field(
        default=None, max_length=200, description="What the company is called", examples=["Piekarnia Kłos"]
    )
    email: str | None = Field(
        default=None, max_length=254, description="Where you send the link", examples=["biuro@firma.pl"]
    )
    days: Days = USUAL_DAYS
    send: bool = Field(
        default=False,
        description="The link goes to `email` by a letter of ours, and is in no answer",
        examples=[False],
    )
    language: Language = Field(default=Language.POLISH, description="Of that letter", examples=["pl"])


class SendInvitation(Model):
    """Where its new link is to go."""

    email: str | None = Field(
        default=None, max_length=254, description="null: where it went", examples=["biuro@firma.pl"]
    )
    language: Language | None = Field(default=None, description="Of the letter; null: as before", examples=["pl"])


class Letter(Model):
    """What has become of the letter with its link."""

    to: str = Field(examples=["biuro@firma.pl"])
    state: DeliveryState = Field(description="`sent`: the mail server has taken it; `failed`: for good")
    at: Moment | None = Field(description="When it was sent; while it waits, when it is tried next")
    problem: str | None = Field(
        description="Why it was not sent so far, as a stable name", examples=["recipient_refused"]
    )


class Invitation(Model):
    """A company that is asked to connect itself."""

    model_config = shown_as(EXAMPLE)

    id: str
    nip: str
    name: str | None
    email: str | None
    language: Language
    letter: Letter | None = Field(description="null: none is on its way or was sent")
    state: InvitationState
    created_at: Moment
    expires_at: Moment
    opened_at: Moment | None
    done_at: Moment | None
    revoked_at: Moment | None


class Invited(Invitation):
    """With its link, which is told this once."""

    model_config = shown_as({**_SHOWN, "link": LINK})

    link: str | None = Field(
        description="Opens one browser, once. Send it to the company and to nobody else. null: a letter goes there"
    )


class InvitationPage(Model):
    """A page of invitations, the newest first."""

    items: list[Invitation]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class CarryOut(Model):
    """How its invitations go."""

    send: bool = Field(
        default=False,
        description="The links of companies with an address go there by letters of ours, and are in no answer",
        examples=[False],
    )
    language: Language = Field(default=Language.POLISH, description="Of these letters", examples=["pl"])


class NewImport(Model):
    """A list of companies, as a spreadsheet saves it."""

    csv: str = Field(
        max_length=1_000_000,
        description="With a heading: `nip`, and where they are told `name`, `email`, `method`; at most 5,000 companies",
        examples=["nip;name;email\n5265877635;Piekarnia Kłos;biuro@firma.pl\n"],
    )
    file_name: str = Field(default="api.csv", max_length=255, examples=["companies.csv"])


class Tally(Model):
    """How many lines there are of each kind."""

    good: int = Field(description="Still to be carried out", examples=[1])
    bad: int = Field(description="Never carried out", examples=[0])
    invited: int = Field(examples=[0])
    awaited: int = Field(description="Connected once the company grants the permission", examples=[0])
    skipped: int = Field(description="Connected or invited since the list was read", examples=[0])


class Import(Model):
    """A list that was read."""

    model_config = shown_as(IMPORT)

    id: str
    file_name: str
    state: ImportState
    created_at: Moment
    carried_out_at: Moment | None


class CountedImport(Import):
    """With how far its lines have come."""

    model_config = shown_as({**IMPORT, "lines": {"good": 1, "bad": 0, "invited": 0, "awaited": 0, "skipped": 0}})

    lines: Tally


class ImportPage(Model):
    """A page of lists, the newest first."""

    items: list[Import]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class Fault(Model):
    """What is wrong with a line, and where."""

    column: Column | None = Field(description="null: the line as a whole")
    reason: str = Field(description="Stable name", examples=["nip_malformed"])
    detail: str = Field(description="In words")


class Line(Model):
    """One company of a list."""

    number: int = Field(description="In the file, as an editor counts", examples=[2])
    nip: str | None
    name: str | None
    email: str | None
    method: ImportMethod | None
    outcome: LineOutcome | None = Field(description="null: still to be carried out")
    faults: list[Fault]


class LinePage(Model):
    """A page of lines in their order."""

    items: list[Line]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class Links(Model):
    """The links of a list, which are told this once; those told before open nothing any more."""

    items: list[Invited]
