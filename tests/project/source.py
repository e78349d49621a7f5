"""Reads the source of klucznik as a tree: which reasons it raises, which words it asks for. No judgement here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "klucznik"

# What carries a reason: the errors of errors.py, and the two values that become errors further out.
_CARRIERS = {"InvalidValue", "Failure"}
# `say("board.title")`, `count("board.companies", n)` in Jinja.
_IN_TEMPLATE = re.compile(r"""\b(?:say|count)\(["']([a-z0-9_.]+)["']\s*[,)]""")
_BEGUN_IN_TEMPLATE = re.compile(r"""\b(?:say|count)\(["']([a-z0-9_.]+\.)["']\s*~""")
_REASON = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


@dataclass(frozen=True)
class Asked:
    """One call that names a key or a reason in its first argument.

    Attributes:
        given: names of the keyword arguments; None where some are passed on (``**data``).
    """

    where: str
    name: str
    given: frozenset[str] | None


def catalogues(language: str) -> list[Path]:
    """The catalogue's files: what every program of ours says, and what pages and e-mails say."""
    directory = PACKAGE / "messages"
    return [directory / f"{language}.po", *sorted((directory / "pages").glob(f"*.{language}.po"))]


@lru_cache
def trees() -> dict[str, ast.Module]:
    return {str(file.relative_to(PACKAGE)): ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


@lru_cache
def error_classes() -> frozenset[str]:
    """`KlucznikError`, all that is derived from it, and what becomes one."""
    found = {"KlucznikError"}
    classes = [node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for _ in range(5):
        found |= {one.name for one in classes if any(isinstance(b, ast.Name) and b.id in found for b in one.bases)}
    return frozenset(found | _CARRIERS)


def texts(node: ast.AST) -> Iterator[str]:
    """The constants an expression may have as its value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _given(node: ast.Call) -> frozenset[str] | None:
    names = [keyword.arg for keyword in node.keywords]
    return None if None in names else frozenset(name for name in names if name is not None)


def reasons() -> Iterator[Asked]:
    """Every reason that is given to an error as a constant, and every other constant that can become one."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and _is_error(node, file):
                # A failure gets the rest of its data when it becomes an error.
                given = None if _called(node) == "Failure" else _given(node)
                for text in texts(node.args[0]):
                    yield Asked(f"{file}:{node.lineno}", text, given)
            elif isinstance(node, ast.FunctionDef) and node.name.rstrip("_").endswith("reason"):
                yield from _indirect(file, node)
            elif (
                isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and "_REASONS" in _names(node)
            ):
                yield from _indirect(file, node.value)


def _names(node: ast.Assign | ast.AnnAssign) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return " ".join(target.id for target in targets if isinstance(target, ast.Name))


def _indirect(file: str, node: ast.AST) -> Iterator[Asked]:
    attributes = {id(part.args[1]) for part in ast.walk(node) if isinstance(part, ast.Call) and len(part.args) > 1}
    for part in ast.walk(node):
        if (
            id(part) not in attributes
            and isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and _REASON.fullmatch(part.value)
        ):
            yield Asked(f"{file}:{part.lineno}", part.value, None)


def _is_error(node: ast.Call, file: str) -> bool:
    if file == "errors.py":
        return ast.unparse(node.func) == "super().__init__"
    return _called(node) in error_classes()


def said() -> Iterator[Asked]:
    """Every key that is asked of the catalogue as a constant."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _asks_the_catalogue(node) and node.args:
                for text in texts(node.args[0]):
                    yield Asked(f"{file}:{node.lineno}", text, _given(node) if _called(node) != "has" else None)


def _begun_in_templates() -> Iterator[str]:
    """What stands before a part that is filled in: `say("health." ~ health)`."""
    for text in _templates():
        yield from _BEGUN_IN_TEMPLATE.findall(text)


def _templates() -> Iterator[str]:
    return (file.read_text() for file in PACKAGE.rglob("*") if "templates" in file.parts and file.is_file())


def said_in_templates() -> frozenset[str]:
    """Every key that a template asks for as a constant."""
    return frozenset(key for text in _templates() for key in _IN_TEMPLATE.findall(text))


def _asks_the_catalogue(node: ast.Call) -> bool:
    asked = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    return _called(node) in ("say", "count", "has") and "words" in asked


def constants() -> frozenset[str]:
    """Every string in the source."""
    return frozenset(
        node.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def patterns() -> frozenset[re.Pattern[str]]:
    """Every f-string that looks like a key, with a group for each part that is filled in."""
    found = set[re.Pattern[str]]()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else "(.+)" for p in node.values]
                shape = "".join(parts)
                if re.fullmatch(r"(?:[a-z_]|\\\.|\(\.\+\))+", shape) and r"\." in shape:
                    found.add(re.compile(shape))
    return frozenset(found) | {re.compile(f"{re.escape(start)}(.+)") for start in _begun_in_templates()}
