"""Which engine carries out orders here. Nothing else knows that there are two."""

from __future__ import annotations

from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard


def engine_for(installation: Installation, *, at_once: int = 16, listener: Listener = unheard) -> Engine:
    """The embedded engine beside a file, the distributed one on a server."""
    if installation.server is None:
        return Engine(installation, at_once, listener)
    # Their libraries cost those with a file nothing.
    from klucznik.services.distributed import DistributedEngine
    from klucznik.storage.queue import Queue

    queue = Queue(installation.database, installation.server, installation.environment)
    return DistributedEngine(installation, at_once, listener, queue=queue)
