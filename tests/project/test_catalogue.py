"""The catalogue is whole: every reason has its words in both languages, and no word is there for nothing."""

from __future__ import annotations

import re
import string
from functools import lru_cache

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from tests.project import source
from tests.project.english import ENGLISH

from klucznik.domain.audit import Event

LANGUAGES = ("pl", "en")


@lru_cache
def messages(language: str) -> dict[str, Message]:
    found: list[Message] = []
    for path in source.catalogues(language):
        with path.open("rb") as file:
            found += read_po(file, locale=language, abort_invalid=True)
    return {(one.id if isinstance(one.id, str) else one.id[0]): one for one in found if one.id}


def _forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def _placeholders(message: Message) -> frozenset[str]:
    return frozenset(name for form in _forms(message) for _, name, _, _ in string.Formatter().parse(form) if name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_that_is_raised_has_its_words(language: str) -> None:
    # These always come with a number of KSeF or HTTP, and their words are under that number.
    numbered = {"sign_in_refused", "rate_limited", "ksef_error_answer"}
    raised = {one for one in source.reasons() if one.name not in numbered}
    assert len(raised) > 100
    wordless = {f"{one.name} ({one.where})" for one in raised if f"error.{one.name}" not in messages(language)}
    assert not wordless


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_is_asked_for_is_there(language: str) -> None:
    absent = {f"{one.name} ({one.where})" for one in source.said() if one.name not in messages(language)}
    assert not absent | source.said_in_templates() - set(messages(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_of_the_audit_log_has_its_sentence(language: str) -> None:
    assert {event.value for event in Event if f"timeline.{event.value}" not in messages(language)} == set()


def test_both_languages_have_the_same_keys() -> None:
    assert set(messages("pl")) == set(messages("en"))


def test_each_key_has_the_same_placeholders_in_both_languages() -> None:
    polish, english = messages("pl"), messages("en")
    different = {
        key: (sorted(_placeholders(polish[key])), sorted(_placeholders(english[key])))
        for key in polish
        if key in english and _placeholders(polish[key]) != _placeholders(english[key])
    }
    assert not different


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_empty_or_in_doubt(language: str) -> None:
    found = messages(language)
    assert [key for key, one in found.items() if one.fuzzy or not all(form.strip() for form in _forms(one))] == []


def test_counted_messages_have_all_the_forms_of_their_language() -> None:
    forms = {"pl": 3, "en": 2}
    for language, number in forms.items():
        counted = {key: one for key, one in messages(language).items() if not isinstance(one.id, str)}
        assert counted
        assert {key for key, one in counted.items() if len(_forms(one)) != number} == set()
    polish, english = messages("pl"), messages("en")
    assert {k for k, m in polish.items() if m.pluralizable} == {k for k, m in english.items() if m.pluralizable}


def test_what_a_sentence_needs_is_given_where_it_is_said() -> None:
    polish = messages("pl")
    lacking = {
        f"{one.name} ({one.where})": sorted(_placeholders(polish[one.name]) - one.given - {"n"})
        for one in source.said()
        if one.given is not None and one.name in polish and not _placeholders(polish[one.name]) <= one.given | {"n"}
    }
    assert not lacking


def test_what_an_error_says_is_in_the_data_of_the_error() -> None:
    polish = messages("pl")
    lacking = {}
    for one in source.reasons():
        message = polish.get(f"error.{one.name}")
        if message is not None and one.given is not None and not _placeholders(message) <= one.given:
            lacking[f"{one.name} ({one.where})"] = sorted(_placeholders(message) - one.given)
    assert not lacking


def test_no_message_is_there_for_nothing() -> None:
    words, shapes = source.constants() | source.said_in_templates(), source.patterns()

    def filled(part: str) -> bool:
        return part in words or part.isdigit()

    def used(key: str) -> bool:
        if key in words or any(all(map(filled, m.groups())) for s in shapes if (m := s.fullmatch(key))):
            return True
        ending = next((one for one in (".now", ".in_browser", ".in_api") if key.endswith(one)), None)
        return ending is not None and used(key.removesuffix(ending))

    assert [key for key in messages("pl") if not used(key)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_there_twice(language: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in source.catalogues(language))
    keys = re.findall(r'(?m)^msgid "([^"]+)"', text)
    assert [key for key in keys if keys.count(key) > 1] == []


# Names of formats, kinds and numbers, and places alone: nobody translates them.
_SAME_IN_BOTH = {
    *("subject.Nip", "subject.Pesel", "ksef.quote", "type.short.Offline", "status.column.id"),
    *("operator.nip", "grant.operator"),
    *("role.administrator", "user.role.administrator", "settings.operator"),
    *("looks_like.pkcs7", "looks_like.pkcs12", "looks_like.pdf", "looks_like.xml"),
}
# What a user types or sees as it is written: options, commands, routes, variables, endings of files, KSeF's names.
_TYPED = re.compile(
    r"\{\w*\}|--[\w-]+|\bklucznik(?: [a-z][a-z-]*)+|\b[A-Z]+(?:_[A-Z]+)+|\.[a-z]{3}\b|\([A-Z][A-Za-z]+\)"
    r"|(?:GET|POST) /[\w/…-]+|`[\w=?]+`"
)


def test_no_english_is_left_in_the_polish_words() -> None:
    polish = {key: " ".join(_forms(one)) for key, one in messages("pl").items()}
    english = {key: " ".join(_forms(one)) for key, one in messages("en").items()}
    assert {key for key in polish if polish[key] == english.get(key)} - _SAME_IN_BOTH == set()
    leaks = {key: found for key, text in polish.items() if (found := ENGLISH.findall(_TYPED.sub("", text)))}
    assert not leaks
    # The list of words is worth something: nearly every English sentence of some length has one of them.
    sentences = [text for text in english.values() if len(text.split()) > 5]
    assert sum(bool(ENGLISH.search(text)) for text in sentences) > len(sentences) * 0.98
