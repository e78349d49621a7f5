"""From a path to its routes, segment by segment: a request must not cost more because there are many routes.
What a route does is `pipeline.py`; which there are is `app.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Routed(Protocol):
    """What has a method and a path; a segment in braces stands for any text of one segment."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Routed)


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """The routes of a path by method, and what stands at their segments in braces."""

    by_method: Mapping[str, R] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Node(Generic[R]):
    """What may follow the segments so far, and the routes that end here."""

    spelled_out: dict[str, "_Node[R]"] = field(default_factory=dict)
    any_text: "_Node[R] | None" = None
    by_method: dict[str, R] = field(default_factory=dict)
    names: Sequence[str] = ()


class Paths(Generic[R]):
    """Routes by their paths; a segment spelled out goes before one in braces, in whatever order they are given."""

    def __init__(self, routes: Iterable[R]) -> None:
        self._root: _Node[R] = _Node()
        for route in routes:
            node, names = self._root, []
            for segment in route.path.split("/"):
                if segment.startswith("{"):
                    names.append(segment[1:-1])
                    node.any_text = node.any_text or _Node()
                    node = node.any_text
                else:
                    node = node.spelled_out.setdefault(segment, _Node())
            node.by_method[route.method] = route
            node.names = names

    def find(self, path: str) -> Found[R]:
        """What there is at a path; nothing where the path is unknown."""
        return _walk(self._root, path.split("/"), ()) or Found()


def _walk(node: _Node[R], segments: Sequence[str], values: tuple[str, ...]) -> Found[R] | None:
    if not segments:
        return Found(node.by_method, dict(zip(node.names, values, strict=True))) if node.by_method else None
    first, rest = segments[0], segments[1:]
    spelled_out = node.spelled_out.get(first)
    found = _walk(spelled_out, rest, values) if spelled_out else None
    if found is None and node.any_text and first:
        return _walk(node.any_text, rest, (*values, first))
    return found
