"""In which language the API speaks: that of `Accept-Language`, and Polish where it says nothing that we know."""

from __future__ import annotations

from fastapi import Request

from klucznik.messages import LANGUAGES, Words, words_for_pages


def words_of(request: Request) -> Words:
    return words_for_pages(preferred(request.headers.get("accept-language", "")))


def preferred(header: str) -> str:
    """The language of ours that is wanted most."""
    wanted = [(_weight(options), tag.strip().lower()) for tag, _, options in _parts(header)]
    ours = [(weight, tag[:2]) for weight, tag in wanted if tag[:2] in LANGUAGES and tag[2:3] in ("", "-")]
    # The first of those that are wanted equally.
    return max(ours, key=lambda one: one[0])[1] if any(weight > 0 for weight, _ in ours) else LANGUAGES[0]


def _parts(header: str) -> list[tuple[str, str, str]]:
    return [part.partition(";") for part in header[:200].split(",")]


def _weight(options: str) -> float:
    name, _, value = options.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
