"""What a page shows of a refusal: each way out with its effect, its evidence and the step that walks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request

from klucznik.access.gate import Visitor
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.preflight import Finding, Refusal
from klucznik.domain.reasons import Reason, RemedyKind, Source, Task
from klucznik.domain.remedies import About, Evidence, Remedy
from klucznik.domain.roles import Action
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.messages import Words
from klucznik.messages.refusal import (
    cause_text,
    estimate_text,
    reach_text,
    reason_text,
    remedy_text,
    remedy_title,
    risk_text,
    subject_text,
)
from klucznik.web.pages import words_of

# The step of the wizard that walks a way, and what somebody has to be allowed for it.
_STEPS = {
    Task.ORDER_THE_MISSING_HALF: ("order", Action.ISSUE),
    Task.CONFIRM_THE_GRANT: ("grant", Action.GRANT),
    Task.CONNECT_BY_THE_GRANT: ("grant", Action.GRANT),
    Task.ASK_WHO_MAY_GRANT: ("letter", Action.CONNECT),
    Task.CHOOSE_AND_CONFIRM: ("revoke", Action.REVOKE),
    Task.COME_BACK: ("wait", Action.ISSUE),
    Task.BRING_KEY_AND_PASSWORD: ("imported", Action.CONNECT),
    Task.MAKE_A_TOKEN: ("token", Action.CONNECT),
}


@dataclass(frozen=True)
class ShownRemedy:
    """One way out.

    Attributes:
        requests, slots, when: what it does to both limits, and when, in words.
        estimate: when it works, worded as an estimate; None: at once.
        evidence: sentences, each with its source and date.
        step: of the wizard; None: nothing can be done about it here.
        by_hand: whether the permission may be granted outside instead.
    """

    kind: RemedyKind
    title: str
    text: str
    estimate: str | None
    requests: str
    slots: str
    when: str
    risks: tuple[str, ...]
    evidence: tuple[str, ...]
    certificates: tuple[About, ...]
    step: str | None
    by_hand: bool


def shown_refusal(request: Request, visitor: Visitor, onboarding: Onboarding) -> dict[str, Any]:
    """What the template shows; `onboarding` has the refusal."""
    refusal, words = onboarding.refusal, words_of(request)
    if refusal is None:
        return {"refusal": None, "limits": onboarding.limits, "remedies": ()}
    return {
        "refusal": refusal,
        "limits": refusal.limits,
        "subject": subject_text(refusal.subject, words),
        "reach": reach_text(refusal.subject, words),
        "reasons": [_reason(finding, words) for finding in refusal.reasons],
        "causes": [cause_text(cause, refusal.limits, words) for cause in refusal.causes],
        "remedies": [_remedy(one, refusal, onboarding, visitor, words) for one in refusal.remedies],
    }


def _reason(finding: Finding, words: Words) -> str:
    if finding.code is Reason.REQUESTS_RESERVED_FOR_RENEWAL:  # the meters beside it show how many are needed
        return words.say(
            "wizard.reason.reserved", remaining=finding.remaining, limit=finding.limit, reserved=finding.reserved
        )
    return reason_text(finding, words)


def _remedy(remedy: Remedy, refusal: Refusal, onboarding: Onboarding, visitor: Visitor, words: Words) -> ShownRemedy:
    step, action = _STEPS.get(remedy.task, (None, Action.SEE))
    if step == "revoke" and not remedy.certificates:
        step = None
    return ShownRemedy(
        kind=remedy.kind,
        title=remedy_title(remedy, words),
        text=remedy_text(replace(remedy, estimate=None), refusal.subject, words),
        estimate=_estimate(remedy, words),
        requests=_requests(remedy, words),
        slots=_effect(remedy.frees_certificates - remedy.spends, "takes", words),
        when=_when(remedy, words),
        risks=tuple(risk_text(risk, words) for risk in remedy.risks),
        evidence=(*_rules(remedy, words), *(_evidence(one, onboarding, words) for one in remedy.evidence)),
        certificates=remedy.certificates,
        step=step if step is not None and visitor.may(action) else None,
        by_hand=remedy.task is Task.CONFIRM_THE_GRANT,
    )


def _estimate(remedy: Remedy, words: Words) -> str | None:
    """The range and what it rests on; the readings that lead to it stand among the evidence."""
    estimate = remedy.estimate
    if estimate is None or remedy.task is Task.ASK_THE_MINISTRY:
        return None
    return estimate_text(remedy.kind, replace(estimate, by_rule=()), words)


def _rules(remedy: Remedy, words: Words) -> tuple[str, ...]:
    by_rule = () if remedy.estimate is None else remedy.estimate.by_rule
    return tuple(
        words.say(
            "wizard.evidence.rule",
            rule=words.say(f"rule.{rule.value}", day=None if day is None else words.date(day)),
        )
        for rule, day in by_rule
    )


def _evidence(evidence: Evidence, onboarding: Onboarding, words: Words) -> str:
    at = evidence.at
    if evidence.source is Source.TOKEN_REGULATION:
        return words.say("wizard.evidence.token_regulation", act=TOKEN_SUNSET.source)
    day = onboarding.limits_at if at is None else at
    return words.say(
        f"wizard.evidence.{evidence.source.value}",
        n=evidence.number,
        day=None if day is None else words.date(day),
    )


def _requests(remedy: Remedy, words: Words) -> str:
    # What waiting gives back is what is waited for; whether it comes, the estimate says.
    if remedy.kind is RemedyKind.WAIT_FOR_REQUESTS:
        return words.say("refused_page.effect.renews")
    return _effect(remedy.frees_requests - remedy.spends, "spends", words)


def _effect(number: int, less: str, words: Words) -> str:
    """`less`: how the catalogue calls it when there are fewer afterwards."""
    kind = less if number < 0 else "frees" if number else "none"
    return words.say(f"refused_page.effect.{kind}", n=abs(number))


def _when(remedy: Remedy, words: Words) -> str:
    if remedy.after is not None:
        return words.say(f"when.after.{remedy.after.value}")
    return words.say("when.at_once" if remedy.estimate is None else "when.estimated")
