"""Files that appear whole or not at all, readable by their owner alone.

Everything of `keys` that writes to disk writes here; reading lives in `reading`.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from klucznik.errors import InputError, KlucznikError, StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def write_files(files: Mapping[Path, bytes], *, overwrite: bool = False) -> None:
    """Write all of ``files`` or none, each with mode 0600, each durable on return.

    A reader, a crash or a power cut finds each file whole or absent (with ``overwrite``: whole, old or new).

    Raises:
        InputError: ``file_exists`` (without ``overwrite``), ``directory_missing``, ``directory_not_writable``.
        StorageError: ``disk_full``, ``file_not_written``.
    """
    temporary = {target: target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp") for target in files}
    current = next(iter(files), Path())
    done: list[Path] = []
    saved: dict[Path, Path] = {}
    try:
        for current, content in files.items():
            if not overwrite:
                _check_absent(current)
            _write(temporary[current], content)
        for current in files:
            if overwrite and (old := _set_aside(current)):
                saved[current] = old
            _put(temporary[current], current, overwrite=overwrite)
            done.append(current)
        for directory in {target.parent for target in files}:
            _sync_directory(directory)
    except OSError as error:
        _undo(done, saved)
        raise explain(error, current) from None
    except BaseException:
        _undo(done, saved)
        raise
    finally:
        for leftover in (*temporary.values(), *saved.values()):
            _remove(leftover)


@contextmanager
def new_file(target: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """A file to write piece by piece (0600), which appears whole when the body ends, and not at all where it fails.

    Raises as `write_files`.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        if not overwrite:
            _check_absent(target)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put(temporary, target, overwrite=overwrite)
        _sync_directory(target.parent)
    except OSError as error:
        raise explain(error, target) from None
    finally:
        _remove(temporary)


def make_directory(directory: Path) -> None:
    """Make ``directory`` (mode 0700) and its parents where they are missing; raises as `write_files`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, directory / "-") from None


def explain(error: OSError, target: Path) -> KlucznikError:
    """The error of the tree for a failure to write ``target``."""
    directory = str(target.parent)
    if error.errno == errno.EEXIST and target.parent.is_dir():
        return InputError("file_exists", file=str(target))
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST):
        return InputError("directory_missing", directory=directory)
    if error.errno in _FORBIDDEN:
        return InputError("directory_not_writable", directory=directory)
    if error.errno in _FULL:
        return StorageError("disk_full", directory=directory)
    return StorageError("file_not_written", file=str(target), error=errno.errorcode.get(error.errno or 0))


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _check_absent(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _put(source: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        source.replace(target)
        return
    try:
        os.link(source, target)  # unlike a rename, it fails where the target has appeared meanwhile
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # USB sticks (FAT) have no hard links; people do export to them.
        _check_absent(target)
        source.rename(target)


def _set_aside(target: Path) -> Path | None:
    """A copy of the file about to be replaced, for the case that a later one of the set fails."""
    if not target.is_file():
        return None
    old = target.with_name(f".{target.name}.{secrets.token_hex(6)}.old")
    _write(old, target.read_bytes())
    return old


def _undo(done: list[Path], saved: dict[Path, Path]) -> None:
    for target in done:
        with suppress(OSError):
            if target in saved:
                # Taken off the list first: a copy that cannot be put back is the last one and stays.
                saved.pop(target).replace(target)
            else:
                target.unlink()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
