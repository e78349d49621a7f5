"""A stream under a passphrase: scrypt, then AES-256-GCM in chunks, each bound to its place and to being the last.

So memory stays small, and a stream that was cut, reordered or changed anywhere is known before its end is believed.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from klucznik.errors import InputError
from klucznik.keys.master_key import MasterKey

_FAMILY = b"klucznik backup "
_MAGIC = _FAMILY + b"1\n"
_SALT = _CHECK = 16
_CHUNK = 64 * 1024
_TAG = 16
_LAST = 1 << 31


class _Keys:
    """What a passphrase and a salt give. 128 MiB and about half a second, for whoever guesses too."""

    def __init__(self, passphrase: bytes, salt: bytes) -> None:
        derived = Scrypt(salt, length=80, n=2**17, r=8, p=1).derive(passphrase)
        self.cipher = AESGCM(derived[:32])
        self.wrapping = MasterKey(derived[32:64])
        self.check = derived[64:]


class SealingStream:
    """Writes to a file what only the passphrase opens. `close` makes it whole.

    Attributes:
        wrapping: a key of the same passphrase, for wrapping the vault's data keys.
    """

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        salt = secrets.token_bytes(_SALT)
        keys = _Keys(passphrase, salt)
        self.wrapping = keys.wrapping
        self._file, self._cipher = file, keys.cipher
        self._header = _MAGIC + salt + keys.check
        self._buffer, self._number = bytearray(), 0
        file.write(self._header)

    def write(self, content: bytes) -> None:
        self._buffer += content
        while len(self._buffer) > _CHUNK:
            self._put(bytes(self._buffer[:_CHUNK]), last=False)
            del self._buffer[:_CHUNK]

    def close(self) -> None:
        self._put(bytes(self._buffer), last=True)

    def _put(self, plain: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), plain, self._header)
        self._file.write((len(sealed) | (_LAST if last else 0)).to_bytes(4, "big") + sealed)
        self._number += 1


class OpenedStream:
    """Reads what `SealingStream` wrote.

    Raises:
        InputError: ``backup_not_one``, ``backup_of_newer_release``, ``backup_passphrase_wrong``; and while it is read
            ``backup_damaged``, ``backup_cut_off``.
    """

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        self._file = file
        magic = file.read(len(_MAGIC))
        if not magic.startswith(_FAMILY):
            raise InputError("backup_not_one")
        if magic != _MAGIC:
            raise InputError("backup_of_newer_release")
        salt, check = file.read(_SALT), file.read(_CHECK)
        if len(check) != _CHECK:
            raise InputError("backup_cut_off")
        keys = _Keys(passphrase, salt)
        if not hmac.compare_digest(keys.check, check):
            raise InputError("backup_passphrase_wrong")
        self.wrapping, self._cipher, self._header = keys.wrapping, keys.cipher, magic + salt + check

    def lines(self) -> Iterator[bytes]:
        """Line by line; the last one has come only when the whole stream has been found good."""
        rest = b""
        for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            raise InputError("backup_damaged")

    def _chunks(self) -> Iterator[bytes]:
        number, last = 0, False
        while not last:
            size = self._file.read(4)
            if len(size) != 4:
                raise InputError("backup_cut_off")
            length = int.from_bytes(size, "big")
            last, length = bool(length & _LAST), length & ~_LAST
            if not _TAG <= length <= _CHUNK + _TAG:
                raise InputError("backup_damaged")
            sealed = self._file.read(length)
            if len(sealed) != length:
                raise InputError("backup_cut_off")
            try:
                yield self._cipher.decrypt(_nonce(number, last=last), sealed, self._header)
            except InvalidTag:
                raise InputError("backup_damaged") from None
            number += 1
        if self._file.read(1):
            raise InputError("backup_damaged")


def _nonce(number: int, *, last: bool) -> bytes:
    # The key belongs to this stream alone (fresh salt), so a counter never comes twice.
    return number.to_bytes(11, "big") + bytes([last])
