"""Letters in the language of whoever gets them: notices (`mails`), and those to one person, with their link.

A link stands in the text alone on its line, as it is: no counting of who has opened it, no other address behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from klucznik.domain.languages import Language
from klucznik.domain.letters import LetterKind, ToSend
from klucznik.messages import Words, words_for_pages
from klucznik.services.telling.mail import Letter
from klucznik.services.telling.notices import ToWrite
from klucznik.views.letter_templates import templates
from klucznik.views.mails import Notices


@dataclass(frozen=True)
class Letters:
    """Writes letters.

    Attributes:
        language: for those who have chosen none.
        public_url: where the app is; None: nobody has said, and letters lead only where a link of theirs does.
    """

    language: Language
    public_url: str | None

    def notices(self, one: ToWrite) -> Letter:
        return Notices(self._words(one.language), self.public_url)(one)

    def personal(self, one: ToSend) -> Letter:
        words = self._words(one.language)
        about = _About(words, one, self.public_url)
        shown = {
            "language": words.language,
            "subject": about.subject,
            "greeting": words.say("letter.greeting"),
            "before": about.before,
            "link": one.link,
            "button": None if one.link is None else words.say(f"{one.letter.kind}.button"),
            "after": about.after,
            "footer": words.say("mail.footer"),
        }
        text, html = (templates().get_template(name).render(shown) for name in ("letter.txt", "letter.html"))
        return Letter(one.letter.id, one.recipient, about.subject, text, html)

    def _words(self, language: Language | None) -> Words:
        return words_for_pages(language or self.language)


@dataclass(frozen=True)
class _About:
    """What one letter says."""

    words: Words
    one: ToSend
    public_url: str | None

    @property
    def subject(self) -> str:
        """On one line, whatever a company is called."""
        return " ".join(self._say("subject").split())

    @property
    def before(self) -> list[str]:
        """Before the link."""
        kind = self.one.letter.kind
        if kind is LetterKind.INVITATION and self.one.letter.data["operator"] is None:
            return [self._say("lead_of_nobody")]
        return [self._say("lead")]

    @property
    def after(self) -> list[str]:
        """After it."""
        kind = self.one.letter.kind
        if kind is LetterKind.INVITATION:
            return [self._say("how"), self._say("link"), self._say("not_yours")]
        if kind is LetterKind.PASSWORD_CHANGED:
            now = "not_yours_where" if self.public_url else "not_yours"
            return [self._say("effect"), self._say(now)]
        return [self._say("link"), self._say("not_yours")]

    def _say(self, part: str) -> str:
        letter = self.one.letter
        nip, name = letter.data.get("nip"), letter.data.get("name")
        return self.words.say(
            f"{letter.kind}.{part}",
            company=name or (f"NIP {nip}" if nip else None),
            named=f"{name} (NIP {nip})" if name else f"NIP {nip}",
            operator=letter.data.get("operator"),
            operator_nip=letter.data.get("operator_nip"),
            email=self.one.recipient,
            at=letter.created_at,
            until=self.one.until,
            url=self.public_url,
        )
