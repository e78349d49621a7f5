"""The master key of the vault and where it comes from: a file of its own, or the environment.

What it locks lives in `vault`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from klucznik.errors import InputError, StorageError
from klucznik.keys.safe_files import write_files

_LENGTH = 32
_NONCE = 12


class MasterKey:
    """A 256-bit key that wraps data keys (AES-256-GCM). Nothing prints it, nothing pickles it.

    Attributes:
        id: 16 hexadecimal digits that recognise the key and tell nothing about it.
    """

    __slots__ = ("_cipher", "id")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _LENGTH:
            raise ValueError("a master key has 32 bytes")
        self._cipher = AESGCM(secret)
        self.id = hashlib.sha256(b"klucznik master key id\0" + secret).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<MasterKey {self.id}>"

    def __reduce__(self) -> str:
        raise TypeError("a master key is not pickled")

    def wrap(self, secret: bytes, associated: bytes) -> tuple[bytes, bytes]:
        """A fresh nonce and the ciphertext."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce, self._cipher.encrypt(nonce, secret, associated)

    def unwrap(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes | None:
        """What was wrapped; None when anything about it has changed."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError):
            return None


def master_key_file(path: Path, *, create: bool = True) -> MasterKey:
    """The key in ``path`` (one line, base64 of 32 bytes); a missing file is made, mode 0600, when ``create``.

    Whoever already holds data keys says ``create=False``: a new master key could not open them.

    Raises:
        StorageError: ``vault_key_file_missing``, ``vault_key_file_unreadable``, ``vault_key_file_malformed``,
            ``vault_key_file_open_to_others`` (group or others may read it: ``mode``), or what writing it raises
            (`safe_files.write_files`).
    """
    if create and not os.path.lexists(path):
        _make(path)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            line = file.read(1024)
    except FileNotFoundError:
        raise StorageError("vault_key_file_missing", file=str(path)) from None
    except OSError:
        raise StorageError("vault_key_file_unreadable", file=str(path)) from None
    if mode & 0o077:
        raise StorageError("vault_key_file_open_to_others", file=str(path), mode=f"{mode:04o}")
    secret = _decode(line)
    if secret is None:
        raise StorageError("vault_key_file_malformed", file=str(path))
    return MasterKey(secret)


def master_key_from_environment(value: str) -> MasterKey:
    """The key in the text of ``KLUCZNIK_MASTER_KEY``: base64 of 32 bytes.

    Raises:
        InputError: ``vault_master_key_malformed``.
    """
    secret = _decode(value.encode("utf-8", "replace"))
    if secret is None:
        raise InputError("vault_master_key_malformed")
    return MasterKey(secret)


def _make(path: Path) -> None:
    line = base64.b64encode(secrets.token_bytes(_LENGTH)) + b"\n"
    try:
        write_files({path: line})
    except InputError as error:
        # Another process that starts at the same moment may have made the file first; its key is the key.
        if error.reason != "file_exists":
            raise StorageError(error.reason, **error.data) from None


def _decode(line: bytes) -> bytes | None:
    try:
        secret = base64.b64decode(line.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if len(secret) == _LENGTH else None
