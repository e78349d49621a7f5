"""A KSeF on localhost for demos, found by the entry point group ``klucznik.local_ksef``; no line of it is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from klucznik.errors import KlucznikError

Switch = bool | int | str


class LocalKsef(Protocol):
    """What demos need of it."""

    @property
    def base_url(self) -> str: ...
    @property
    def switches(self) -> dict[str, Switch]: ...
    def set(self, **switches: Switch) -> None: ...
    def link_person(self, *, nip: str, pesel: str) -> None: ...
    def set_limits(self, type: str, value: str, *, enrollment: int, certificate: int) -> None: ...
    def requests(self, *, method: str, path: str) -> Sequence[object]: ...
    def close(self) -> None: ...


def start_local_ksef(state: Path | None = None) -> LocalKsef:
    """Started; whoever asks closes it.

    Args:
        state: file to keep everything in; None: it is forgotten at the end.

    Raises:
        KlucznikError: ``local_ksef_missing``.
    """
    found = entry_points(group="klucznik.local_ksef")
    if not found:
        raise KlucznikError("local_ksef_missing")
    start = cast(Callable[..., LocalKsef], next(iter(found)).load())
    return start(state=state)


QUICK: Mapping[str, Switch] = {"auth_delay_ms": 0, "enroll_delay_ms": 0, "perm_delay_ms": 0}
