"""The audit log and backups."""

from __future__ import annotations

import json

from klucznik.domain.audit import OF_THE_MACHINE, Record
from klucznik.messages.catalogue import Words
from klucznik.messages.timeline import timeline_text
from klucznik.services.audit import Verified
from klucznik.services.backup import Restored
from klucznik.services.restored import Compared
from klucznik.services.timeline import By
from klucznik.views.parts import Json, moment, subject


def audit_verified(found: Verified) -> Json:
    return {
        "outcome": "audit_broken" if found.broken else "audit_whole",
        "chains": found.chains,
        "rows": found.rows,
        "compared": found.compared,
        "broken": [{"chain": one.chain, "number": one.number, "flaw": one.flaw.value} for one in found.broken],
    }


def audit_row(row: Record, words: Words, *, whole: bool) -> Json:
    """A row of the log.

    Args:
        whole: with its place, its seals and what it tells of the machine, as `klucznik audit export` writes it.
    """
    kept_back = () if whole else OF_THE_MACHINE.get(row.event, ())
    facts = {name: value for name, value in json.loads(row.facts).items() if name not in kept_back}
    by_process = row.actor.partition(":")[0] not in (By.USER, By.KEY, By.INVITATION)
    return {
        "at": row.at,
        "event": row.event,
        "text": timeline_text(row.event, facts, words),
        "issuance": row.issuance_id,
        "actor": None if by_process and not whole else row.actor,
        "facts": facts,
        "seal": {
            "chain": row.chain,
            "number": row.number,
            "key": row.key_id,
            "previous": row.previous.hex(),
            "mac": row.mac.hex(),
        }
        if whole
        else None,
    }


def restored(done: Restored) -> Json:
    return {
        "outcome": "restored",
        "backup_made_at": moment(done.made_at),
        "certificates": done.certificates,
        "issuances": done.issuances,
        "certificates_lost": done.lost,
    }


def compared(found: Compared) -> Json:
    return {
        "outcome": "compared",
        "subject": subject(found.subject),
        "since": moment(found.since),
        "adopted": list(found.adopted),
        "revoked": list(found.revoked),
        "keys_gone": [
            {"serial": one.serial_number, "name": one.name, "type": one.type.value, "status": one.status.value}
            for one in found.gone
        ],
    }
