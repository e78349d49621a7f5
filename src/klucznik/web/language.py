"""The switch of the language: a cookie, for whoever looks; of a user it is also the language of their letters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from klucznik.access.cookies import remember_language
from klucznik.access.gate import Anybody
from klucznik.domain.languages import Language
from klucznik.services.accounts.users import speak
from klucznik.web.pages import local

router = APIRouter()


@router.post("/language")
async def switch(
    request: Request, visitor: Anybody, language: Annotated[str, Form()], back: Annotated[str, Form()] = "/"
) -> RedirectResponse:
    """Remember the language and go back to the page that was looked at."""
    answer = RedirectResponse(local(back), status_code=303)
    if language not in list(Language):
        return answer
    remember_language(request, answer, Language(language))
    if visitor is not None and visitor.session.user_id is not None and visitor.session.complete_at is not None:
        await speak(visitor.klucznik, visitor.session.user_id, Language(language))
    return answer
