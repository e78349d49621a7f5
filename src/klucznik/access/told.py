"""What pages and the API have of telling others: the feed of events, and the way to webhooks."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from klucznik.services.events import Feed
from klucznik.services.telling import Outlets


def feed_of(request: Request) -> Feed:
    return cast(Feed, request.app.state.feed)


def outlets_of(request: Request) -> Outlets:
    return cast(Outlets, request.app.state.outlets)
