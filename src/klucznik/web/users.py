"""Pages of users for administrators: who may sign in, what they may do, links to pass on to them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Visitor
from klucznik.access.proof import RequiresProof, check_proved
from klucznik.access.statuses import status_of
from klucznik.access.told import outlets_of, sends_mail
from klucznik.domain.accounts import LINK_LASTS, LinkPurpose, User
from klucznik.domain.roles import Action, Role
from klucznik.errors import InputError
from klucznik.services.accounts import users
from klucznik.services.accounts.second_factor import remove_all_factors
from klucznik.services.accounts.users import PAGE, ROLES
from klucznik.services.telling.letters import delivery_to_user
from klucznik.web.pages import render, told
from klucznik.web.second_step import Text
from klucznik.web.settings import Administering
from klucznik.web.sign_in import password_page

router = APIRouter()

Proved = Annotated[Visitor, Depends(RequiresProof(Action.ADMINISTER))]
# How a link goes: by e-mail, unless it is shown to whoever makes it.
MAIL = "mail"
UserId = Annotated[str, Path(max_length=32)]
_FIELDS = {
    "user_email_malformed": "email",
    "user_name_malformed": "name",
    "role_unknown": "role",
    "user_exists": "email",
    "language_unknown": "language",
}


@router.get("/settings/users")
async def listed(
    request: Request, visitor: Administering, after: Annotated[str, Query(max_length=254)] = ""
) -> HTMLResponse:
    found = await users.list_users(visitor.klucznik, after=after)
    return render(
        request,
        "settings/users.html",
        users=found,
        more=f"/settings/users?after={quote(found[-1].user.email)}" if len(found) == PAGE else None,
    )


@router.get("/settings/users/new")
async def form(request: Request, _: Proved) -> HTMLResponse:
    return _form(request, {"role": Role.STAFF.value, "language": outlets_of(request).language, "how": MAIL}, {})


@router.post("/settings/users/new")
async def invite(
    request: Request,
    visitor: Proved,
    email: Text = "",
    name: Text = "",
    role: Text = "",
    language: Text = "",
    how: Text = "",
) -> Response:
    speaks, klucznik = language or outlets_of(request).language, visitor.klucznik
    try:
        if how == MAIL and sends_mail(request):
            page = password_page(request)
            sent = await users.invite_by_mail(klucznik, email=email, name=name, role=role, language=speaks, page=page)
            return _back(sent.id)
        token, user = await users.invite(klucznik, email=email, name=name, role=role, language=speaks)
    except InputError as error:
        return _form(
            request,
            {"email": email, "name": name, "role": role, "language": language, "how": how},
            {_FIELDS[error.reason]: told(request, error).what},
            status=status_of(error),
        )
    return _link(request, visitor, token, user, LinkPurpose.INVITED)


@router.get("/settings/users/{user_id}")
async def one(request: Request, visitor: Administering, user_id: UserId) -> HTMLResponse:
    user = await users.load_user(visitor.klucznik, user_id)
    return render(
        request,
        "settings/user.html",
        user=user,
        roles=ROLES,
        own=visitor.session.user_id == user.id,
        by_mail=sends_mail(request),
        delivery=await delivery_to_user(visitor.klucznik, user.id),
    )


@router.post("/settings/users/{user_id}/role")
async def set_role(visitor: Administering, user_id: UserId, role: Text = "") -> RedirectResponse:
    check_proved(visitor, back=f"/settings/users/{user_id}")
    await users.set_role(visitor.klucznik, user_id, role, by=_by(visitor))
    return _back(user_id)


@router.post("/settings/users/{user_id}/disable")
async def disable(visitor: Administering, user_id: UserId) -> RedirectResponse:
    await users.disable(visitor.klucznik, user_id, by=_by(visitor))
    return _back(user_id)


@router.post("/settings/users/{user_id}/enable")
async def enable(visitor: Administering, user_id: UserId) -> RedirectResponse:
    check_proved(visitor, back=f"/settings/users/{user_id}")
    await users.enable(visitor.klucznik, user_id, by=_by(visitor))
    return _back(user_id)


@router.post("/settings/users/{user_id}/link")
async def new_link(request: Request, visitor: Administering, user_id: UserId, how: Text = "") -> Response:
    check_proved(visitor, back=f"/settings/users/{user_id}")
    if how == MAIL and sends_mail(request):
        await users.send_link(visitor.klucznik, user_id, page=password_page(request))
        return _back(user_id)
    token, user = await users.new_link(visitor.klucznik, user_id)
    purpose = LinkPurpose.INVITED if user.password_hash is None else LinkPurpose.FORGOTTEN
    return _link(request, visitor, token, user, purpose)


@router.post("/settings/users/{user_id}/second-factor")
async def remove_second_factor(visitor: Administering, user_id: UserId) -> RedirectResponse:
    check_proved(visitor, back=f"/settings/users/{user_id}")
    await remove_all_factors(visitor.klucznik, user_id)
    return _back(user_id)


def _by(visitor: Visitor) -> str:
    return visitor.session.user_id or ""


def _back(user_id: str) -> RedirectResponse:
    return RedirectResponse(f"/settings/users/{user_id}", status_code=303)


def _form(request: Request, values: dict[str, str], errors: dict[str, str], *, status: int = 200) -> HTMLResponse:
    return render(
        request,
        "settings/invite.html",
        status=status,
        values=values,
        errors=errors,
        roles=ROLES,
        by_mail=sends_mail(request),
    )


def _link(request: Request, visitor: Visitor, token: str, user: User, purpose: LinkPurpose) -> HTMLResponse:
    return render(
        request,
        "settings/user_link.html",
        user=user,
        link=password_page(request) + token,
        until=visitor.klucznik.clock.now() + LINK_LASTS[purpose],
    )
