"""The pages. Each module has the routes of one area: it parses, calls one service and renders. No rules live here."""

from __future__ import annotations

from fastapi import APIRouter

from klucznik.web import board, company, invitations, invited, language, sign_in

ROUTERS: tuple[APIRouter, ...] = (
    board.router,
    company.router,
    invitations.router,
    invited.router,
    language.router,
    sign_in.router,
)
