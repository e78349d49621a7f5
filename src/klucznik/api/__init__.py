"""The REST API. Each module has the routes of one area: it parses, calls one service, answers. No rules live here."""

from __future__ import annotations

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
