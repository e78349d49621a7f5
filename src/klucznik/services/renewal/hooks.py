"""Programs that bring renewed certificates elsewhere: which there are, whether they can be trusted, and running one.

A hook runs with our rights, so it must be a program that nobody else can change. It gets names and numbers in its
environment, never a key, a password or a setting of ours. What is run when is `services.renewal.deploy`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from klucznik.domain.connections import Connection
from klucznik.domain.identifiers import Context

DIRECTORY = Path("hooks", "deploy.d")
TIME_LIMIT_S = 120.0
# What a program finds of ours beside the names that `services.renewal.deploy` gives it. Everything else stays here.
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
# As much of a program's words as is kept; more is read and dropped, so that no program hangs on a full pipe.
_MOST_OUTPUT = 4096
_GRACE_S = 5.0


class Untrusted(Exception):
    """A program that others might have changed, or that cannot be run; `part` is what is wrong on its path."""

    def __init__(self, part: Path, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part


@dataclass(frozen=True)
class Hook:
    """One program to run.

    Attributes:
        name: how it is known in the database.
        company: for whom it runs; None: it is told of all companies of the subject.
    """

    name: str
    program: Path
    company: Context | None = None


@dataclass(frozen=True)
class Ran:
    """How a program ended.

    Attributes:
        exit_code: None: it was ended at the time limit.
        output: the beginning of what it wrote.
    """

    exit_code: int | None
    output: str


def hooks_for(home: Path, connections: Iterable[Connection]) -> list[Hook]:
    """Programs of the directory by name, then those of the connections."""
    directory = home.absolute() / DIRECTORY
    found: list[Path] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        found = sorted(path for path in directory.iterdir() if _is_hook(path))
    own = [
        Hook(f"connection:{one.context.value}", Path(one.deploy_hook), one.context)
        for one in connections
        if one.deploy_hook
    ]
    return [*(Hook(path.name, path) for path in found), *own]


def _is_hook(path: Path) -> bool:
    """Editors and package managers leave copies beside a program; they are not run."""
    kept_aside = path.name.startswith(".") or path.name.endswith(("~", ".bak", ".dpkg-old", ".dpkg-new", ".dpkg-dist"))
    return path.is_file() and not kept_aside and os.access(path, os.X_OK)


def check(program: Path) -> Path:
    """The program itself, where nobody but us and root can change it or put another in its place.

    Raises:
        Untrusted, FileNotFoundError.
    """
    if not program.is_absolute():
        raise Untrusted(program, "not absolute")
    real = program.resolve(strict=True)
    about = real.stat()
    if not stat.S_ISREG(about.st_mode) or not os.access(real, os.X_OK):
        raise Untrusted(real, "not executable")
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Untrusted(real, "writable by others")
    for part in (real, *real.parents, *program.absolute().parents):
        _check_part(part)
    return real


def _check_part(part: Path) -> None:
    about = part.stat()
    if about.st_uid not in (0, os.geteuid()):
        raise Untrusted(part, "of another user")
    if about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
        raise Untrusted(part, "writable by others")


def environment_for(ours: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """What a hook finds in its environment."""
    return {name: ours[name] for name in _PASSED_ON if name in ours} | dict(told)


async def run(program: Path, environment: Mapping[str, str], directory: Path, *, limit_s: float = TIME_LIMIT_S) -> Ran:
    """Run a program to its end, or to the time limit; whatever it left running in its group is ended too.

    Raises:
        OSError: it cannot be started.
    """
    with _Ear() as ear:
        process = await asyncio.create_subprocess_exec(
            program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=ear.mouth,
            stderr=ear.mouth,
            start_new_session=True,
            cwd=directory,
            env=dict(environment),
        )
        try:
            ended = await _ends_within(process, limit_s)
            if not ended:
                _signal(process, signal.SIGTERM)
                await _ends_within(process, _GRACE_S)
        finally:
            _signal(process, signal.SIGKILL)
            await process.wait()
        return Ran(process.returncode if ended else None, ear.heard())


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Ear:
    """Hears what a program writes for as long as we want to; nothing that it leaves running can make us wait."""

    def __init__(self) -> None:
        self._open, self.mouth = os.pipe()
        self._kept = bytearray()

    def __enter__(self) -> Self:
        os.set_blocking(self._open, False)
        asyncio.get_running_loop().add_reader(self._open, self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._open)
        os.close(self._open)
        os.close(self.mouth)

    def heard(self) -> str:
        self._listen()
        text = self._kept.decode("utf-8", "replace")
        return "".join(letter for letter in text if letter.isprintable() or letter == "\n").strip()

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while piece := os.read(self._open, 65536):
                self._kept += piece[: _MOST_OUTPUT - len(self._kept)]
