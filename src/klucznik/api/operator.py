"""The operator: who runs this installation, and whether it can sign in to the companies that have let it in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from klucznik.api.answers import answered, sent
from klucznik.api.asked import See
from klucznik.api.models.operator import OperatorStatus
from klucznik.api.problems import documented
from klucznik.services.operator import operator_status
from klucznik.views.permissions import operator_status as view

router = APIRouter(prefix="/operator", tags=["operator"])


@router.get("", response_model=OperatorStatus, responses=documented(409), summary="Who the operator is")
async def get_operator(caller: See) -> Response:
    """To whom a company grants the permission in KSeF that lets us act for it without certificates of its own."""
    return sent(answered(OperatorStatus, view(await operator_status(caller.klucznik))))
