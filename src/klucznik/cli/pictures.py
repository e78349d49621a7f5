"""Pictures of outcomes for a terminal: panels, meters, tables. No decisions: the data says what to draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from klucznik.domain.certificates import CertificateStatus, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.domain.limits import Allowance, Limits
from klucznik.messages import Words
from klucznik.messages.refusal import reach_text, subject_text
from klucznik.services.certificates import SubjectCertificates
from klucznik.services.export import Exported
from klucznik.services.issue import AlreadyHeld, Issued
from klucznik.services.limits import SubjectLimits
from klucznik.services.revoke import Revocation, Revoked

_METER = 24


def limits(value: SubjectLimits, words: Words) -> RenderableType:
    return Panel(
        Group(Text(reach_text(value.subject, words)), Text(), meters(value.limits, words)),
        title=words.say("limits.title", subject=subject_text(value.subject, words)),
        border_style="cyan",
        padding=(1, 2),
    )


def meters(value: Limits, words: Words, *, needed: int | None = None) -> RenderableType:
    """Both limits as bars of what is left."""
    grid = Table.grid(padding=(0, 2))
    for key, allowance in (("limits.requests", value.enrollment), ("limits.certificates", value.certificate)):
        grid.add_row(words.say(key), _meter(allowance, needed), _left(allowance, words))
    return grid


def _meter(allowance: Allowance, needed: int | None) -> Text:
    share = allowance.remaining / allowance.limit if allowance.limit else 0.0
    full = min(_METER, round(share * _METER)) or (1 if allowance.remaining else 0)
    short = allowance.remaining < (needed or 1)
    return Text.assemble(("█" * full, "red" if short else "green"), ("░" * (_METER - full), "dim"))


def _left(allowance: Allowance, words: Words) -> Text:
    return Text(words.count("limits.left", allowance.remaining, limit=allowance.limit))


def issued(value: Issued, home: Path, words: Words) -> RenderableType:
    before, after = value.limits_before, value.limits_after
    spent = Table.grid(padding=(0, 2))
    for key, was, now in (
        ("limits.requests", before.enrollment, after.enrollment),
        ("limits.certificates", before.certificate, after.certificate),
    ):
        spent.add_row(
            words.say(key), words.say("issued.change", before=was.remaining, after=now.remaining, limit=now.limit)
        )
    proofs = {proof.serial_number: proof for proof in value.proofs}
    parts: list[RenderableType] = [Text(reach_text(value.subject, words)), Text(), spent, Text()]
    for held in value.certificates:
        parts += [_certificate(held, words)]
        proof = proofs.get(held.serial_number)
        if proof is not None:
            key = "issued.proof.login" if held.type is CertificateType.AUTHENTICATION else "issued.proof.kod2"
            proved = words.say(key, nip=value.context.value, reference=proof.reference_number)
            parts.append(Padding(Text.assemble(("✓ ", "green"), proved), (0, 0, 0, 2)))
        if proof is not None and proof.link:
            parts.append(Padding(Text(proof.link, style="dim", overflow="fold"), (0, 0, 0, 4)))
        parts.append(Text())
    on_token = any(held.key_on_token for held in value.certificates)
    parts.append(Text(words.say("issued.keys_on_token" if on_token else "issued.keys", home=home)))
    title = words.count("issued.title", len(value.certificates), nip=value.context.value)
    return Panel(Group(*parts), title=title, border_style="green", padding=(1, 2))


def already_held(value: AlreadyHeld, words: Words) -> RenderableType:
    parts: list[RenderableType] = [Text(words.say("already_held.meaning")), Text()]
    for held in value.certificates:
        parts += [_certificate(held, words), Text()]
    parts.append(Text(words.say("already_held.now", nip=value.context.value)))
    return Panel(Group(*parts), title=words.say("already_held.title"), border_style="cyan", padding=(1, 2))


def _certificate(held: HeldCertificate, words: Words) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(words.say(f"type.{held.type.value}"), style="bold"), Text(held.serial_number, style="bold cyan"))
    grid.add_row(words.say("certificate.name"), held.name)
    grid.add_row(words.say("certificate.subject"), f"{held.common_name} ({subject_text(held.subject, words)})")
    grid.add_row(words.say("certificate.validity"), _validity(held.valid_from, held.valid_to, words))
    return grid


def _validity(valid_from: datetime, valid_to: datetime, words: Words) -> str:
    return words.say("certificate.from_to", start=words.date(valid_from), end=words.date(valid_to))


def vault(
    held: list[HeldCertificate], programs: Mapping[str, tuple[str, ...]], words: Words, *, now: datetime
) -> RenderableType:
    if not held:
        return Text(words.say("certificates.none_in_vault"))
    table = _table(words, "serial", "type", "until", "state", "key", "subject")
    for one in held:
        table.add_row(
            one.serial_number,
            words.say(f"type.short.{one.type.value}"),
            words.date(one.valid_to),
            _state_in_vault(one, words, now),
            words.say("certificates.kept.token" if one.key_on_token else "certificates.kept.vault"),
            subject_text(one.subject, words),
        )
    if not programs:
        return table
    uses = [f"{serial}: {', '.join(names)}" for serial, names in sorted(programs.items())]
    return Group(table, Text(), Text(words.say("certificates.programs"), style="bold"), *bullets(uses))


def _state_in_vault(one: HeldCertificate, words: Words, now: datetime) -> Text:
    if one.revoked_at is not None:
        return Text(words.say("status.Revoked"), style="red")
    if now >= one.valid_to:
        return Text(words.say("status.Expired"), style="red")
    return Text(words.say("status.Active"), style="green")


def listed(value: SubjectCertificates, words: Words) -> RenderableType:
    heading = Text(reach_text(value.subject, words))
    if not value.certificates:
        return Group(heading, Text(words.say("certificates.none_in_ksef")))
    table = _table(words, "serial", "type", "until", "state", "key", "name")
    for one in value.certificates:
        record = one.record
        style = "green" if record.status is CertificateStatus.ACTIVE else "red"
        table.add_row(
            record.serial_number,
            words.say(f"type.short.{record.type.value}"),
            words.date(record.valid_to),
            Text(words.say(f"status.{record.status.value}"), style=style),
            words.say("certificates.key_here" if one.held else "certificates.key_elsewhere"),
            record.name,
        )
    return Group(heading, table)


def _table(words: Words, *columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(words.say(f"column.{column}"), no_wrap=column != "name")
    return table


def revocation_warnings(asked: Revocation, words: Words) -> list[str]:
    """What to know before a certificate is revoked."""
    record = asked.record
    shown = words.say(
        "revoke.about",
        type=words.say(f"type.{record.type.value}"),
        name=record.name,
        serial=record.serial_number,
        end=words.date(record.valid_to),
    )
    warnings = [shown, words.say("revoke.final"), words.say("revoke.sessions")]
    if record.type is CertificateType.OFFLINE:
        warnings.insert(2, words.say("revoke.offline"))
    if asked.programs:
        warnings.append(words.say("revoke.programs", programs=", ".join(asked.programs)))
    return warnings


def revoked(value: Revoked, words: Words) -> RenderableType:
    text = words.say("revoke.done", serial=value.record.serial_number)
    if value.sessions_ended is not None:
        text = f"{text} {words.count('revoke.sessions_ended', value.sessions_ended)}"
    done = Text.assemble(("✓ ", "green"), text)
    if not value.programs:
        return done
    said = words.say("revoke.programs", programs=", ".join(value.programs))
    return Group(done, Text.assemble(("! ", "yellow"), said))


def exported(files: list[Exported], program: str | None, words: Words, *, with_keys: bool) -> RenderableType:
    lines: list[RenderableType] = []
    for one in files:
        name = words.say(f"type.{one.certificate.type.value}")
        lines.append(Text.assemble(("✓ ", "green"), f"{name} {one.certificate.serial_number}"))
        lines += [Text(f"    {file}") for file in one.files]
    if program is not None:
        lines.append(Text(words.say("export.program", program=program)))
    return Group(*lines, Text(words.say("export.done" if with_keys else "export.done_without_keys")))


def imported(held: HeldCertificate, words: Words) -> RenderableType:
    return Group(Text.assemble(("✓ ", "green"), words.say("import.done")), _certificate(held, words))


def test_credential(subject: Subject, certificate: Path, key: Path, words: Words) -> RenderableType:
    said = words.say("test_credential.done", subject=subject_text(subject, words))
    return Group(Text.assemble(("✓ ", "green"), said), Text(f"    {certificate}"), Text(f"    {key}"))


def bullets(lines: Iterable[str]) -> list[RenderableType]:
    return [Text(f"• {line}") for line in lines]
