"""Webhooks: made, looked at, switched off and on, given a new secret, tried out, replayed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from klucznik.access.gate import Caller
from klucznik.access.told import outlets_of
from klucznik.api.answers import LOCATED, IdempotencyKey, answered, located, once, sent
from klucznik.api.asked import Id, Notify, company
from klucznik.api.models.webhooks import (
    DeliveryPage,
    NewWebhook,
    OpenedWebhook,
    Replay,
    Replayed,
    Webhook,
    WebhookChange,
    WebhookList,
)
from klucznik.api.paging import Cursor, cursor_of, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain import webhooks as domain
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.services.telling import webhooks as service
from klucznik.views import webhooks as views

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

DeliveryId = Annotated[str, Path(pattern=r"^msg_[0-9a-f]{28}$", examples=["msg_0b4c1d2e3f405162738495a6b7c8"])]


@router.get("", response_model=WebhookList, summary="List webhooks")
async def list_webhooks(caller: Notify) -> Response:
    """All webhooks, the oldest first; there are 50 at most."""
    found = await service.listed(caller.klucznik, nip=caller.principal.nip)
    return sent(answered(WebhookList, {"items": [views.webhook(one) for one in found]}))


@router.post(
    "",
    response_model=OpenedWebhook,
    status_code=201,
    responses={201: LOCATED, **documented(404, 409)},
    summary="Make a webhook",
)
async def make_webhook(request: Request, caller: Notify, body: NewWebhook, key: IdempotencyKey) -> Response:
    """It is told of everything from now on. The secret is in this answer and in no other."""
    nip = body.nip or caller.principal.nip
    if nip is not None:
        company(caller, nip)

    async def work(claim: Claim) -> Answer:
        if claim.made is not None:  # its secret was told to nobody
            there = await _one(caller, claim.made)
            made = await service.rotate(caller.klucznik, there)
            return _opened(request, made)
        async with outlets_of(request).post() as post:
            made = await service.make(
                caller.klucznik,
                post,
                body.url,
                kinds=[one.value for one in body.types],
                nip=nip,
                created_by=caller.principal.id,
                note=claim.record,
            )
        return _opened(request, made)

    return await once(request, caller, key, body, work)


@router.get("/{webhook_id}", response_model=Webhook, responses=documented(404), summary="Look at a webhook")
async def get_webhook(caller: Notify, webhook_id: Id) -> Response:
    """Whether it is on, and since when it fails. Its secret is shown nowhere any more."""
    return _shown(await _one(caller, webhook_id))


@router.patch(
    "/{webhook_id}", response_model=Webhook, responses=documented(404, 409), summary="Switch a webhook off or on"
)
async def change_webhook(caller: Notify, webhook_id: Id, change: WebhookChange) -> Response:
    """Off: what waits is dropped. On: it is told of what happens from then on; the rest can be replayed."""
    there = await _one(caller, webhook_id)
    act = service.disable if change.disabled else service.enable
    return _shown(await act(caller.klucznik, there))


@router.delete("/{webhook_id}", status_code=204, responses=documented(404), summary="Remove a webhook")
async def remove_webhook(caller: Notify, webhook_id: Id) -> Response:
    """Forgets it with its secret and its deliveries."""
    await service.remove(caller.klucznik, await _one(caller, webhook_id))
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/secret",
    response_model=OpenedWebhook,
    responses=documented(404, 409),
    summary="Give a webhook a new secret",
)
async def rotate_secret(caller: Notify, webhook_id: Id) -> Response:
    """For a day deliveries are signed with the one before as well. Repeated, it gives yet another one."""
    opened = await service.rotate(caller.klucznik, await _one(caller, webhook_id))
    return sent(answered(OpenedWebhook, views.opened(opened)))


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    response_class=Response,
    responses={202: LOCATED, **documented(404, 409)},
    summary="Send a webhook a test event",
)
async def test_webhook(request: Request, caller: Notify, webhook_id: Id) -> Response:
    """Sends `webhook.test`, to this webhook alone. What came of it is among its deliveries."""
    await service.ping(caller.klucznik, await _one(caller, webhook_id))
    return Response(status_code=202, headers=located(request, f"/webhooks/{webhook_id}/deliveries"))


@router.get(
    "/{webhook_id}/deliveries", response_model=DeliveryPage, responses=documented(404), summary="List deliveries"
)
async def list_deliveries(request: Request, caller: Notify, webhook_id: Id, after: Cursor = None) -> Response:
    """What was sent, what waits and what came of it, the newest first, a page at a time."""
    there = await _one(caller, webhook_id)
    before = None if after is None else key_in(after, 1)[0]
    found = await service.deliveries(caller.klucznik, there, before=before)
    further = cursor_of(found[-1].delivery.id) if len(found) == service.PAGE else None
    items = [views.sent(one) for one in found]
    return sent(answered(DeliveryPage, page_of(items, further), headers=link(request, further)))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    responses={202: LOCATED, **documented(404, 409)},
    summary="Send a delivery once more",
)
async def replay_delivery(request: Request, caller: Notify, webhook_id: Id, delivery_id: DeliveryId) -> Response:
    """With the `webhook-id` it has: a receiver that has it already may drop it."""
    await service.replay(caller.klucznik, await _one(caller, webhook_id), delivery_id)
    return Response(status_code=202, headers=located(request, f"/webhooks/{webhook_id}/deliveries"))


@router.post(
    "/{webhook_id}/replay",
    response_model=Replayed,
    responses=documented(404, 409),
    summary="Send everything since an event once more",
)
async def replay_since(caller: Notify, webhook_id: Id, body: Replay) -> Response:
    """Every event from that one on that the webhook is meant to know, delivered or not, with the ids they have."""
    number = await service.replay_since(caller.klucznik, await _one(caller, webhook_id), int(body.since))
    return sent(answered(Replayed, {"events": number}))


async def _one(caller: Caller, webhook_id: str) -> domain.Webhook:
    return await service.find(caller.klucznik, webhook_id, nip=caller.principal.nip)


def _opened(request: Request, made: service.Opened) -> Answer:
    where = located(request, f"/webhooks/{made.webhook.id}")
    return answered(OpenedWebhook, views.opened(made), status=201, headers=where)


def _shown(value: domain.Webhook) -> Response:
    return sent(answered(Webhook, views.webhook(value)))
