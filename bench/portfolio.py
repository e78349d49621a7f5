"""An office with so many companies, written straight into its database: no KSeF is asked, no key is real.

Methods, health and dates are mixed as in an office of years: most by certificate, many signed for by a few people.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection as Transaction
from sqlalchemy import insert

from klucznik.domain.audit import INSTALLATION, Entry, Event, chain_of
from klucznik.domain.certificates import PAIR, CertificateType, Origin
from klucznik.domain.connections import Connection, Health, Method
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import EnrollmentState, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.storage import connections
from klucznik.storage.schema import certificates, enrollments, issuances, private_keys

_Row: TypeAlias = dict[str, Any]

FIRST_NIP = 1_111_111_111
_AT_ONCE = 500
_TWO_YEARS = timedelta(days=730)
_NAMES = (
    *("Żółw-Bud", "Piekarnia Pod Lipą", "Auto Części Wójcik", "Gabinet Stomatologiczny Uśmiech", "Trans-Pol"),
    *("Kwiaciarnia Róża", "Biuro Projektowe Łukasz Śliwa", "Hurtownia Ćma", "Instalacje Źródło", "Sklep u Ewy"),
)
_FORMS = ("sp. z o.o.", "s.c.", "sp.j.", "", "S.A.")
_SICK = (Health.PERMISSION_LOST, Health.CERTIFICATE_INVALID, Health.BLOCKED, Health.UNCHECKED)


@dataclass(frozen=True)
class _Company:
    connection: Connection
    ends: datetime | None


async def fill(klucznik: Installation, count: int, *, seed: int = 1) -> list[str]:
    """So many connections with their certificates, issuances and lines of the audit log; the NIPs, in order."""
    chance, now = random.Random(seed), klucznik.clock.now()
    companies = list(_companies(klucznik, chance, now, count))
    for first in range(0, count, _AT_ONCE):
        some = companies[first : first + _AT_ONCE]
        await klucznik.database.write(lambda transaction: _write(klucznik, transaction, some, now))  # noqa: B023
    return [one.connection.context.value for one in companies]


def _companies(klucznik: Installation, chance: random.Random, now: datetime, count: int) -> Iterator[_Company]:
    # A person signs for some thirty of every hundred companies.
    people = [
        (_person(number), now + timedelta(days=chance.uniform(-20, 700))) for number in range(max(1, count // 100))
    ]
    for number in range(count):
        nip = str(FIRST_NIP + number)
        method = chance.choices(list(Method), weights=(70, 10, 15, 5))[0]
        subject: Subject | None = Subject(SubjectType.NIP, nip)
        ends: datetime | None = now + timedelta(days=chance.uniform(-20, 700))
        if method is Method.CERTIFICATES and chance.random() < 0.4:
            subject, ends = people[number % len(people)]
        if method is Method.PERMISSION:
            subject, ends = None, None
        sick = chance.random() < 0.04
        health = chance.choice(_SICK) if sick else Health.HEALTHY
        name = f"{chance.choice(_NAMES)} {number} {chance.choice(_FORMS)}".strip()
        yield _Company(
            Connection(
                id=f"{number:032x}",
                environment=klucznik.environment,
                context=Context.of_nip(nip),
                method=method,
                subject=subject,
                health=health,
                health_since=now - timedelta(days=chance.uniform(0, 300)),
                created_at=now - timedelta(days=300),
                name=None if chance.random() < 0.05 else name,
                checked_at=now - timedelta(hours=chance.uniform(0, 24)),
            ),
            ends if method.is_by_certificate else None,
        )


def _person(number: int) -> Subject:
    return Subject(SubjectType.PESEL, f"800101{number:05d}")


def _write(klucznik: Installation, transaction: Transaction, those: list[_Company], now: datetime) -> None:
    pairs = {one.connection.subject: one for one in those if one.ends is not None}
    known = {
        Subject(SubjectType(row.subject_type), row.subject_value)
        for row in transaction.execute(
            certificates.select().where(
                certificates.c.subject_value.in_([one.value for one in pairs if one is not None])
            )
        )
    }
    keys: list[_Row] = []
    held: list[_Row] = []
    for subject, one in pairs.items():
        if subject is not None and subject not in known and one.ends is not None:
            for kind in PAIR:
                key, certificate = _certificate(klucznik, subject, kind, one)
                keys.append(key)
                held.append(certificate)
    if held:
        transaction.execute(insert(private_keys), keys)
        transaction.execute(insert(certificates), held)
    _write_roads(klucznik, transaction, those, now)
    pen = audit.Pen(klucznik.vault, klucznik.owner, klucznik.heads)
    for one in those:
        connections.add(transaction, one.connection, now=now)
        context = one.connection.context.value
        told = [
            Entry(Event.CONNECTION_MADE, {"context": context, "method": one.connection.method.value}),
            Entry(Event.CONNECTION_HEALTH_CHANGED, {"context": context, "from": "unchecked", "to": "healthy"}),
            *(Entry(event, {}, one.connection.id) for event in (Event.PREFLIGHT_PASSED, Event.ISSUANCE_ENDED)),
        ]
        subject = one.connection.subject
        chain = INSTALLATION if subject is None else chain_of(klucznik.environment, subject)
        pen.write(transaction, chain, told, now=now, environment=klucznik.environment)


def _certificate(klucznik: Installation, subject: Subject, kind: CertificateType, one: _Company) -> tuple[_Row, _Row]:
    ends = one.ends or one.connection.created_at
    serial = f"{int(one.connection.id, 16) * 2 + (kind is CertificateType.OFFLINE):016X}"
    whose = {
        "environment": klucznik.environment.value,
        "subject_type": subject.type.value,
        "subject_value": subject.value,
    }
    sealed = {"algorithm": "AES-256-GCM", "data_key_id": klucznik.vault.current_key_id, "nonce": b"n" * 12}
    key = {"id": f"key{serial}", **whose, **sealed, "ciphertext": b"c" * 150, "created_at": one.connection.created_at}
    certificate: _Row = {
        "serial_number": serial,
        **whose,
        "type": kind.value,
        "name": f"Klucznik {kind.value}",
        "common_name": "Przykład",
        "valid_from": ends - _TWO_YEARS,
        "valid_to": ends,
        "der": b"d" * 800,
        "key_id": f"key{serial}",
        "origin": Origin.ISSUED.value,
        "verified_at": ends - _TWO_YEARS,
        "created_at": ends - _TWO_YEARS,
    }
    return key, certificate


def _write_roads(klucznik: Installation, transaction: Transaction, those: list[_Company], now: datetime) -> None:
    """The issuance that each company by certificates began with."""
    begun = [one.connection for one in those if one.connection.subject and one.connection.method.is_by_certificate]
    roads: list[_Row] = [
        {
            "id": one.id,
            "environment": klucznik.environment.value,
            "context_type": one.context.type.value,
            "context_value": one.context.value,
            "subject_type": one.subject.type.value,
            "subject_value": one.subject.value,
            "key_type": KeyType.EC.value,
            "state": IssuanceState.DONE.value,
            "missing": [kind.value for kind in PAIR],
            "created_at": one.created_at,
            "updated_at": now,
            "version": 9,
        }
        for one in begun
        if one.subject is not None
    ]
    lost = {"algorithm": "AES-256-GCM", "data_key_id": klucznik.vault.current_key_id, "nonce": b"n" * 12}
    requests: list[_Row] = []
    keys: list[_Row] = []
    for road in roads:
        for kind in PAIR:
            key = f"road{road['id']}{kind.value}"
            keys.append(
                {
                    "id": key,
                    **{name: road[name] for name in ("environment", "subject_type", "subject_value", "created_at")},
                    **lost,
                    "ciphertext": b"c" * 150,
                }
            )
            requests.append(
                {
                    "id": f"{road['id'][8:]}{kind.value[:8]}",
                    "issuance_id": road["id"],
                    "type": kind.value,
                    "name": f"Klucznik {kind.value} {road['id']}",
                    "key_id": key,
                    "csr": b"r" * 400,
                    "state": EnrollmentState.VERIFIED.value,
                    "updated_at": now,
                    "version": 6,
                }
            )
    if roads:
        transaction.execute(insert(private_keys), keys)
        transaction.execute(insert(issuances), roads)
        transaction.execute(insert(enrollments), requests)
