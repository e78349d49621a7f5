"""The switch of the language: a cookie, for whoever looks, signed in or not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from klucznik.access.gate import Anybody, settings_of
from klucznik.messages import LANGUAGES
from klucznik.web.pages import LANGUAGE_COOKIE, local

router = APIRouter()

_A_YEAR_S = 365 * 24 * 3600


@router.post("/language")
async def switch(
    request: Request, _: Anybody, language: Annotated[str, Form()], back: Annotated[str, Form()] = "/"
) -> RedirectResponse:
    """Remember the language and go back to the page that was looked at."""
    answer = RedirectResponse(local(back), status_code=303)
    if language in LANGUAGES:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=_A_YEAR_S,
            httponly=True,
            samesite="lax",
            secure=settings_of(request).secure,
        )
    return answer
