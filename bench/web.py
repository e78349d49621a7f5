"""`python -m bench web`: what a page costs beside few connections and beside many, and how many SQL statements.

The application runs in this process, without a network: routing, session, SQL and template are all that is measured.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, mode, quantiles
from tempfile import TemporaryDirectory

from bench.office import Office, Visit, office
from bench.report import Report, Table, ratio

FEW = 100
NOTES = (
    "The application in the same process, asked one request after the other; SQL statements without BEGIN and COMMIT.",
    "CPU: the median of user and system time; the ratio compares them. A page with fewer rows (KiB) costs less.",
    "p50 and p95: wall time beside many.",
    "The wizard's limits are asked of a local KSeF in the same process once in half a minute, not at each visit.",
)


def measure(*, connections: int, visits: int, postgresql: str | None) -> Report:
    """Each page so many times, beside `FEW` connections and beside so many.

    Args:
        postgresql: URL of a database in which two schemas are made and removed again; None: SQLite.
    """
    few, many = (asyncio.run(_measured(count, visits, postgresql)) for count in (FEW, connections))
    rows = []
    for name, those in many.items():
        walls, cpu = [one.seconds * 1000 for one in those], _cpu_ms(those)
        before = _cpu_ms(few[name])
        rows.append(
            (
                name,
                _statements(few[name]),
                _statements(those),
                round(few[name][0].size / 1024, 1),
                round(those[0].size / 1024, 1),
                round(before, 1),
                round(cpu, 1),
                ratio(cpu, before),
                round(median(walls), 1),
                round(quantiles(walls, n=20)[18], 1),
            )
        )
    columns = [f"{what} {count}" for what in ("SQL", "KiB", "CPU ms") for count in (FEW, connections)]
    kept = "SQLite" if postgresql is None else "PostgreSQL"
    return Report(
        title=f"Pages beside {connections} connections, {kept}, {visits} visits",
        tables={"Pages": Table(("page", *columns, "ratio", "p50 ms", "p95 ms"), tuple(rows))},
        notes=NOTES,
    )


async def _measured(count: int, visits: int, postgresql: str | None) -> dict[str, list[Visit]]:
    with TemporaryDirectory() as home, _schema(postgresql) as url:
        async with office(Path(home) / "home", count, database_url=url) as there:
            return {name: await _visits(there, name, visits) for name in there.addresses}


async def _visits(there: Office, name: str, visits: int) -> list[Visit]:
    for _ in range(3):  # whatever is slow once
        await there.visit(name)
    return [await there.visit(name) for _ in range(visits)]


def _cpu_ms(visits: list[Visit]) -> float:
    return median(one.cpu_s * 1000 for one in visits)


def _statements(visits: list[Visit]) -> int:
    return mode(one.statements for one in visits)  # once in a minute one more, for when the session was seen last


@contextmanager
def _schema(url: str | None) -> Iterator[str | None]:
    """A schema of its own on the server, gone afterwards."""
    if url is None:
        yield None
        return
    import psycopg

    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        finally:
            server.execute(f"DROP SCHEMA {name} CASCADE".encode())
