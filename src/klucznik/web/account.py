"""Pages of one's own account: password, second factor, passkeys, browsers that are signed in."""

from __future__ import annotations

from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.cookies import guesser
from klucznik.access.gate import Visitor
from klucznik.access.proof import RequiresProof
from klucznik.access.statuses import retry_after, status_of
from klucznik.access.told import outlets_of
from klucznik.domain.passwords import LONGEST, SHORTEST
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied, InputError, KlucznikError
from klucznik.services.accounts import passkeys, passwords, second_factor
from klucznik.services.accounts.browser_sessions import sessions_of
from klucznik.services.accounts.users import sign_out_everywhere as sign_out_all
from klucznik.web.pages import render, told
from klucznik.web.second_step import Answer, Person, Text, json_of, place_of
from klucznik.web.sign_in import FIELDS, check_same, has_passkeys

router = APIRouter()

_HERE = "/account"
# Whoever changes what opens the account has proved lately that it is theirs.
Proved = Annotated[Visitor, Depends(RequiresProof(Action.SEE, back=_HERE))]
ProvedHere = Annotated[Visitor, Depends(RequiresProof(Action.SEE))]
_FIELDS = FIELDS | {
    "own_password_wrong": "current",
    "too_many_attempts": "current",
    "totp_code_wrong": "code",
    "passkey_name_malformed": "name",
    "passkey_not_accepted": "name",
    "passkeys_too_many": "name",
}


@router.get(_HERE)
async def account(request: Request, visitor: Person) -> HTMLResponse:
    user = await passwords.user_of(visitor.klucznik, visitor.session)
    return render(
        request,
        "account/account.html",
        user=user,
        factor=await second_factor.second_factor(visitor.klucznik, user),
        sessions=await sessions_of(visitor.klucznik, user.id),
        can_have_passkeys=has_passkeys(request),
        language=user.language or outlets_of(request).language,
    )


@router.get("/account/password")
async def password_form(request: Request, visitor: Person) -> HTMLResponse:
    return _password(request, visitor, None)


@router.post("/account/password")
async def change_password(
    request: Request, visitor: Person, current: Text = "", password: Text = "", again: Text = ""
) -> Response:
    who = guesser(request, visitor.principal.name)
    try:
        check_same(password, again)
        await passwords.change_password(visitor.klucznik, visitor.session, current=current, new=password, who=who)
    except (InputError, AccessDenied) as error:
        return _password(request, visitor, error)
    return RedirectResponse(_HERE, status_code=303)


@router.get("/account/app")
async def app_form(request: Request, visitor: ProvedHere) -> HTMLResponse:
    return await _app(request, visitor, None)


@router.post("/account/app")
async def turn_app_on(request: Request, visitor: ProvedHere, code: Text = "") -> HTMLResponse:
    try:
        codes = await second_factor.turn_totp_on(visitor.klucznik, visitor.session, code)
    except (InputError, AccessDenied) as error:
        if error.reason not in _FIELDS:
            raise
        return await _app(request, visitor, error)
    return render(request, "account/codes.html", codes=codes)


@router.post("/account/app/remove")
async def turn_app_off(visitor: Proved) -> RedirectResponse:
    await second_factor.turn_totp_off(visitor.klucznik, visitor.session)
    return RedirectResponse(_HERE, status_code=303)


@router.post("/account/codes")
async def renew_codes(request: Request, visitor: Proved) -> HTMLResponse:
    codes = await second_factor.renew_codes(visitor.klucznik, visitor.session)
    return render(request, "account/codes.html", codes=codes)


@router.get("/account/passkeys")
async def passkey_form(request: Request, _: ProvedHere) -> HTMLResponse:
    return _passkey(request, "", None)


@router.get("/account/passkeys/challenge.json")
async def challenge(request: Request, visitor: ProvedHere) -> Response:
    return json_of(await passkeys.ask_for_new(visitor.klucznik, visitor.session, place_of(request)))


@router.post("/account/passkeys")
async def add_passkey(request: Request, visitor: ProvedHere, name: Text = "", answer: Answer = "") -> Response:
    place = place_of(request)
    try:
        codes = await passkeys.add(visitor.klucznik, visitor.session, place, name=name, answer=answer)
    except InputError as error:
        if error.reason not in _FIELDS:
            raise
        return _passkey(request, name, error)
    if codes is None:
        return RedirectResponse(_HERE, status_code=303)
    return render(request, "account/codes.html", codes=codes)


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(visitor: Proved, passkey_id: Annotated[str, Path(max_length=2100)]) -> RedirectResponse:
    await passkeys.remove(visitor.klucznik, visitor.session, passkey_id)
    return RedirectResponse(_HERE, status_code=303)


@router.post("/account/sign-out-everywhere")
async def sign_out_everywhere(visitor: Person, mine: Annotated[str, Form()] = "") -> RedirectResponse:
    user = await passwords.user_of(visitor.klucznik, visitor.session)
    await sign_out_all(visitor.klucznik, user.id, but=None if mine else visitor.session.token_hash)
    return RedirectResponse(_HERE, status_code=303)


def _password(request: Request, visitor: Visitor, error: KlucznikError | None) -> HTMLResponse:
    seconds = None if error is None else retry_after(error, visitor.klucznik.clock.now().timestamp())
    return render(
        request,
        "account/password.html",
        status=200 if error is None else status_of(error),
        headers={} if seconds is None else {"retry-after": str(seconds)},
        email=visitor.principal.name,
        errors=_errors(request, error),
        shortest=SHORTEST,
        longest=LONGEST,
    )


async def _app(request: Request, visitor: Visitor, error: KlucznikError | None) -> HTMLResponse:
    new = await second_factor.new_totp(visitor.klucznik, visitor.session)
    picture = segno.make(new.uri, error="m").svg_data_uri(scale=5, border=3, light="#fff", dark="#000")
    return render(
        request,
        "account/app.html",
        status=200 if error is None else status_of(error),
        picture=picture,
        secret=" ".join(new.secret[at : at + 4] for at in range(0, len(new.secret), 4)),
        errors=_errors(request, error),
    )


def _passkey(request: Request, name: str, error: KlucznikError | None) -> HTMLResponse:
    place_of(request)
    return render(
        request,
        "account/passkey.html",
        status=200 if error is None else status_of(error),
        name=name,
        errors=_errors(request, error),
    )


def _errors(request: Request, error: KlucznikError | None) -> dict[str, str]:
    return {} if error is None else {_FIELDS[error.reason]: told(request, error).what}
