"""Everything that people type and give wrongly: one exit code, one reason, one sentence in two languages, no trace.

Files are real, KSeF is the sandbox over HTTP; what each wrong file is called is `tests.klucznik.keys.test_wrong_files`.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.klucznik.cli.mistakes import (
    CONNECTIONS,
    CREDENTIALS,
    FILES,
    ISSUANCES,
    NIPS,
    PERMISSIONS,
    SIGNATURES,
    USAGE,
    Given,
    Row,
    signing,
    typed,
)
from tests.klucznik.cli.scenes import (
    NIP,
    PASSWORD,
    Ran,
    Scene,
    done,
    hand_over,
    klucznik,
    klucznik_of_nobody,
    process,
    snapshot,
    web_page,
)
from tests.klucznik.cli.troubles import EXPORTS, HOMES, KSEF, NOBODY, at_url

# Keys of the catalogue, places left empty, words of the parser and of Python: none of them is for people.
_RAW = re.compile(
    r"\b(error|usage|hint|ask|help|network|looks_like|sign_in|forbidden|who|reason)\.[a-z0-9_]+|\{\w*\}|Traceback|Error\b"
)
_ENGLISH = re.compile(r"\b(Usage|Options|Missing|required|default|Invalid|not one of|Try)\b")

ROWS = (
    *USAGE,
    *ISSUANCES,
    *PERMISSIONS,
    *CONNECTIONS,
    *SIGNATURES,
    *NIPS,
    *FILES,
    *CREDENTIALS,
    *KSEF,
    *EXPORTS,
    *HOMES,
)


def arguments_of(scene: Scene, given: Given) -> list[str]:
    words = given(scene)
    if "--home" not in words:
        words += ["--home", str(scene.home)]
    if "--ksef-url" not in words and "--env" not in words:
        words += ["--ksef-url", scene.ksef.base_url]
    return words


def check_sentence(ran: Ran, row: Row, expected: str) -> None:
    """One line that says what is wrong, at most one who can change it and one what to do; hints before them."""
    assert ran.code == row.code, ran
    assert ran.out == ""
    signs = [line[0] for line in ran.err.splitlines() if line.strip()]
    assert signs.count("✗") == 1, ran.err
    assert signs[signs.index("✗") :] in (["✗"], ["✗", "→"], ["✗", "•", "→"]), ran.err
    sentence = ran.err.partition("✗ ")[2].splitlines()[0]
    assert expected in sentence, sentence
    assert re.search(r"[\w”\")]\.( \(KSeF \d+: .+\))?$", sentence), sentence
    assert not _RAW.search(ran.err), ran.err


def check_row(scene: Scene, row: Row, run: Callable[..., Ran] = klucznik) -> None:
    arguments = arguments_of(scene, row.given)
    if run is klucznik_of_nobody:
        hand_over(scene.base)
    scene.ksef.clear_requests()
    before, firm_before = snapshot(scene.base), snapshot(scene.firm.home.parent)

    options = next(place for place, word in enumerate([*arguments[1:], "-"], start=1) if word.startswith("-"))
    as_data = run(*arguments[:options], "--json", *arguments[options:])
    assert (as_data.code, as_data.data["reason"]) == (row.code, row.reason), as_data
    assert set(as_data.data) == {"outcome", "exit_code", "reason", "data", "message", "changed_by", "who", "what_now"}
    assert (as_data.data["outcome"], as_data.data["exit_code"], as_data.err) == ("error", row.code, "")

    polish = run(*arguments)
    check_sentence(polish, row, row.pl)
    assert not _ENGLISH.search(polish.err), polish.err
    check_sentence(run("--lang", "en", *arguments), row, row.en)

    assert snapshot(scene.base) == before
    assert snapshot(scene.firm.home.parent) == firm_before
    assert not scene.ksef.requests(method="POST", path="/certificates/enrollments")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_mistake_is_named_in_two_languages_and_changes_nothing(
    scene: Scene, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in row.variables.items():
        monkeypatch.setenv(name, value)
    check_row(scene, row)


def test_the_table_has_no_two_rows_of_one_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len(ROWS) >= 45


def test_an_unknown_language_is_named_in_polish(scene: Scene) -> None:
    ran = klucznik("certificates", "--lang", "de", "--home", scene.home)
    assert ran.code == 2
    assert "„de”" in ran.err
    assert not scene.home.exists()


def test_a_web_page_is_not_taken_for_ksef(scene: Scene) -> None:
    scene.furnish()
    with web_page() as url:
        check_row(
            scene, Row("a page", at_url(url), "ksef_unreadable_answer", "nie da się odczytać", "cannot be read", code=6)
        )


def issuing(scene: Scene) -> list[str]:
    """The firm's issue, from the scene's home."""
    seal = scene.firm.seal
    return arguments_of(scene, lambda _: signing(f"{seal}.crt", f"{seal}.key"))


@pytest.mark.parametrize("row", NOBODY, ids=lambda row: row.name.replace(" ", "-"))
def test_what_may_not_be_read_or_written_is_named(scene: Scene, row: Row) -> None:
    with TemporaryDirectory() as directory:
        check_row(replace(scene, base=Path(directory)), row, klucznik_of_nobody)


def test_a_full_disk_stops_before_anything_is_filed(scene: Scene) -> None:
    home = scene.furnish()
    before = snapshot(scene.base)
    arguments = issuing(scene)
    for language, expected in (("pl", "Na dysku nie ma miejsca"), ("en", "The disk is full")):
        ran = process(*arguments, "--lang", language, cwd=scene.base, file_size=8192)
        check_sentence(ran, Row("", typed(), "disk_full", "", "", code=1), expected)
    assert process(*arguments, "--json", cwd=scene.base, file_size=8192).data["reason"] == "disk_full"
    assert not scene.ksef.requests()
    done("certificates", "--home", home)  # SQLite tidies up the working files that it could not fill
    assert snapshot(scene.base) == before


def test_a_disk_that_fills_up_on_the_way_costs_nothing(scene: Scene) -> None:
    scene.furnish()
    room = 33_000  # for SQLite's shared memory, and for a page or none of its log
    ran = process(*issuing(scene), "--json", cwd=scene.base, file_size=room)
    assert (ran.code, ran.data["reason"]) == (1, "disk_full")
    assert not scene.ksef.requests(method="POST", path="/certificates/enrollments")

    assert klucznik(*issuing(scene), "--json").data["outcome"] == "issued"
    assert len(scene.ksef.requests(method="POST", path="/certificates/enrollments")) == 2


def test_a_full_disk_leaves_no_half_of_a_file(scene: Scene) -> None:
    arguments = ("test-credential", "--nip", NIP, "--out", scene.base, "--json")
    assert process(*arguments, cwd=scene.base, file_size=200).data["reason"] == "disk_full"
    assert snapshot(scene.base) == {}


def test_the_real_command_ends_with_the_same_code_and_sentence(scene: Scene) -> None:
    """One row of each kind through the installed command, its environment and its file descriptors."""
    chosen = (USAGE[0], NIPS[1], FILES[1], CREDENTIALS[0], KSEF[0], EXPORTS[2], HOMES[1])
    for number, row in enumerate(chosen):
        base = scene.base / str(number)
        base.mkdir()
        arguments = arguments_of(replace(scene, base=base), row.given)
        before = snapshot(base)
        variables = {"KEY_PASSWORD": PASSWORD, **row.variables}
        check_sentence(process(*arguments, cwd=base, variables=variables), row, row.pl)
        ran = process(*arguments, "--json", cwd=base, variables=variables)
        assert (ran.code, ran.data["reason"], ran.err) == (row.code, row.reason, "")
        assert snapshot(base) == before


def test_a_mistyped_nip_is_a_hint_and_no_obstacle(scene: Scene) -> None:
    nip = "5265877636"  # the last digit should be 5
    cert, key = scene.seal(nip=nip)
    arguments = ("limits", "--nip", nip, "--cert", cert, "--key", key, "--home", str(scene.home))
    ran = klucznik(*arguments, "--ksef-url", scene.ksef.base_url)
    assert ran.code == 0
    assert "Cyfra kontrolna" in ran.err
    assert "check digit" in klucznik(*arguments, "--ksef-url", scene.ksef.base_url, "--lang", "en").err
