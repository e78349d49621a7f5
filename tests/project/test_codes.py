"""Every code of KSeF that can reach a user has its words: what happened, who can change it, what to do. Which codes
there are is read from the official specification, not from our own table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import pytest
from tests.official import SPECIFICATION, official_file
from tests.project import pages, source
from tests.project.codes_page import FAMILIES, table
from tests.project.test_catalogue import LANGUAGES, messages

from klucznik.errors import KlucznikError, KsefRefused, KsefUnavailable, RateLimited
from klucznik.ksef.refusals import Complaint, refusal
from klucznik.messages import words_in
from klucznik.messages.codes import CODES, DETAILS, Who, key_of
from klucznik.messages.errors import error_text

# What Klucznik calls, or will call for its user; no invoices and no test data.
_IN_SCOPE = re.compile(
    r"/(?:auth/.+|certificates/.+|limits/.+|rate-limits|security/.+|tokens.*"
    r"|permissions/(?:persons/grants|entities/grants|common/grants/.+|operations/.+|query/.+))"
)
# The operations whose result is a status, and the error that brings it.
_STATUSES = {
    "AuthenticationOperationStatusResponse": "sign_in_refused",
    "AuthenticationListItem": "sign_in_refused",
    "CertificateEnrollmentStatusResponse": "enrollment_rejected",
    "PermissionsOperationStatusResponse": "permission_refused",
}
MOMENT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@lru_cache
def specification() -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    found: dict[str, dict[str, dict[str, dict[str, object]]]] = json.loads(official_file(SPECIFICATION).read_bytes())
    return found


def _tables(text: str) -> Iterator[list[str]]:
    """The cells of the rows of Markdown tables."""
    for line in text.splitlines():
        if line.strip().startswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def answers() -> Iterator[tuple[int, int | None, str]]:
    """HTTP status, KSeF's code where it has one, and the description of every refusal of an operation in scope."""
    for path, operations in specification()["paths"].items():
        if not _IN_SCOPE.fullmatch(path):
            continue
        for operation in operations.values():
            responses = operation["responses"]
            assert isinstance(responses, dict)
            for status, response in responses.items():
                if int(status) == 400:
                    codes = [row for row in _tables(response["description"]) if row[0].isdigit()]
                    yield from ((400, int(code), description) for code, description, *_ in codes)
                elif int(status) > 400:
                    yield int(status), None, ""


def statuses() -> Iterator[KsefRefused]:
    """Every status of an operation that is a refusal, with every detail that the specification names."""
    schemas = specification()["components"]["schemas"]
    for name, reason in _STATUSES.items():
        properties = schemas[name]["properties"]
        assert isinstance(properties, dict)
        rows = [row for row in _tables(properties["status"]["description"]) if row[0].isdigit() and int(row[0]) >= 400]
        assert len(rows) >= 4, name
        for code, text, detail in rows:
            yield KsefRefused(reason, code=int(code), text=text, details=() if detail == "-" else (detail,))


def refusals() -> Iterator[KlucznikError]:
    """One error for everything that the specification says no with."""
    for status, code, text in answers():
        if status == 429:
            yield RateLimited(retry_after=30, until=MOMENT, route="/auth/challenge")
        elif status == 403:
            reasons = specification()["components"]["schemas"]["ForbiddenProblemDetails"]["properties"]
            assert isinstance(reasons, dict)
            known = [row[0] for row in _tables(reasons["reasonCode"]["description"]) if "-" in row[0].strip("-")]
            assert len(known) >= 6
            yield from (refusal(403, Complaint(reason_code=one)) for one in known)
        else:
            yield refusal(status, Complaint(code, text))
    yield from statuses()
    # What comes without being specified (facts.md §1.3): the wrong kind of content, an outage, a 403 of a proxy.
    yield refusal(415, Complaint())
    for status in (403, 500, 502, 503, 504):
        yield KsefUnavailable("ksef_error_answer", route="/auth/challenge", status=status)


def test_every_code_of_the_specification_has_words_of_its_own() -> None:
    found = {key_of(error): error for error in refusals()}
    numbers = {key.rpartition(".")[2] for key in found if key is not None}
    assert numbers >= {"415", "480", "9105", "21301", "25011", "26002", "missing-permissions", "410", "429", "5xx"}
    wordless = [str(error) for key, error in found.items() if key is None or key.endswith(".other")]
    assert not wordless


def test_no_word_is_kept_for_a_code_that_cannot_come() -> None:
    can_come = {key_of(error) for error in refusals()} | {f"{family}.other" for family in FAMILIES}
    # Their numbers come with details only, and the words are there for one that is new.
    can_come |= set(DETAILS)
    assert set(CODES) == can_come


def test_what_the_specification_tells_apart_has_different_words() -> None:
    keys: dict[tuple[str, int | None], set[str | None]] = {}
    details: dict[tuple[str, int | None], set[str]] = {}
    for error in statuses():
        keys.setdefault((error.reason, error.code), set()).add(key_of(error))
        details.setdefault((error.reason, error.code), set()).add(" ".join(error.details))
    assert {one: len(found) for one, found in keys.items()} == {one: len(found) for one, found in details.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_all_three_parts(language: str) -> None:
    found = messages(language)
    wanted = {part for key in CODES for part in (key, f"{key}.now")} | {f"who.{who.value}" for who in Who}
    assert wanted <= set(found)
    for error in refusals():
        text = error_text(error, words_in(language))
        assert all((text.what, text.who, text.now, text.changed_by)), str(error)
        assert "–" not in (text.who or "")


def test_the_catalogue_has_no_code_that_nobody_can_change() -> None:
    # What pages say besides stands in files of its own.
    keys = re.findall(r'(?m)^msgid "([^"]+)"', source.catalogues("pl")[0].read_text(encoding="utf-8"))
    numbered = {key for key in keys if key.split(".")[0] in FAMILIES and not key.endswith(".now")}
    assert numbered - {"ksef.quote"} == set(CODES)


@pytest.mark.parametrize("detail", ["CERTYFIKAT ODWOŁANY", " Certyfikat  odwołany. ", "certyfikat odwołany.."])
def test_a_detail_is_known_however_it_is_written(detail: str) -> None:
    assert key_of(KsefRefused("sign_in_refused", code=460, text="x", details=(detail,))) == "sign_in.460.revoked"


@pytest.mark.parametrize(
    ("detail", "key"),
    [
        ("Token nie może być użyty w kontekście Nip 5265877635", "sign_in.450.token_context"),
        ("Certyfikat w kolorze niebieskim", "sign_in.450"),
        ("", "sign_in.450"),
    ],
)
def test_a_detail_that_is_new_has_the_words_of_its_number(detail: str, key: str) -> None:
    assert key_of(KsefRefused("sign_in_refused", code=450, text="x", details=(detail,))) == key


def test_the_same_number_means_what_its_operation_says() -> None:
    told = [
        (key_of(KsefRefused("permission_refused", code=410, text="x")), "permission_operation.410"),
        (key_of(refusal(410, Complaint())), "http.410"),
        (key_of(KsefRefused("permission_refused", code=450, text="x")), "permission_operation.450"),
        (key_of(KsefRefused("sign_in_refused", code=450, text="x")), "sign_in.450"),
        (key_of(KsefRefused("enrollment_rejected", code=550, text="x")), "enrollment.550"),
        (key_of(KsefRefused("sign_in_refused", code=550, text="x")), "sign_in.550"),
        # A request that was refused at once is told later, without the HTTP status.
        (key_of(KsefRefused("enrollment_rejected", code=25006, text="x")), "ksef.25006"),
        (key_of(KsefRefused("enrollment_rejected", code=29999, text="x")), "enrollment.other"),
        (key_of(refusal(400, Complaint(29999, "x"))), "ksef.other"),
        (key_of(refusal(404, Complaint())), "http.other"),
        (key_of(refusal(403, Complaint(reason_code="as-yet-unknown"))), "forbidden.other"),
    ]
    assert [key for key, _ in told] == [meant for _, meant in told]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_the_table_of_codes(family: str, language: str) -> None:
    wanted = table(family, language)
    assert wanted in pages.page("docs/codes.md"), "docs/codes.md needs this table:\n" + wanted
