"""A refusal is kept whole: what is read from its row is what was shown, with evidence, dates and all."""

import json

from tests.klucznik.domain.situations import situation
from tests.klucznik.domain.test_remedies import TABLE

from klucznik.domain.identifiers import Context
from klucznik.domain.preflight import Refusal, likely_causes, preflight
from klucznik.domain.remedies import plan
from klucznik.storage import refusals


def test_every_refusal_of_the_table_comes_back_as_it_was_kept() -> None:
    for told in TABLE:
        found = situation(told)
        findings = preflight(found.limits, found.needed, reserved=found.reserved)
        refusal = Refusal(
            subject=found.subject,
            context=Context.of_nip("5265877635"),
            limits=found.limits,
            needed=found.needed,
            reasons=findings,
            causes=likely_causes(found.limits, findings),
            remedies=plan(found),
        )
        kept = json.loads(json.dumps(refusals.to_json(refusal)))
        assert refusals.from_json(kept) == refusal, told


def test_what_an_earlier_release_has_kept_is_read_without_what_it_did_not_know() -> None:
    found = situation({"requests": "1/6", "slots": "4/6"})
    findings = preflight(found.limits, 2)
    refusal = Refusal(found.subject, Context.of_nip("5265877635"), found.limits, 2, findings, (), plan(found))
    kept = refusals.to_json(refusal)
    del kept["filed"]
    assert refusals.from_json({**kept, "of_a_later_release": 1}) == refusal
