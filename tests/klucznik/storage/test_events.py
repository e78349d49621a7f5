"""Events as rows: those that are written out in SQL stand beside those of SQLAlchemy, and nothing tells them apart."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection, select

from klucznik.domain.audit import Fact
from klucznik.domain.environments import Environment
from klucznik.domain.events import Happening, Kind
from klucznik.storage import events
from klucznik.storage.database import Database
from klucznik.storage.schema_people import events as rows

_NOW = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
_DATA: dict[str, Fact] = {"said": 'zażółć "gęślą" 100%', "numbers": [1, None], "deep": {"yes": True}}


@pytest.mark.parametrize("at", [_NOW, _NOW.replace(microsecond=7)])
async def test_both_ways_to_add_an_event_keep_the_same(database: Database, at: datetime) -> None:
    happening = Happening(Kind.ISSUANCE_DONE, _DATA, nip="5265877635", once="the same")

    def add(connection: Connection) -> None:
        events.add(connection, Environment.TEST, [happening], actor="user:anna", now=at)
        events.add(connection, Environment.TEST, [happening, happening], actor="user:anna", now=at)
        events.add_once(connection, Environment.TEST, [happening], actor="user:anna", now=at)

    await database.write(add)
    kept = await database.read(lambda connection: connection.execute(select(rows)).mappings().all())
    assert len(kept) == 4
    assert len({one["id"] for one in kept}) == 4
    assert [{**one, "id": ""} for one in kept] == [{**kept[0], "id": ""}] * 4
    assert kept[0]["at"] == at.astimezone(UTC)
    assert kept[0]["data"] == _DATA
    # On the disk too: rows are found by their moment, and SQLite compares its text.
    found = await database.read(lambda connection: connection.execute(select(rows.c.id).where(rows.c.at == at)).all())
    assert len(found) == 4


async def test_a_moment_without_its_time_zone_is_no_moment(database: Database) -> None:
    happening = Happening(Kind.ISSUANCE_DONE)
    with pytest.raises(ValueError, match="time zone"):
        await database.write(
            lambda connection: events.add(
                connection, Environment.TEST, [happening], actor="", now=_NOW.replace(tzinfo=None)
            )
        )
