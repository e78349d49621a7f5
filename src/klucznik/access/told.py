"""What pages and the API have of telling others: the feed of events, and the way to webhooks."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from klucznik.errors import InputError
from klucznik.services.telling.events import Feed
from klucznik.services.telling.rounds import Outlets


def feed_of(request: Request) -> Feed:
    return cast(Feed, request.app.state.feed)


def sends_mail(request: Request) -> bool:
    """Whether this installation writes letters."""
    return outlets_of(request).mail is not None


def check_sends_mail(request: Request) -> None:
    """Raise InputError ``mail_not_set_up`` where it does not."""
    if not sends_mail(request):
        raise InputError("mail_not_set_up")


def outlets_of(request: Request) -> Outlets:
    return cast(Outlets, request.app.state.outlets)
