"""The page about webhooks: it names every kind of event with its data, and its example verifies what is really sent."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.project import pages

from klucznik.domain import events
from klucznik.domain.events import Kind
from klucznik.domain.webhooks import PAUSES, Secret, signatures

PAGE = pages.page("docs/webhooks.md")
BODY = b'{"type":"webhook.test"}'


@pytest.fixture
def verified() -> Callable[[str, dict[str, str], bytes], bool]:
    example, _ = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
    names: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(example, names)  # noqa: S102
    return names["verified"]


def sent(secret: Secret, at: datetime) -> dict[str, str]:
    signed = signatures([Secret(b"another of them"), secret], "msg_1", at, BODY)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signed}


def test_the_example_verifies_a_delivery_and_nothing_else(
    verified: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    now, secret = datetime.now(UTC), Secret(bytes(range(32)))
    headers = sent(secret, now)
    assert verified(str(secret), headers, BODY)
    assert not verified(str(secret), headers, BODY + b" ")
    assert not verified(str(Secret(bytes(32))), headers, BODY)
    assert not verified(str(secret), {**headers, "webhook-id": "msg_2"}, BODY)
    assert not verified(str(secret), sent(secret, datetime(2026, 1, 1, tzinfo=UTC)), BODY)


def test_every_kind_of_event_is_on_the_page_with_what_it_tells() -> None:
    documented = {pages.codes(row[0])[0]: set(pages.codes(row[2])) for row in pages.rows(PAGE, "type", "when")}
    assert set(documented) == set(Kind)
    for kind, names in events._TOLD.values():
        assert set(names) <= documented[kind], kind


def test_the_pauses_on_the_page_are_those_of_the_program() -> None:
    assert [int(pause.total_seconds()) for pause in PAUSES] == [
        5,
        30,
        *(60 * minutes for minutes in (2, 10, 30)),
        *(3600 * hours for hours in (1, 3, 6, 12, 24)),
    ]
    assert "5 seconds, 30 seconds, 2, 10 and 30 minutes, 1, 3, 6, 12 and then every 24 hours" in PAGE
