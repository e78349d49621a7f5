"""Words for people, Polish and English, from one catalogue. Everything else in Klucznik is data."""

from klucznik.messages.catalogue import LANGUAGES, Words, words_for_pages, words_in

__all__ = ["LANGUAGES", "Words", "words_for_pages", "words_in"]
