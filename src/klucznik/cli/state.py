"""What the global options say, for every command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from klucznik.domain.environments import Environment
from klucznik.messages import Words


@dataclass(frozen=True)
class Settings:
    """The one settings object of a run.

    Attributes:
        database_url: ``postgresql://…``; None: the file in `home`. Like the next it may hold a secret, so both come
            from the environment alone: others can read the arguments of a process.
        master_key: base64; None: the file in `home`.
        debug: show the traceback of an unexpected error.
    """

    home: Path
    environment: Environment
    ksef_url: str | None
    words: Words
    database_url: str | None = field(repr=False)
    master_key: str | None = field(repr=False)
    debug: bool
