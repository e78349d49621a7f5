"""What the global options say, for every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from klucznik.domain.environments import Environment
from klucznik.messages import Words


@dataclass(frozen=True)
class Settings:
    """The one settings object of a run.

    Attributes:
        master_key: base64; None: the file in `home`.
        debug: show the traceback of an unexpected error.
    """

    home: Path
    environment: Environment
    ksef_url: str | None
    words: Words
    master_key: str | None
    debug: bool
