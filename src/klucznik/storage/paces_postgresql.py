"""Where the workers of an installation on PostgreSQL share their counts of calls to KSeF: an unlogged table.

The rules are those of `domain.pacing`, here in SQL, so that a call costs one round trip and locks one row for no longer
than the server needs. An unlogged table waits for no disk; after a crash of the server it is empty, which costs nothing
but politeness.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import psycopg
from psycopg import AsyncConnection

from klucznik.domain.pacing import (
    CLOCK_DOUBT,
    LONGEST_LINE,
    LONGEST_LINE_AFTER_BLOCK,
    OTHER,
    PER_ADDRESS,
    PROBE,
    Booked,
    Counter,
    Later,
    Paces,
    Quota,
    forgotten_before,
)

_Connection: TypeAlias = AsyncConnection[tuple[int, bool]]

ANSWER_S = 1.0  # a slower server is done without
CONNECT_S = 2  # so is one that is slower to connect to
LOOKED_OVER = 8  # rows that a new one has looked over for some to be forgotten

_log = logging.getLogger("klucznik.storage")

# Not one of the tables that migrations look after: it holds nothing that would be missed.
_TABLE = """
CREATE UNLOGGED TABLE IF NOT EXISTS paces (
    key bigint PRIMARY KEY,
    taken bigint[] NOT NULL,
    turn bigint NOT NULL,
    blocked_until bigint NOT NULL,
    touched bigint NOT NULL,
    answer bigint NOT NULL
) WITH (fillfactor = 50)
"""


# `domain.pacing.believed`.
_BELIEVED = (
    f"pace.touched <= %(now)s + {CLOCK_DOUBT} "
    f"AND greatest(pace.touched, pace.turn, pace.blocked_until) >= %(now)s + {forgotten_before(0)}"
)


def _booking(quota: Quota) -> str:
    """`domain.pacing.book`. The answer is the moment of the call or, negative, the moment to come back.

    The numbers of the quota are part of the statement: adapting them at each call would cost more than the rest.
    """
    spacing = f"{quota.windows[0].spacing}::bigint"
    windows = ", ".join(
        f"({number}, {window.calls}, {window.until_free}::bigint, {window.spacing}::bigint)"
        for number, window in enumerate(quota.windows)
    )
    return f"""
INSERT INTO paces AS pace (key, taken, turn, blocked_until, touched, answer)
VALUES (%(key)s, ARRAY[%(now)s]::bigint[], 0, 0, %(now)s, %(now)s)
ON CONFLICT (key) DO UPDATE SET (taken, turn, blocked_until, touched, answer) = (
    WITH known AS (
        SELECT pace.taken, cardinality(pace.taken) AS calls, pace.turn, pace.blocked_until
        WHERE {_BELIEVED}
        UNION ALL
        SELECT '{{}}', 0, 0, 0
        WHERE NOT ({_BELIEVED})
    ),
    kept AS (
        SELECT at, spacing
        FROM (
            SELECT %(now)s::bigint AS at, {spacing} AS spacing, 0 AS place
            UNION ALL
            SELECT taken[calls], {spacing}, 1 FROM known WHERE calls > 0
            UNION ALL
            SELECT taken[calls - allowed + 1] + until_free, even, 2 + number
            FROM known, (VALUES {windows}) AS windows (number, allowed, until_free, even)
            WHERE calls >= allowed
        ) AS bounds
        ORDER BY at DESC, place
        LIMIT 1
    ),
    free AS (
        SELECT
            CASE WHEN at < blocked_until THEN blocked_until
                WHEN at < probed THEN probed
                ELSE at END AS at,
            CASE WHEN at < greatest(blocked_until, probed) THEN {spacing} ELSE spacing END AS spacing
        FROM kept, (
            SELECT blocked_until, CASE
                WHEN blocked_until > 0 AND calls > 0 AND taken[calls] >= blocked_until
                    AND (calls < 2 OR taken[calls - 1] < blocked_until)
                THEN taken[calls] + {PROBE} ELSE 0 END AS probed
            FROM known
        ) AS block
    ),
    told AS (
        SELECT CASE WHEN turn + spacing BETWEEN at AND at + {LONGEST_LINE} THEN turn + spacing ELSE at END AS turn
        FROM known, free
    )
    SELECT
        CASE WHEN at <= %(now)s + %(patience)s
            THEN (known.taken || at)[greatest(1, calls + 2 - {quota.remembered}):] ELSE known.taken END,
        CASE WHEN at <= %(now)s + %(patience)s THEN known.turn ELSE told.turn END,
        known.blocked_until,
        %(now)s,
        CASE WHEN at <= %(now)s + %(patience)s THEN at ELSE -told.turn END
    FROM known, free, told
)
RETURNING answer, xmax = 0
"""  # noqa: S608 - constants of ours


_BOOK = {quota: _booking(quota) for quota in (OTHER, PER_ADDRESS)}

# `domain.pacing.block`.
_BLOCK = f"""
INSERT INTO paces AS pace (key, taken, turn, blocked_until, touched, answer)
VALUES (%(key)s, '{{}}', %(until)s, %(until)s, %(now)s, -%(until)s)
ON CONFLICT (key) DO UPDATE SET (taken, turn, blocked_until, touched, answer) = (
    WITH known AS (
        SELECT
            pace.taken,
            pace.turn + %(spacing)s AS following,
            greatest(pace.blocked_until, %(until)s) AS blocked_until
        WHERE {_BELIEVED}
        UNION ALL
        SELECT '{{}}', 0, %(until)s
        WHERE NOT ({_BELIEVED})
    ),
    told AS (
        SELECT CASE WHEN following BETWEEN blocked_until AND blocked_until + {LONGEST_LINE_AFTER_BLOCK}
            THEN following ELSE blocked_until END AS turn
        FROM known
    )
    SELECT known.taken, told.turn, known.blocked_until, %(now)s, -told.turn FROM known, told
)
RETURNING answer, xmax = 0
"""  # noqa: S608 - constants of ours

_BLOCKED_UNTIL = f"SELECT blocked_until, false FROM paces AS pace WHERE key = %(key)s AND {_BELIEVED}"  # noqa: S608
# The keys are random numbers: a few neighbours of a new one are a fair sample of all.
_FORGET = f"""
DELETE FROM paces WHERE key IN (
    SELECT key FROM (
        SELECT key, greatest(touched, turn, blocked_until) AS mattered
        FROM paces WHERE key > %(key)s ORDER BY key LIMIT {LOOKED_OVER} FOR UPDATE SKIP LOCKED
    ) AS neighbours
    WHERE mattered < %(forgotten)s
)
"""  # noqa: S608 - constants of ours
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('klucznik paces'))"


class PostgresqlPacer:
    """Counts in a table that several workers share. It never fails: without the server it counts for itself alone.

    Args:
        url: ``postgresql://…``; one connection, opened at the first call to KSeF.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: _Connection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._alone = Paces()

    def __repr__(self) -> str:
        return "<PostgresqlPacer>"  # the URL may hold a password

    async def book(self, counter: Counter, now: int, patience: int) -> Booked | Later:
        statement = _BOOK[counter.quota]
        answer = await self._tried(lambda connection: _change(connection, statement, counter, now, patience=patience))
        if answer is None:
            return self._alone.book(counter, now, patience)
        return Booked(answer) if answer > 0 else Later(-answer)

    async def block(self, counter: Counter, now: int, until: int) -> Later:
        spacing = counter.quota.windows[0].spacing
        answer = await self._tried(
            lambda connection: _change(connection, _BLOCK, counter, now, until=until, spacing=spacing)
        )
        return self._alone.block(counter, now, until) if answer is None else Later(-answer)

    async def blocked_until(self, counter: Counter, now: int) -> int:
        async def read(connection: _Connection) -> int:
            cursor = await connection.execute(_BLOCKED_UNTIL, {"key": counter.key, "now": now})
            row = await cursor.fetchone()
            return row[0] if row else 0

        answer = await self._tried(read)
        return self._alone.blocked_until(counter, now) if answer is None else answer

    async def aclose(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def _tried(self, work: Callable[[_Connection], Awaitable[int]]) -> int | None:
        """What `work` answers; None where the server cannot be asked, now."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ANSWER_S if self._open else CONNECT_S):
                    return await work(await self._connection())
            except (psycopg.Error, TimeoutError) as error:
                # libpq's own text may quote the address.
                _log.warning("the shared counts of calls cannot be used (%s)", type(error).__name__)
                await self.aclose()
                return None
            except BaseException:
                # Whoever was stopped in the middle leaves a connection that nobody knows the state of.
                await self.aclose()
                raise

    async def _connection(self) -> _Connection:
        if self._open is None or self._open.closed:
            connection: _Connection = await AsyncConnection.connect(
                self._url, autocommit=True, application_name="klucznik", connect_timeout=CONNECT_S
            )
            self._open = connection
            async with connection.transaction():
                await connection.execute(_ALONE)  # two that make the same table at once would both be turned away
                await connection.execute(_TABLE)
        return self._open


async def _change(connection: _Connection, statement: str, counter: Counter, now: int, **values: int) -> int:
    cursor = await connection.execute(statement, {"key": counter.key, "now": now, **values})
    ((answer, new),) = await cursor.fetchall()  # both statements answer with the row that they wrote
    if new:
        await connection.execute(_FORGET, {"key": counter.key, "forgotten": forgotten_before(now)})
    return answer
