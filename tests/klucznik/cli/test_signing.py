"""`--external` and `sign`: a document goes out and comes back signed, in one run at a terminal or in two."""

import io
import os
import pty
import re
import select
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.klucznik.cli.lines import at
from tests.klucznik.cli.scenes import COMMAND, NIP, Scene, clean, done, klucznik
from tests.klucznik.signers import by_dss
from tests.sandbox.signing import TestCredential, sign

from klucznik.cli.path_prompt import Line, ask_path, unquoted

HANDED_IN = "/auth/xades-signature"


def seal_of(scene: Scene) -> TestCredential:
    certificate, key = (Path(file).read_bytes() for file in scene.seal(nip=NIP))
    private_key = load_pem_private_key(key, None)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)
    return TestCredential(x509.load_pem_x509_certificate(certificate), private_key)


def asked(scene: Scene, *more: str) -> Path:
    """A document that waits for a signature."""
    scene.furnish()
    said = done("issue", "--nip", NIP, "--external", "--json", *more, *at(scene)).data
    assert said["outcome"] == "signature_needed"
    return scene.base / str(said["file"])


def signed(scene: Scene, document: Path) -> Path:
    result = document.with_suffix(".signed.xml")
    result.write_bytes(by_dss(document.read_bytes(), seal_of(scene)))
    return result


def sent(scene: Scene) -> int:
    return len(scene.ksef.requests(method="POST", path=HANDED_IN))


def test_no_signed_document_is_kept(scene: Scene) -> None:
    file = signed(scene, asked(scene))
    value = re.findall(rb"<ds:SignatureValue[^>]*>([^<]+)<", file.read_bytes())[0]
    ran = done("sign", file, *at(scene))
    left = b"".join(path.read_bytes() for path in scene.home.rglob("*") if path.is_file())
    assert value not in left + (ran.out + ran.err).encode()


@pytest.mark.parametrize("language", ["pl", "en"])
def test_one_run_gives_the_document_and_says_what_to_do(scene: Scene, language: str) -> None:
    scene.furnish()
    ran = done("issue", "--nip", NIP, "--external", "--out", "wniosek.xml", "--lang", language, *at(scene))
    assert b"<Nip>5265877635</Nip>" in (scene.base / "wniosek.xml").read_bytes()
    for words in ("wniosek.xml", "XAdES", "PAdES", ".p7s", "gov.pl", "klucznik sign"):
        assert words in ran.said
    assert ("należeć do tego, kto podpisze" if language == "pl" else "belong to whoever signs") in ran.said
    assert sent(scene) == 0


def test_another_run_takes_the_signed_file_and_issues(scene: Scene) -> None:
    file = signed(scene, asked(scene, "--another-pair"))
    ran = klucznik("sign", file, *at(scene))
    assert ran.code == 0, ran
    assert "Podpis: NIP 5265877635" in ran.said
    before = sent(scene)
    again = klucznik("sign", file, "--json", *at(scene))
    assert (again.code, again.data["reason"]) == (2, "signature_request_used")
    assert sent(scene) == before


def test_a_mistake_is_told_and_the_right_file_still_taken(scene: Scene) -> None:
    document = asked(scene)
    wrong = document.with_name("wrong.xml")
    wrong.write_bytes(sign(document.read_bytes(), seal_of(scene), der_value=True))
    ran = klucznik("sign", wrong, "--json", *at(scene))
    assert (ran.code, ran.data["reason"], sent(scene)) == (2, "signed_value_der", 0)
    done("sign", signed(scene, document), *at(scene))


def test_when_time_has_run_out_a_fresh_document_is_written_at_once(scene: Scene) -> None:
    file = signed(scene, asked(scene))
    with closing(sqlite3.connect(scene.home / "klucznik.db")) as database:
        database.execute("UPDATE signature_requests SET expires_at = '2026-01-01 00:00:00.000000'")
        database.commit()
    ran = klucznik("sign", file, "--json", *at(scene))
    assert (ran.code, ran.data["outcome"]) == (5, "signature_needed")
    assert sent(scene) == 0
    done("sign", signed(scene, Path(str(ran.data["file"]))), *at(scene))


def test_what_ksef_no_longer_knows_gets_a_fresh_document_too(scene: Scene) -> None:
    """Another clock than ours decides when a challenge ends."""
    document = asked(scene)
    content = document.read_bytes()
    challenge = re.findall(rb"<Challenge>(.+)</Challenge>", content)[0].decode()
    other = challenge[:-2] + ("00" if challenge[-2:] != "00" else "11")
    with closing(sqlite3.connect(scene.home / "klucznik.db")) as database:
        changed = (other, content.replace(challenge.encode(), other.encode()))
        database.execute("UPDATE signature_requests SET challenge = ?, document = ?", changed)
        database.commit()
    document.write_bytes(changed[1])
    ran = klucznik("sign", signed(scene, document), *at(scene))
    assert ran.code == 5
    assert "21111" in ran.said
    assert "nowy dokument" in ran.said


def test_an_issuance_that_has_ended_or_is_unknown_needs_no_signature(scene: Scene) -> None:
    scene.furnish()
    ran = klucznik("resume", "abcdef123456", "--external", "--json", *at(scene))
    assert ran.data["reason"] == "issuance_unknown"
    assert list(scene.base.glob("*.xml")) == []


# ── at a terminal ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Terminal:
    """A run of the command with a person at it."""

    process: subprocess.Popen[bytes]
    screen: int
    received: bytes = b""
    read: int = 0  # characters of what is shown that somebody has waited for

    @property
    def shown(self) -> str:
        return self.received.decode(errors="ignore")

    def until(self, words: str) -> str:
        """What is shown until these words come, since the words before; whatever came along with those counts."""
        began = self.read
        while (found := self.shown.find(words, began)) < 0:
            assert select.select([self.screen], [], [], 60)[0], self.shown
            try:
                piece = os.read(self.screen, 65536)
            except OSError:
                piece = b""
            assert piece, self.shown
            self.received += piece
        self.read = found + len(words)
        return self.shown[began : self.read]

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())


@contextmanager
def terminal(scene: Scene, *arguments: str) -> Iterator[Terminal]:
    person, program = pty.openpty()
    variables = {**clean(os.environ), "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [COMMAND, *arguments], cwd=scene.base, env=variables, stdin=program, stdout=program, stderr=program
    ) as process:
        os.close(program)
        try:
            yield Terminal(process, person)
        finally:
            process.kill()
            os.close(person)


def test_a_person_at_the_terminal_gives_wrong_files_and_then_the_right_one(scene: Scene) -> None:
    scene.furnish()
    scene.put("umowa.pdf", b"%PDF-1.7")
    with terminal(scene, "issue", "--nip", NIP, "--external", "--out", "wniosek.xml", *at(scene)) as person:
        assert re.search(r"0?[91]\d?:\d\d", person.until("później):"))
        person.type("nie-ma.xml\r")
        person.until("nie-ma.xml")
        person.until("później):")
        person.type("'umowa.pdf'\r")
        person.until("PAdES")
        person.until("później):")
        file = signed(scene, scene.base / "wniosek.xml")
        person.type(f"{file}\r")
        person.until("Podpis: NIP 5265877635")
        person.until("klucznik export")
        assert person.process.wait(timeout=60) == 0


def test_what_is_typed_ahead_is_the_next_answer(scene: Scene) -> None:
    scene.furnish()
    with terminal(scene, "issue", "--nip", NIP, "--external", "--out", "wniosek.xml", *at(scene)) as person:
        person.until("później):")
        person.type("jeden.xml\rdwa.xml\r")
        person.until("Nie ma pliku jeden.xml")
        person.until("Nie ma pliku dwa.xml")
        person.type("\r")
        person.until("klucznik sign")


def test_an_empty_answer_leaves_it_for_another_run(scene: Scene) -> None:
    scene.furnish()
    with terminal(scene, "issue", "--nip", NIP, "--external", "--out", "wniosek.xml", *at(scene)) as person:
        person.until("później):")
        person.type("\r")
        person.until("klucznik sign")
        assert person.process.wait(timeout=60) == 0
    done("sign", signed(scene, scene.base / "wniosek.xml"), *at(scene))


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("ab\x7fc", "ac"),
        ("źle\x15dobrze", "dobrze"),
        ("\x1b[A\x1b[200~/dom/a.xml\x1b[201~\x1bOP", "/dom/a.xml"),
        ("a\tb", "ab"),
    ],
)
def test_the_keys_that_a_path_needs_work_and_others_do_nothing(keys: str, line: str) -> None:
    typed = Line()
    assert not any(typed.type(key) for key in keys)
    assert typed.text == line
    assert typed.type("\r")


@pytest.mark.parametrize(
    ("dropped", "path"),
    [("'/dom/mój plik.xml' ", "/dom/mój plik.xml"), ('"a.xml"', "a.xml"), (r"/dom/m\ p.xml", "/dom/m p.xml"), ("", "")],
)
def test_a_file_that_is_dropped_on_the_terminal_is_found(dropped: str, path: str) -> None:
    assert unquoted(dropped) == path


def test_a_question_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    person, program = pty.openpty()
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    typed = b"/dom/nie"
    left = iter([*(61.0 for _ in typed), 0.0])
    os.write(person, typed)  # and too late to be sent
    with os.fdopen(program, encoding="utf-8") as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        assert ask_path("Plik:", lambda: next(left)) is None
    os.close(person)
    assert "01:01 Plik:" in shown.getvalue()
    assert "00:00 Plik: /dom/nie" in shown.getvalue()
