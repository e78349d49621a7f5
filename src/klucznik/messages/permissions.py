"""What is said to a company that grants a permission by hand, and to whoever asks it to."""

from __future__ import annotations

from collections.abc import Iterator

from klucznik.domain.connections import Operator
from klucznik.messages.catalogue import Words, words_in


def steps_by_hand(operator: Operator, words: Words) -> Iterator[str]:
    """What the company clicks, one step after the other."""
    for key in ("by_hand.step.open", "by_hand.step.menu", "by_hand.step.kind"):
        yield words.say(key)
    yield words.say("by_hand.step.who", nip=operator.nip, name=operator.name)
    yield words.say("by_hand.step.what")
    yield words.say("by_hand.step.confirm")


def client_letter(operator: Operator, nip: str, language: str) -> str:
    """The text to send to the company, in a language of its own."""
    words = words_in(language)
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(steps_by_hand(operator, words), start=1))
    return words.say("by_hand.letter", nip=nip, operator=operator.nip, name=operator.name, steps=steps)
