"""By which ways this installation tells the world what happens, as the environment says. Read here and nowhere else."""

from __future__ import annotations

import os

from klucznik.services.telling import Outlets


def outlets_from_environment() -> Outlets:
    """For whoever works: a worker, or the web app with one inside."""
    return Outlets(private_webhooks=os.environ.get("KLUCZNIK_WEBHOOK_PRIVATE", "") not in ("", "0"))
