"""Pictures for a document that a person signs elsewhere: what to do with it, and who has signed. No decisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from klucznik.domain.identifiers import Subject
from klucznik.domain.signature_requests import SignatureRequest
from klucznik.messages import Words
from klucznik.messages.refusal import subject_text
from klucznik.services.signed_by import SignedBy


def what_to_do(request: SignatureRequest, file: Path, words: Words, *, signer: Subject | None) -> RenderableType:
    """The document, who has to sign it, with what and in which form."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row(words.say("signing.document"), Text(str(file), style="bold", overflow="fold"))
    facts.add_row(words.say("signing.company"), request.context.value)
    facts.add_row(words.say("signing.until"), Text(words.time_of_day(request.expires_at), style="bold yellow"))
    if signer is not None:
        facts.add_row(words.say("signing.signer"), Text(subject_text(signer, words), style="bold"))
    ways = Table.grid(padding=(0, 1))
    for way in ("qualified", "seal", "trusted_profile", "ksef"):
        ways.add_row("•", Text(words.say(f"signing.way.{way}")))
    return Panel(
        Group(
            Text(words.say(f"signing.purpose.{request.purpose.value}")),
            Text(),
            facts,
            Text(),
            Text(words.say("signing.ways"), style="bold"),
            ways,
            Text(),
            Text(words.say("signing.form"), style="bold"),
            Text(words.say("signing.care")),
        ),
        title=words.say("signing.title"),
        border_style="yellow",
        padding=(1, 2),
    )


def hand_in_later(request: SignatureRequest, words: Words) -> str:
    return words.say("signing.later", until=words.time_of_day(request.expires_at))


def signed_by(found: SignedBy, words: Words) -> str:
    """Who signed, by what: limits and certificates will be theirs."""
    return words.say(
        "signing.signed_by",
        subject=subject_text(found.subject, words),
        name=found.common_name,
        kind=words.say(f"signing.with.{found.signed_with.value}"),
        valid_to=words.date(found.valid_to),
    )


def doubts(found: SignedBy, words: Words) -> Iterator[str]:
    for doubt in found.doubts:
        yield words.say(f"signing.doubt.{doubt.value}")
