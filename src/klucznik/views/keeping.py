"""The audit log and backups."""

from __future__ import annotations

from klucznik.services.audit import Verified
from klucznik.services.backup import Restored
from klucznik.services.restored import Compared
from klucznik.views.parts import Json, moment, subject


def audit_verified(found: Verified) -> Json:
    return {
        "outcome": "audit_broken" if found.broken else "audit_whole",
        "chains": found.chains,
        "rows": found.rows,
        "compared": found.compared,
        "broken": [{"chain": one.chain, "number": one.number, "flaw": one.flaw.value} for one in found.broken],
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
