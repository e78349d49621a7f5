"""Backups and the audit log on the command line: what is typed, what is shown; no passphrase shows anywhere."""

import json
import sqlite3
from contextlib import closing

import pytest
from tests.klucznik.cli.lines import at, listed
from tests.klucznik.cli.scenes import NIP, Scene, done, klucznik

PASSPHRASE = "kanarek-kopii-7c41f2"


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", PASSPHRASE)


def test_a_backup_is_written_restored_elsewhere_and_compared_with_ksef(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    file, new = scene.base / "backup", scene.base / "new"
    runs = [
        done("backup", file, "--passphrase-env", "CANARY", *at(scene)),
        done("restore", file, "--passphrase-env", "CANARY", "--home", new, "--json"),
        done("reconcile", "--nip", NIP, "--home", new, "--ksef-url", scene.ksef.base_url, "--json"),
        done("certificates", "--home", new, "--json"),
        done("audit", "verify", "--home", new, "--json"),
    ]
    assert file.is_file()
    assert (runs[1].data["outcome"], runs[1].data["certificates"], runs[1].data["certificates_lost"]) == (
        "restored",
        2,
        0,
    )
    assert runs[2].data["outcome"] == "compared"
    assert len(listed(runs[3].data, "certificates")) == 2
    assert (runs[4].data["outcome"], runs[4].data["broken"]) == ("audit_whole", [])
    said = "\n".join(ran.out + ran.err for ran in runs).encode()
    kept = b"\n".join(path.read_bytes() for path in scene.base.rglob("*") if path.is_file())
    assert PASSPHRASE.encode() not in said + kept


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["backup", "{file}", "--passphrase-env", "CANARY"], "file_exists"),
        (["backup", "{base}/other"], "backup_passphrase_missing"),
        (["backup", "{base}/other", "--passphrase-env", "NOBODY"], "environment_variable_missing"),
        (["backup", "{base}/other", "--passphrase-env", "SHORT"], "backup_passphrase_short"),
        (["restore", "{file}", "--passphrase-env", "CANARY"], "restore_over_state"),
        (["restore", "{file}", "--passphrase-env", "OTHER"], "backup_passphrase_wrong"),
        (["restore", "{base}/absent", "--passphrase-env", "CANARY"], "backup_unreadable"),
        (["audit", "export", "--since", "yesterday"], "moment_malformed"),
        (["audit", "verify", "--heads", "{file}"], "audit_heads_malformed"),
    ],
)
def test_each_mistake_is_one_sentence_and_changes_nothing(
    words: list[str], reason: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT", "short")
    monkeypatch.setenv("OTHER", "another passphrase")
    home, file = scene.furnish(with_pair=True), scene.base / "backup"
    done("backup", file, "--passphrase-env", "CANARY", *at(scene))
    before = json.loads(done("certificates", *at(scene), "--json").out)
    typed = [word.format(file=file, base=scene.base) for word in words]
    ran = klucznik(*typed, "--home", str(home))
    assert (ran.code, ran.out, ran.err.count("✗")) == (2, "", 1), ran
    assert klucznik(*typed, "--json", "--home", str(home)).data["reason"] == reason
    assert json.loads(done("certificates", *at(scene), "--json").out) == before
    assert not (scene.base / "other").exists()


def test_the_audit_log_is_exported_as_lines_and_a_broken_one_has_its_exit_code(scene: Scene) -> None:
    home = scene.furnish(with_pair=True)
    lines = [json.loads(line) for line in done("audit", "export", *at(scene)).out.splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    assert events[0] == "data_key_made"
    assert {"preflight_passed", "request_filed", "certificates_proved"} <= set(events)
    assert {line["head"].partition(":")[0] for line in lines if "head" in line} == {"installation", "sandbox"}
    assert klucznik("audit", "export", "--json", *at(scene)).data["reason"] == "audit_export_needs_out"
    kept = scene.base / "kept"
    done("audit", "export", "--out", kept, *at(scene))
    assert "✓" in done("audit", "verify", "--heads", kept, *at(scene)).out
    with closing(sqlite3.connect(home / "klucznik.db")) as database, database:
        database.execute("DROP TRIGGER audit_log_no_delete")
        database.execute("DELETE FROM audit_log WHERE number = 3")
    ran = klucznik("audit", "verify", *at(scene), "--json")
    assert (ran.code, ran.data["outcome"]) == (1, "audit_broken")
    assert {(one["number"], one["flaw"]) for one in listed(ran.data, "broken")} == {(3, "row_missing")}
