"""A refusal as it is kept: all of its data, and no words. What is read back is the same as what was saved."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from klucznik.domain.preflight import Refusal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Kept = dict[str, object]


def to_json(refusal: Refusal) -> Kept:
    kept: Kept = _adapter().dump_python(refusal, mode="json")
    return kept


def from_json(kept: Kept) -> Refusal:
    """The refusal again, also one that an earlier release has saved."""
    return _adapter().validate_python(kept)


@cache
def _adapter() -> TypeAdapter[Refusal]:
    from pydantic import TypeAdapter  # only where refusals are kept: the command line starts without it

    return TypeAdapter(Refusal)
