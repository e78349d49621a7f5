"""Makes pages: one environment of templates, and what every page has (its words, who is signed in, where it is)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from klucznik.access.cookies import LANGUAGE_COOKIE
from klucznik.access.gate import CSRF_FIELD, CSRF_HEADER, Visitor, installation_of
from klucznik.access.statuses import outward
from klucznik.domain.roles import Action
from klucznik.errors import KlucznikError
from klucznik.messages import LANGUAGES, Words, words_for_pages
from klucznik.messages.errors import ErrorText, error_text

STATIC = Path(__file__).parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"


def words_of(request: Request) -> Words:
    """Polish, unless the visitor has switched."""
    return words_for_pages(request.cookies.get(LANGUAGE_COOKIE, LANGUAGES[0]))


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **data: Any,
) -> HTMLResponse:
    """A page, or a part of one for htmx.

    Besides `data` a template has: `say`, `count`, `words`, `visitor` (None: nobody is signed in), `Action`, `csrf`,
    `path`, `environment` (of KSeF), `demo` (whether this is one), `now`, `languages`, `static(name)`.
    """
    words, visitor = words_of(request), _visitor(request)
    klucznik = installation_of(request)
    page = (
        _environment()
        .get_template(template)
        .render(
            **data,
            say=words.say,
            count=words.count,
            words=words,
            visitor=visitor,
            Action=Action,
            csrf=_csrf(request),
            csrf_field=CSRF_FIELD,
            csrf_header=CSRF_HEADER,
            path=request.url.path,
            environment=klucznik.environment.value,
            demo=request.app.state.demo,
            now=klucznik.clock.now(),
            languages=LANGUAGES,
            static=static_url,
        )
    )
    return HTMLResponse(page, status_code=status, headers=dict(headers or {}))


def told(request: Request, error: KlucznikError) -> ErrorText:
    """The words of an error in the visitor's language."""
    return error_text(outward(error), words_of(request))


def local(back: str) -> str:
    """`back` where it is a path of ours, for redirects; otherwise the first page."""
    try:
        parts = urlsplit(back)
    except ValueError:
        return "/"
    # Browsers take a backslash for a slash and pass over control characters.
    plain = back.isprintable() and "\\" not in back
    ours = plain and not parts.scheme and not parts.netloc and back.startswith("/") and not back.startswith("//")
    return back if ours else "/"


@lru_cache
def static_url(name: str) -> str:
    """The address of a static file, new with each change of it, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def _csrf(request: Request) -> str:
    """Also where the second factor is still to come."""
    found: Visitor | None = getattr(request.state, "visitor", None)
    return "" if found is None else found.session.csrf


def _visitor(request: Request) -> Visitor | None:
    found: Visitor | None = getattr(request.state, "visitor", None)
    return found if found is not None and found.session.complete_at is not None else None


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
