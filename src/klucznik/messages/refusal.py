"""The sentences of a refusal and of its ways out, made from their data. Shared by every interface."""

from __future__ import annotations

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Finding, LikelyCause
from klucznik.domain.reasons import Cause, RemedyKind, Risk, Task
from klucznik.domain.remedies import About, Remedy
from klucznik.domain.renewal_window import Estimate
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.messages.catalogue import Words


def subject_text(subject: Subject, words: Words) -> str:
    """Whose the limits and certificates are, for example ``PESEL 8•••••••294``."""
    return words.say(f"subject.{subject.type.value}", value=subject.shown())


def reach_text(subject: Subject, words: Words) -> str:
    """How far the subject's limits and certificates reach: the sentence people most often lack."""
    key = "reach.person" if subject.type is SubjectType.PESEL else f"reach.{subject.type.value}"
    return words.say(key, subject=subject_text(subject, words))


def reason_text(finding: Finding, words: Words) -> str:
    return words.say(
        f"reason.{finding.code.value}",
        needed=finding.needed,
        remaining=finding.remaining,
        limit=finding.limit,
        reserved=finding.reserved,
    )


def cause_text(cause: LikelyCause, limits: Limits, words: Words) -> str:
    limit = limits.certificate.limit if cause.code is Cause.CERTIFICATES_ALREADY_HELD else limits.enrollment.limit
    key = f"cause.{cause.code.value}"
    return words.say(key) if cause.count is None else words.count(key, cause.count, limit=limit)


def remedy_title(remedy: Remedy, words: Words) -> str:
    return words.say(f"remedy.{remedy.kind.value}.title")


def remedy_text(remedy: Remedy, subject: Subject, words: Words) -> str:
    """What the way out is, whether it is enough, and what a person has to do."""
    key = f"remedy.{remedy.kind.value}"
    counted = {
        RemedyKind.IMPORT: len(remedy.certificates),
        RemedyKind.REVOKE: remedy.frees_certificates,
    }
    number, named = counted.get(remedy.kind), subject_text(subject, words)
    what = words.say(key) if number is None else words.count(key, number, subject=named)
    parts = [what, *([] if remedy.suffices else [_besides(remedy, words)]), words.say(f"task.{remedy.task.value}")]
    if remedy.estimate is not None and remedy.task is not Task.ASK_THE_MINISTRY:
        parts.insert(1, estimate_text(remedy.kind, remedy.estimate, words))
    return " ".join(parts)


def _besides(remedy: Remedy, words: Words) -> str:
    if remedy.after is not None:
        return words.say(f"remedy.after.{remedy.after.value}")
    return words.say(f"remedy.{remedy.kind.value}.not_alone")


def effect_text(remedy: Remedy, words: Words) -> str:
    """What it does to both counters, and when."""
    requests, slots = remedy.frees_requests - remedy.spends, remedy.frees_certificates - remedy.spends
    when = words.say("when.at_once" if remedy.estimate is None else "when.estimated")
    if remedy.after is not None:
        when = words.say(f"when.after.{remedy.after.value}")
    return words.say("effect", requests=_signed(requests), slots=_signed(slots), when=when)


def _signed(number: int) -> str:
    return f"−{-number}" if number < 0 else f"+{number}"


def risk_text(risk: Risk, words: Words) -> str:
    return words.say(f"risk.{risk.value}", day=TOKEN_SUNSET.last_day.strftime("%d.%m.%Y"))


def about_text(about: About, words: Words) -> str:
    """One certificate, and why it may be missed."""
    record = about.record
    notes = [words.say("about.requested", day=words.date(record.requested_at))]
    if record.last_used_at is not None:
        notes.append(words.say("about.used", day=words.date(record.last_used_at)))
    elif about.unused:
        notes.append(words.say("about.unused"))
    notes += [words.say("about.superseded")] if about.superseded else []
    notes += [words.say("about.key_here")] if about.key_here else []
    kind = words.say(f"type.short.{record.type.value}")
    return words.say("about", serial=record.serial_number, type=kind, name=record.name, notes=", ".join(notes))


def estimate_text(kind: RemedyKind, estimate: Estimate, words: Words) -> str:
    """An estimate is worded as one, with what it rests on."""
    if estimate.latest is None:
        return words.say("estimate.unknown")
    latest = words.date(estimate.latest)
    evidence = words.say(f"estimate.evidence.{kind.value}", known=estimate.known, counted=estimate.counted)
    if estimate.earliest is None:
        said = words.say("estimate.by", latest=latest)
    elif (earliest := words.date(estimate.earliest)) == latest:
        said = words.say("estimate.on", date=latest)
    else:
        said = words.say("estimate.between", earliest=earliest, latest=latest)
    rules = [
        words.say(f"rule.{rule.value}", day=None if day is None else words.date(day)) for rule, day in estimate.by_rule
    ]
    return " ".join([said, evidence, *([words.say("estimate.rules", rules="; ".join(rules))] if rules else [])])
