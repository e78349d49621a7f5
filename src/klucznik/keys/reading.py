"""Reading certificate and key files: what they hold, or what they are instead.

Knows formats and nothing of KSeF; whether a credential may be used is judged in `credential` and `import_`.
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from klucznik.errors import CredentialError
from klucznik.keys.derivation import is_too_costly
from klucznik.keys.generate import PrivateKey
from klucznik.keys.recognise import CERTIFICATE_LABELS, KEY_LABELS, looks_like, pem_blocks

MAX_BYTES = 1024 * 1024
MIN_RSA_BITS = 2048
MIN_EC_BITS = 256
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+=*\s*")


@dataclass(frozen=True)
class Upload:
    """A file that a browser has brought. It stays in memory: a key never touches the disk unencrypted.

    Attributes:
        name: as the person's own disk has it, for what errors say.
    """

    name: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name


File: TypeAlias = Path | Upload


def read_file(path: File) -> bytes:
    """The content of a credential file.

    Raises:
        CredentialError: ``file_missing``, ``file_is_directory``, ``file_unreadable``, ``file_empty``,
            ``file_too_big`` (above 1 MiB: ``limit`` in bytes).
    """
    content = start_of_file(path, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CredentialError("file_too_big", file=str(path), limit=MAX_BYTES)
    if not content.strip():
        raise CredentialError("file_empty", file=str(path))
    return content


def start_of_file(path: File, most: int) -> bytes:
    """At most so many bytes of a file.

    Raises:
        CredentialError: ``file_missing``, ``file_is_directory``, ``file_unreadable``.
    """
    if isinstance(path, Upload):
        return path.content[:most]
    try:
        with path.open("rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        reason = "file_missing"
    except IsADirectoryError:
        reason = "file_is_directory"
    except OSError:
        reason = "file_unreadable"
    raise CredentialError(reason, file=str(path))


def certificates_in(content: bytes, file: str) -> list[x509.Certificate]:
    """Every certificate of a PEM, DER or bare base64 file; none where it holds none.

    Raises:
        CredentialError: ``certificate_damaged``.
    """
    blocks = [block for label, block in pem_blocks(content) if label in CERTIFICATE_LABELS]
    if blocks:
        found = [_certificate(block) for block in blocks]
        if None in found:
            raise CredentialError("certificate_damaged", file=file)
    else:
        found = [_certificate(_without_base64(content))]
    return [certificate for certificate in found if certificate is not None]


def holds_key(content: bytes) -> bool:
    """Whether there is a private key in the file, encrypted or not."""
    if any(label in KEY_LABELS for label, _ in pem_blocks(content)):
        return True
    outcome = _load_key(_without_base64(content), None)
    return outcome == "password_needed" or not isinstance(outcome, str)


def key_in(content: bytes, password: bytes | None, file: str) -> PrivateKey:
    """The private key of a PEM, DER or bare base64 file. A password that is not needed is ignored.

    Raises:
        CredentialError: ``several_keys`` (``count``), ``password_needed``, ``password_wrong``,
            ``encryption_unsupported``, ``key_derivation_too_costly``, ``not_a_key`` (``looks_like``), ``key_damaged``,
            and those of `checked_key`.
    """
    blocks = [block for label, block in pem_blocks(content) if label in KEY_LABELS]
    if len(blocks) > 1:
        raise CredentialError("several_keys", file=file, count=len(blocks))
    block = blocks[0] if blocks else _without_base64(content)
    if is_too_costly(_without_armour(block)):
        raise CredentialError("key_derivation_too_costly", file=file)
    outcome = _load_key(block, password)
    if outcome == "not_a_key" and not blocks:
        raise CredentialError("not_a_key", file=file, looks_like=looks_like(content))
    if isinstance(outcome, str):
        raise CredentialError("key_damaged" if outcome == "not_a_key" else outcome, file=file)
    return checked_key(outcome, file)


def checked_key(private_key: PrivateKeyTypes, file: str) -> PrivateKey:
    """The key if KSeF takes signatures of its kind (facts.md §2.4).

    Raises:
        CredentialError: ``key_type_unsupported``; ``key_too_small`` (``kind``, ``bits``, ``minimum``).
    """
    if isinstance(private_key, rsa.RSAPrivateKey):
        kind, bits, minimum = "RSA", private_key.key_size, MIN_RSA_BITS
    elif isinstance(private_key, ec.EllipticCurvePrivateKey):
        kind, bits, minimum = "EC", private_key.curve.key_size, MIN_EC_BITS
    else:
        raise CredentialError("key_type_unsupported", file=file)
    if bits < minimum:
        raise CredentialError("key_too_small", file=file, kind=kind, bits=bits, minimum=minimum)
    return private_key


def _certificate(block: bytes) -> x509.Certificate | None:
    load = x509.load_pem_x509_certificate if block.startswith(b"-----") else x509.load_der_x509_certificate
    try:
        # The library warns of small sins of the issuer (a negative serial number), which are not the user's.
        with warnings.catch_warnings(action="ignore"):
            return load(block)
    except (ValueError, x509.InvalidVersion):
        return None


def _load_key(block: bytes, password: bytes | None) -> PrivateKeyTypes | str:
    """The key, or the reason why there is none: errors of the library never leave this function."""
    load = load_pem_private_key if block.startswith(b"-----") else load_der_private_key
    try:
        return load(block, None)
    except TypeError:
        pass  # it is encrypted
    except UnsupportedAlgorithm:
        return "key_type_unsupported"
    except ValueError:
        return "not_a_key"
    if not password:
        return "password_needed"
    try:
        return load(block, password)
    except (UnsupportedAlgorithm, ValueError, TypeError) as error:
        return _why_locked(error)


def _why_locked(error: Exception) -> str:
    # A wrong password can also show as rubbish in place of a key; only these two speak of the algorithm.
    if isinstance(error, UnsupportedAlgorithm) or str(error).startswith("Unknown key encryption"):
        return "encryption_unsupported"
    return "password_wrong"


def _without_armour(block: bytes) -> bytes:
    """The DER in a block of PEM."""
    if not block.startswith(b"-----"):
        return block
    lines = [line.strip() for line in block.splitlines()[1:-1]]
    try:
        return base64.b64decode(b"".join(line for line in lines if b":" not in line))
    except binascii.Error:
        return b""


def _without_base64(content: bytes) -> bytes:
    """KSeF hands certificates over as bare base64, and people save them just so."""
    if not _BASE64.fullmatch(content):
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return content
