"""Builders for tests of the pages: the application beside a sandbox, and browsers of people of every role."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from klucznik.access.settings import WebSettings
from klucznik.domain.accounts import User
from klucznik.domain.roles import Role
from klucznik.keys.passwords import Argon2
from klucznik.server.app import create_app
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.accounts.hashing import Hashing
from klucznik.services.installation import Installation
from klucznik.services.telling.rounds import Outlets
from klucznik.storage import users

PUBLIC_URL = "https://klucznik.test"
SETTINGS = WebSettings(public_url=PUBLIC_URL)


async def some_user(klucznik: Installation, role: Role) -> User:
    user = User(
        id=secrets.token_hex(16),
        email=f"{secrets.token_hex(4)}@biuro.example",
        name="Anna Przykładowa",
        role=role,
        created_at=klucznik.clock.now(),
    )
    await klucznik.database.write(lambda transaction: users.add(transaction, user, now=user.created_at))
    return user


def hashing_quickly(klucznik: Installation) -> Installation:
    """The same installation; a password is hashed in a millisecond where it takes a fifth of a second."""
    return replace(klucznik, hashing=Hashing(Argon2(memory_kib=8, passes=1)))


@asynccontextmanager
async def browser(
    klucznik: Installation, role: Role | None = None, *, outlets: Outlets | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser before the application, signed in as somebody of that role; None: not signed in.

    It has no JavaScript and follows no redirect by itself. `csrf` of a form is in the page; every request may also
    bring it in the header, which this browser does.
    """
    app = create_app(klucznik, SETTINGS, outlets)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        if role is not None:
            user = await some_user(klucznik, role)
            token, session = await open_session(klucznik, user_id=user.id)
            client.cookies.set(SETTINGS.cookie, token, domain="klucznik.test")
            client.headers["X-CSRF-Token"] = session.csrf
        yield client
