"""The tables of docs/codes.md, made from the catalogue. No judgement here."""

from __future__ import annotations

from klucznik.messages import Words, words_in
from klucznik.messages.codes import CODES, DETAILS

# The families in the order of the page, and what tells a row of each.
FAMILIES = ("sign_in", "ksef", "enrollment", "permission_operation", "forbidden", "http")
HEADERS = {
    "en": ("code", "what happened", "who can change it", "what to do"),
    "pl": ("kod", "co się stało", "kto może to zmienić", "co zrobić"),
}
_OTHER = {"en": "any other", "pl": "każdy inny"}


def table(family: str, language: str) -> str:
    """The table of one family of codes, in one language."""
    words = words_in(language)
    header = HEADERS[language]
    lines = [_line(header), "|" + "---|" * len(header)]
    lines += [_line(_row(key, words)) for key in CODES if key.startswith(f"{family}.")]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(key: str, words: Words) -> tuple[str, ...]:
    return (
        _code(key, words.language),
        _bare(words, key),
        words.say(f"who.{CODES[key].value}"),
        _bare(words, f"{key}.now"),
    )


def _code(key: str, language: str) -> str:
    family, number, *detail = key.split(".")
    if number == "other":
        return _OTHER[language]
    if not detail:
        return f"`{number}`"
    known = DETAILS[f"{family}.{number}"]
    phrase = next(phrase for phrase, name in known.items() if name == detail[0])
    return f"`{number}` {phrase.strip()}"


def _bare(words: Words, key: str) -> str:
    """The sentence with its places left open."""
    return words.say(key, **dict.fromkeys(_PLACES, "…"))


_PLACES = (
    *("required_permissions", "present_permissions", "client_ip", "incident_id", "authentication_method"),
    *("context_type", "reason_code", "route", "status", "retry_after"),
)
