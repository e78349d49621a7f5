"""The pages. Each module has the routes of one area: it parses, calls one service and renders. No rules live here."""

from __future__ import annotations

from fastapi import APIRouter

from klucznik.web import (
    account,
    api_keys,
    board,
    bringing,
    calendar,
    company,
    connect,
    downloads,
    imports,
    invitations,
    invited,
    language,
    notifications,
    onboarding,
    operator,
    progress,
    refusal,
    second_step,
    settings,
    sign_in,
    signatures,
    users,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    board.router,
    bringing.router,
    calendar.router,
    company.router,
    connect.router,
    downloads.router,
    imports.router,
    invitations.router,
    invited.router,
    language.router,
    notifications.router,
    onboarding.router,
    operator.router,
    progress.router,
    refusal.router,
    sign_in.router,
    account.router,
    api_keys.router,
    second_step.router,
    settings.router,
    signatures.router,
    users.router,
    webhooks.router,
)
