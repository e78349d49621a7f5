"""Everything that an installation keeps, in one encrypted file, and back again, also on another kind of database.

The vault's data keys are in it under a key of the passphrase, so that it opens on a machine with another master key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from klucznik.domain.audit import INSTALLATION, Entry, Event
from klucznik.domain.sealed import WrappedDataKey
from klucznik.errors import InputError
from klucznik.keys.safe_files import new_file
from klucznik.keys.sealed_stream import OpenedStream, SealingStream
from klucznik.keys.vault import Vault
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.storage import dump, private_keys

MIN_PASSPHRASE = 12


@dataclass(frozen=True)
class Restored:
    """What came out of a backup.

    Attributes:
        lost: certificates that were here, are not in the backup and are gone now.
    """

    made_at: datetime
    certificates: int
    issuances: int
    lost: int


def check_passphrase(passphrase: bytes) -> None:
    """Raises InputError ``backup_passphrase_short``."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise InputError("backup_passphrase_short", minimum=MIN_PASSPHRASE)


async def backup(installation: Installation, target: Path, passphrase: bytes, *, overwrite: bool = False) -> datetime:
    """Write a backup (0600, whole or not at all) while others go on working; the moment that it shows.

    Raises:
        InputError: ``file_exists`` and the like; ``backup_passphrase_short``.
    """
    check_passphrase(passphrase)
    now = installation.clock.now()
    with new_file(target, overwrite=overwrite) as file:
        sealing = SealingStream(file, passphrase)

        def read(connection: Connection) -> None:
            vault = installation.vault.reopened(private_keys.load_data_keys(connection))

            def rewrap(ids: list[str]) -> list[WrappedDataKey]:
                under = {key.data_key_id: key for key in vault.rewrap(sealing.wrapping)}
                return [under[one] for one in ids]

            for line in dump.lines(connection, rewrap, now):
                sealing.write(line.encode() + b"\n")

        # Recorded first: the backup shall tell of itself.
        told = Entry(Event.BACKUP_WRITTEN, {"at": now.isoformat()})
        await installation.database.write(lambda connection: audit.record(installation, connection, None, told))
        await installation.database.read(read)
        sealing.close()
    return now


async def restore(installation: Installation, source: Path, passphrase: bytes, *, force: bool = False) -> Restored:
    """Put a backup in the place of what is here. The installation must be opened anew afterwards.

    Args:
        force: also where something is here already.

    Raises:
        InputError: ``restore_over_state`` (says what would be lost), ``restore_while_working``, and what is wrong with
            the file or its passphrase; nothing has changed then.
    """
    try:
        with source.open("rb") as file:
            opened = OpenedStream(file, passphrase)
            found = await installation.database.read(
                lambda connection: dump.compare(connection, dump.Dump.read(opened.lines()))
            )
    except OSError:
        raise InputError("backup_unreadable", file=str(source)) from None
    lost = found.lost("certificates")
    if not found.empty and not force:
        raise InputError(
            "restore_over_state",
            certificates=found.here["certificates"],
            issuances=found.here["issuances"],
            lost=lost,
            lost_issuances=found.lost("issuances"),
        )
    with source.open("rb") as file:
        opened = OpenedStream(file, passphrase)
        made_at = await installation.database.remake(lambda connection: _replace(installation, connection, opened))
    return Restored(made_at, found.there["certificates"], found.there["issuances"], lost)


def _replace(installation: Installation, connection: Connection, opened: OpenedStream) -> datetime:
    now = installation.clock.now()
    if dump.busy(connection, now):
        raise InputError("restore_while_working")
    read = dump.Dump.read(opened.lines())
    vault = Vault.open(opened.wrapping, read.data_keys)
    dump.replace_everything(connection, read, installation.vault.take_over(vault), now)
    told = Entry(Event.STATE_RESTORED, {"backup_made_at": read.made_at.isoformat()})
    audit.Pen(vault, installation.owner).write(connection, INSTALLATION, [told], now=now)
    return read.made_at
