"""What those who run Klucznik look at: the log, the metrics and the small web face that serves them. No rules.

The libraries for it are imported by the modules below alone: only a worker needs them.
"""

from __future__ import annotations

from enum import StrEnum


class LogFormat(StrEnum):
    JSON = "json"  # an object a line, for programs
    TEXT = "text"  # for people


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
