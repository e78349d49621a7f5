"""Documents that wait for a signature."""

from __future__ import annotations

from pathlib import Path

from klucznik.domain.signature_requests import SignatureRequest
from klucznik.views.parts import Json, context, moment


def signature_needed(request: SignatureRequest, file: Path) -> Json:
    """A document was written; its signed form goes to `klucznik sign`."""
    return {
        "outcome": "signature_needed",
        "request": {
            "id": request.id,
            "context": context(request.context),
            "purpose": request.purpose.value,
            "issuance": request.issuance_id,
            "expires_at": moment(request.expires_at),
        },
        "file": str(file),
    }
