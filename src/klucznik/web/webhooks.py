"""Pages of webhooks: the list, a new one with its secret (shown once), its deliveries, and what can be done with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from klucznik.access.gate import Requires, Visitor
from klucznik.access.statuses import status_of
from klucznik.access.told import outlets_of
from klucznik.domain.events import Kind
from klucznik.domain.roles import Action
from klucznik.domain.webhooks import Webhook
from klucznik.errors import InputError
from klucznik.services.telling import webhooks
from klucznik.services.telling.webhooks import PAGE, Opened
from klucznik.web.pages import render, told
from klucznik.web.second_step import Text

router = APIRouter(prefix="/settings/webhooks")

Notifying = Annotated[Visitor, Depends(Requires(Action.NOTIFY))]
Id = Annotated[str, Path(max_length=32)]
_FIELDS = {
    "webhook_url_malformed": "url",
    "webhook_url_not_https": "url",
    "webhook_url_with_password": "url",
    "webhook_host_not_found": "url",
    "webhook_address_refused": "url",
    "webhooks_too_many": "url",
    "event_kind_not_known": "kinds",
    "nip_malformed": "nip",
}


@router.get("")
async def listed(request: Request, visitor: Notifying) -> HTMLResponse:
    found = await webhooks.listed(visitor.klucznik, nip=visitor.principal.nip)
    return render(request, "settings/webhooks.html", webhooks=found)


@router.get("/new")
async def form(request: Request, _: Notifying) -> HTMLResponse:
    return _form(request, {}, (), {})


@router.post("/new")
async def make(
    request: Request,
    visitor: Notifying,
    url: Text = "",
    kinds: Annotated[list[str] | None, Form(max_length=50)] = None,
    nip: Text = "",
) -> HTMLResponse:
    chosen = kinds or []
    try:
        async with outlets_of(request).post() as post:
            opened = await webhooks.make(
                visitor.klucznik,
                post,
                url.strip(),
                kinds=chosen,
                nip=nip.strip() or visitor.principal.nip,
                created_by=visitor.principal.id,
            )
    except InputError as error:
        errors = {_FIELDS[error.reason]: told(request, error).what}
        return _form(request, {"url": url, "nip": nip}, tuple(chosen), errors, status=status_of(error))
    return _opened(request, opened, new=True)


@router.get("/{webhook_id}")
async def one(
    request: Request,
    visitor: Notifying,
    webhook_id: Id,
    after: Annotated[str | None, Query(max_length=32)] = None,
    replayed: Annotated[int | None, Query(ge=0, le=100_000)] = None,
) -> HTMLResponse:
    webhook = await _one(visitor, webhook_id)
    found = await webhooks.deliveries(visitor.klucznik, webhook, before=after)
    more = f"/settings/webhooks/{webhook.id}?after={found[-1].delivery.id}" if len(found) == PAGE else None
    return render(request, "settings/webhook.html", webhook=webhook, sent=found, more=more, replayed=replayed)


@router.post("/{webhook_id}/test")
async def test(visitor: Notifying, webhook_id: Id) -> RedirectResponse:
    await webhooks.ping(visitor.klucznik, await _one(visitor, webhook_id))
    return _back(webhook_id)


@router.post("/{webhook_id}/disable")
async def disable(visitor: Notifying, webhook_id: Id) -> RedirectResponse:
    await webhooks.disable(visitor.klucznik, await _one(visitor, webhook_id))
    return _back(webhook_id)


@router.post("/{webhook_id}/enable")
async def enable(visitor: Notifying, webhook_id: Id) -> RedirectResponse:
    await webhooks.enable(visitor.klucznik, await _one(visitor, webhook_id))
    return _back(webhook_id)


@router.post("/{webhook_id}/secret")
async def rotate(request: Request, visitor: Notifying, webhook_id: Id) -> HTMLResponse:
    return _opened(request, await webhooks.rotate(visitor.klucznik, await _one(visitor, webhook_id)), new=False)


@router.post("/{webhook_id}/remove")
async def remove(visitor: Notifying, webhook_id: Id) -> RedirectResponse:
    await webhooks.remove(visitor.klucznik, await _one(visitor, webhook_id))
    return RedirectResponse("/settings/webhooks", status_code=303)


@router.post("/{webhook_id}/replay/{delivery_id}")
async def replay(visitor: Notifying, webhook_id: Id, delivery_id: Id) -> RedirectResponse:
    await webhooks.replay(visitor.klucznik, await _one(visitor, webhook_id), delivery_id)
    return _back(webhook_id, "?replayed=1")


@router.post("/{webhook_id}/replay-since")
async def replay_since(visitor: Notifying, webhook_id: Id, event: Text = "") -> RedirectResponse:
    if not (event.isascii() and event.isdigit() and len(event) < 19):
        raise InputError("form_malformed")
    number = await webhooks.replay_since(visitor.klucznik, await _one(visitor, webhook_id), int(event))
    return _back(webhook_id, f"?replayed={number}")


async def _one(visitor: Visitor, webhook_id: str) -> Webhook:
    return await webhooks.find(visitor.klucznik, webhook_id, nip=visitor.principal.nip)


def _back(webhook_id: str, query: str = "") -> RedirectResponse:
    return RedirectResponse(f"/settings/webhooks/{webhook_id}{query}", status_code=303)


def _opened(request: Request, opened: Opened, *, new: bool) -> HTMLResponse:
    return render(request, "settings/webhook_secret.html", webhook=opened.webhook, secret=str(opened.secret), new=new)


def _form(
    request: Request, values: dict[str, str], chosen: tuple[str, ...], errors: dict[str, str], *, status: int = 200
) -> HTMLResponse:
    kinds = [kind.value for kind in Kind if kind is not Kind.WEBHOOK_TEST]
    return render(
        request,
        "settings/webhook_new.html",
        status=status,
        values=values,
        chosen=chosen,
        errors=errors,
        kinds=kinds,
    )
