"""The one place that prints.

Rules: results go to standard output, everything else (progress, hints, errors) to standard error. With ``--json``
standard output is exactly one JSON object, also for errors. Colour only on a terminal and never as the only sign.
Nothing is printed that was not made for people or machines here: no tracebacks, no object reprs.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from klucznik.errors import KlucznikError
from klucznik.messages import Words
from klucznik.messages.errors import ErrorText, error_text

if TYPE_CHECKING:
    from rich.live import Live

    from klucznik.views.parts import Json


class Output:
    """Prints for one run."""

    def __init__(self, words: Words, *, as_json: bool) -> None:
        self.words = words
        self.as_json = as_json
        self._out = Console(file=sys.stdout, highlight=False, soft_wrap=False)
        self._err = Console(file=sys.stderr, highlight=False)

    def result(self, data: Json, shown: RenderableType) -> None:
        """The outcome: as data or as a picture of it."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
        else:
            self.picture(shown)

    def line(self, text: str) -> None:
        """One line of a result that is itself lines for machines, with or without ``--json``."""
        sys.stdout.write(text + "\n")

    def picture(self, shown: RenderableType) -> None:
        """A part of the outcome that is shown before the rest is known; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(shown, crop=False)  # pictures keep to the width; a command line may be longer

    def live(self) -> Live:
        """A picture that is drawn over and over until it is left; it stays on the screen then."""
        from rich.live import Live

        return Live(console=self._out, auto_refresh=False, transient=False)

    @property
    def person_reads_errors(self) -> bool:
        """Whether standard error is a terminal."""
        return self._err.is_terminal

    @property
    def colours(self) -> bool:
        """Whether standard error takes colours."""
        return self._err.is_terminal and not self._err.no_color

    def note(self, text: str, *, sign: str = "·", style: str = "dim") -> None:
        """One line of progress or a hint."""
        if not self.as_json:
            self._err.print(Text.assemble((f"{sign} ", style), text))

    def done(self, text: str) -> None:
        self.note(text, sign="✓", style="green")

    def problem(self, error: KlucznikError, code: int) -> None:
        self.say_problem(error_text(error, self.words), code, reason=error.reason, data=error.data)

    def say_problem(
        self, text: ErrorText, code: int, *, reason: str, data: dict[str, str | int | None] | None = None
    ) -> None:
        if self.as_json:
            shown: Json = {
                "outcome": "error",
                "exit_code": code,
                "reason": reason,
                "data": dict(data or {}),
                "message": text.what,
                "changed_by": None if text.changed_by is None else text.changed_by.value,
                "who": text.who,
                "what_now": text.now,
            }
            sys.stdout.write(json.dumps(shown, ensure_ascii=False, indent=2) + "\n")
            return
        self._err.print(Text.assemble(("✗ ", "bold red"), text.what))
        if text.who:
            self._err.print(Text.assemble(("• ", "bold"), text.who))
        if text.now:
            self._err.print(Text.assemble(("→ ", "bold"), text.now))
