"""Files that a browser brings. What they hold is judged in `keys`; here they only become names and bytes."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import TypedDict

from fastapi import UploadFile

from klucznik.keys.reading import Upload
from klucznik.keys.recognise import is_pkcs12

_LONGEST_NAME = 100


class CertificateFiles(TypedDict, total=False):
    """Arguments of `keys.credential.load_pair`."""

    cert: Upload
    key: Upload
    p12: Upload


async def brought(file: UploadFile | None) -> Upload | None:
    """The file of a field; None where none was chosen. Browsers send an empty field as a file without a name."""
    if file is None or not file.filename:
        return None
    return Upload(_plain(file.filename), await file.read())  # no request is larger than `headers.LARGEST_BODY`


def certificate_files(certificate: Upload | None, key: Upload | None) -> CertificateFiles:
    """Which is which: a PKCS#12 is known by its content, whatever its name ends in."""
    files = CertificateFiles()
    if certificate is not None and key is None and is_pkcs12(certificate.content):
        files["p12"] = certificate
        return files
    if certificate is not None:
        files["cert"] = certificate
    if key is not None:
        files["key"] = key
    return files


def _plain(name: str) -> str:
    """The last part of a name, printable: it is told in errors."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    return "".join(character for character in last if character.isprintable())[:_LONGEST_NAME] or "?"
