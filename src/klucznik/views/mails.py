"""Notices as a letter: all that a user is to be told, grouped, the most pressing first. Words: the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from klucznik.domain.audit import Fact
from klucznik.domain.events import Kind
from klucznik.domain.notices import TOPICS, Notice
from klucznik.messages import Words
from klucznik.services.telling.mail import Letter
from klucznik.services.telling.notices import ToWrite
from klucznik.views.letter_templates import templates

# Of one topic in one letter; the others are on the board.
_SHOWN = 50


@dataclass(frozen=True)
class Group:
    """What is told under one heading.

    Attributes:
        more: how many there are besides.
        now: what to do about all of them.
    """

    heading: str
    lines: tuple[str, ...]
    more: str | None
    now: str
    calm: bool


@dataclass(frozen=True)
class Notices:
    """Writes them in one language.

    Attributes:
        public_url: where the board is; None: nobody has said, and no link is in the letter.
    """

    words: Words
    public_url: str | None

    def __call__(self, one: ToWrite) -> Letter:
        notices = sorted(one.notices, key=lambda notice: TOPICS.index(notice.topic))
        groups = [self._group(list(mine), one) for _, mine in groupby(notices, lambda notice: notice.topic)]
        subject = " ".join(self._subject(notices, one, groups[0]).split())
        shown = {
            "say": self.words.say,
            "language": self.words.language,
            "subject": subject,
            "groups": groups,
            "url": self.public_url,
        }
        text, html = (templates().get_template(name).render(shown) for name in ("mail.txt", "mail.html"))
        ids = " ".join(sorted(notice.id for notice in notices))
        return Letter(ids, one.recipient, subject, text, html)

    def _subject(self, notices: Sequence[Notice], one: ToWrite, first: Group) -> str:
        if len(notices) > 1:
            return self.words.count("mail.subject.many", len(notices))
        nip = notices[0].nip
        about = "" if nip is None else f" – {one.names.get(nip, nip)}"
        return f"Klucznik: {first.heading}{about}"

    def _group(self, notices: Sequence[Notice], one: ToWrite) -> Group:
        kind, variant = notices[0].topic
        beyond = len(notices) - _SHOWN
        return Group(
            heading=self.words.say(_heading(kind, variant)),
            lines=tuple(self._line(notice, one) for notice in notices[:_SHOWN]),
            more=self.words.count("mail.more", beyond) if beyond > 0 else None,
            now=self.words.say(_now(kind, variant)),
            calm=notices[0].calm,
        )

    def _line(self, notice: Notice, one: ToWrite) -> str:
        kind, variant = notice.topic
        key = f"mail.item.{kind}" if variant is None else f"mail.item.{kind}.{variant}"
        if kind is Kind.WEBHOOK_DISABLED:
            key = f"mail.item.webhook.disabled.{notice.data['reason']}"
        if kind is Kind.RENEWAL_FAILED:
            key = f"mail.item.renewal.failed.{_why(notice)}"
        return self.words.say(key, **self._data(notice, one))

    def _data(self, notice: Notice, one: ToWrite) -> dict[str, object]:
        data, name = notice.data, None if notice.nip is None else one.names.get(notice.nip)
        company = f"{name} ({notice.nip})" if name else notice.nip
        return {
            "company": company or self.words.say("mail.no_company"),
            "at": notice.at,
            "subject": self._whose(data.get("subject")),
            "code": data.get("code"),
            "type": self.words.say(f"type.{data['type']}") if "type" in data else None,
            "valid_to": self._day(data.get("valid_to")),
            "renews_at": self._day(data.get("renews_at")),
            "last_day": self._day(data.get("ends_at"), before=True),
            "host": data.get("host"),
            "since": self._day(data.get("failing_since")),
            "needed": data.get("needed"),
            **_limits(data.get("limits")),
        }

    def _whose(self, subject: Fact) -> str | None:
        if not isinstance(subject, dict):
            return None
        return self.words.say(f"subject.{subject['type']}", value=subject["shown"])

    def _day(self, moment: Fact, *, before: bool = False) -> str | None:
        """A day on the Polish calendar; `before`: the last one before that moment."""
        if not isinstance(moment, str):
            return None
        return self.words.date(datetime.fromisoformat(moment) - timedelta(seconds=int(before)))


def _heading(kind: Kind, variant: str | None) -> str:
    return f"mail.heading.{kind}" if variant is None else f"mail.heading.{kind}.{variant}"


def _now(kind: Kind, variant: str | None) -> str:
    return f"mail.now.{kind}" if variant is None else f"mail.now.{kind}.{variant}"


def _why(notice: Notice) -> str:
    state, reason = notice.data.get("state"), notice.data.get("reason")
    if state is not None:
        return str(state)
    return "needs_signature" if reason == "renewal_needs_signature" else "sign_in"


def _limits(limits: Fact) -> dict[str, object]:
    if not isinstance(limits, dict):
        return {}
    requests, certificates = limits["requests"], limits["certificates"]
    assert isinstance(requests, dict)  # noqa: S101  as `audit.limits_facts` makes them
    assert isinstance(certificates, dict)  # noqa: S101
    return {
        "requests": requests["remaining"],
        "requests_limit": requests["limit"],
        "certificates": certificates["remaining"],
        "certificates_limit": certificates["limit"],
    }
