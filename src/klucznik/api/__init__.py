"""The REST API under `/api/v1`. Each module has the routes of one area: it parses, calls one service, answers.

What every route keeps to (docs/api.md tells the same to those who use it):

- It names the scope that it needs by one of `asked` (`See`, `Issue` …), which is also who asks. A test holds every
  route to that.
- A company that a request names goes through `asked.company`: to a key that is bound to another one it is not there.
  Lists are asked of the database for what the key may see; nothing is sifted here.
- It says by `responses=documented(404, 409)` with which problems its own work may end; those of every route are added.
- What it is asked and answers has a model in `models`, with examples; `answers.answered` holds the answer to it.
- Lists are pages by key: `items`, `next`, and a `Link` header (`paging`).
- A POST that makes something demands an `Idempotency-Key` and does its work in `answers.once`.
- Errors are raised as everywhere and become problems in one place (`problems`).
"""

from __future__ import annotations

from fastapi import APIRouter

from klucznik.api import (
    audit,
    certificates,
    connections,
    events,
    imports,
    invitations,
    issuances,
    onboardings,
    operator,
    renewals,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    connections.router,
    certificates.router,
    issuances.router,
    renewals.router,
    onboardings.router,
    operator.router,
    invitations.router,
    imports.router,
    events.router,
    webhooks.router,
    audit.router,
)
