"""A certificate and its key as files for other programs: PEM (``.crt`` and ``.key``) and PKCS#12 (``.p12``).

How the key is protected lives in `protect`, how files reach the disk in `safe_files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from klucznik.errors import InputError
from klucznik.keys.generate import PrivateKey
from klucznik.keys.safe_files import make_directory, write_files

MIN_PASSWORD_LENGTH = 12
# Some invoicing programs refuse a key whose password is shorter or longer than this.
WIDELY_ACCEPTED_LENGTHS = range(15, 33)
_NEVER_IN_A_NAME = frozenset('/\\:*?"<>|')


def check_password(password: bytes, *, minimum: int = MIN_PASSWORD_LENGTH) -> str:
    """The password as text, if it may protect an export.

    Raises:
        InputError: ``export_password_empty``; ``export_password_too_short`` (``length``, ``minimum``);
            ``export_password_not_ascii``: a letter outside ASCII or a control character. Java reads no key under such
            a password, and other programs do not agree on its bytes.
    """
    if not password:
        raise InputError("export_password_empty")
    if not all(0x20 <= byte < 0x7F for byte in password):
        raise InputError("export_password_not_ascii")
    if len(password) < minimum:
        raise InputError("export_password_too_short", length=len(password), minimum=minimum)
    return password.decode("ascii")


def widely_accepted(password: bytes) -> bool:
    """Whether programs that ask for 15 to 32 characters take this password too; worth a hint, never a refusal."""
    return len(password) in WIDELY_ACCEPTED_LENGTHS


def pem_files(
    name: str,
    certificate: x509.Certificate,
    private_key: PrivateKey,
    password: bytes,
    *,
    minimum: int = MIN_PASSWORD_LENGTH,
) -> dict[str, bytes]:
    """``NAME.crt`` (PEM) and ``NAME.key`` (encrypted PKCS#8), file names to contents.

    Raises:
        InputError: ``file_name_unusable`` (``name``), and those of `check_password`.
    """
    check_password(password, minimum=minimum)
    _check_file_name(name)
    from klucznik.keys.protect import encrypted_key_pem

    return {
        f"{name}.crt": certificate.public_bytes(Encoding.PEM),
        f"{name}.key": encrypted_key_pem(private_key, password),
    }


def certificate_file(name: str, certificate: x509.Certificate) -> dict[str, bytes]:
    """``NAME.crt`` (PEM) alone, file name to content; raises InputError ``file_name_unusable``."""
    _check_file_name(name)
    return {f"{name}.crt": certificate.public_bytes(Encoding.PEM)}


def pkcs12_file(
    name: str,
    certificate: x509.Certificate,
    private_key: PrivateKey,
    password: bytes,
    *,
    minimum: int = MIN_PASSWORD_LENGTH,
) -> dict[str, bytes]:
    """``NAME.p12``, file name to content; raises as `pem_files`."""
    text = check_password(password, minimum=minimum)
    _check_file_name(name)
    from klucznik.keys.protect import pkcs12

    return {f"{name}.p12": pkcs12(name, certificate, private_key, text)}


def write_export(directory: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the rendered files of any number of certificates, all or none; the directory is made where missing.

    Raises:
        InputError, StorageError: as `safe_files.write_files`.
    """
    make_directory(directory)
    paths = {directory / name: content for name, content in files.items()}
    write_files(paths, overwrite=overwrite)
    return tuple(paths)


def _check_file_name(name: str) -> None:
    printable = all(ord(character) >= 0x20 for character in name) and not _NEVER_IN_A_NAME.intersection(name)
    if not printable or not name.strip() or name.startswith((".", "-")) or len(name.encode()) > 200:
        raise InputError("file_name_unusable", name=name[:100])
