"""Asks for the path of a file while time runs out: the time left and what has been typed share one line.

A terminal's own line editing cannot be drawn into each second, so the few keys that a path needs are handled here.
"""

from __future__ import annotations

import codecs
import os
import select
import shutil
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ENTER, _END, _BACKSPACE, _CLEAR, _ESCAPE = "\r\n", "\x04", "\x7f\b", "\x15", "\x1b"
_CLEAR_LINE = "\r\x1b[2K"


@dataclass
class Line:
    """What has been typed so far. Keys that mean nothing to a path (arrows, function keys) are dropped."""

    text: str = ""
    _escape: str = field(default="", init=False)

    def type(self, key: str) -> bool:
        """One character; True: the line is done."""
        if self._escape:
            self._escape += key
            begins = len(self._escape) == 2 and key in "[O"
            if not begins and (len(self._escape) == 2 or key.isalpha() or key == "~"):
                self._escape = ""
        elif key == _ESCAPE:
            self._escape = key
        elif key in _ENTER or (key == _END and not self.text):
            return True
        elif key in _BACKSPACE:
            self.text = self.text[:-1]
        elif key == _CLEAR:
            self.text = ""
        elif key.isprintable():
            self.text += key
        return False


def ask_path(question: str, seconds_left: Callable[[], float]) -> str | None:
    """The path that a person types or drops here; empty where they want to go on later; None where time is over."""
    line, decoder = Line(), codecs.getincrementaldecoder("utf-8")("replace")
    keyboard = sys.stdin.fileno()
    with _keys_one_by_one(keyboard):
        while True:
            left = seconds_left()
            _draw(question, left, line.text)
            if left <= 0:
                _end_line()
                return None
            if not select.select([keyboard], [], [], min(1.0, left))[0]:
                continue
            typed = os.read(keyboard, 1)  # no more: what is typed ahead is for the next question
            if not typed or any(line.type(key) for key in decoder.decode(typed)):
                _draw(question, left, line.text)
                _end_line()
                return unquoted(line.text)


def unquoted(path: str) -> str:
    """The path as it is: terminals put quotes or backslashes into one that is dropped on them."""
    path = path.strip()
    if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"":
        return path[1:-1]
    return path.replace("\\ ", " ")


@contextmanager
def _keys_one_by_one(keyboard: int) -> Iterator[None]:
    before = termios.tcgetattr(keyboard)
    now = termios.tcgetattr(keyboard)
    now[3] &= ~(termios.ICANON | termios.ECHO)  # Ctrl-C still interrupts
    termios.tcsetattr(keyboard, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _draw(question: str, left: float, typed: str) -> None:
    minutes, seconds = divmod(max(0, int(left)), 60)
    start = f"{minutes:02d}:{seconds:02d} {question} "
    room = max(10, shutil.get_terminal_size().columns - len(start) - 1)
    shown = typed if len(typed) <= room else f"…{typed[1 - room :]}"
    sys.stderr.write(f"{_CLEAR_LINE}{start}{shown}")
    sys.stderr.flush()


def _end_line() -> None:
    sys.stderr.write("\n")
    sys.stderr.flush()
