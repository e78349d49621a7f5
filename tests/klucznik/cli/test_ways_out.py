"""After a refusal a person at the terminal walks a way out in the same session; nobody else is ever asked.

What each way does to the counters is tried in `tests/klucznik/services/test_ways_out.py`.
"""

import os
import pty
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass

import pytest
from tests.klucznik.cli.lines import at
from tests.klucznik.cli.scenes import COMMAND, OTHER_NIP, Ran, Scene, clean, done, process
from tests.klucznik.world import some_nip, some_pesel

ANSWERS = {"pl": ("t", "[t/N]", "żadną"), "en": ("y", "[y/N]", "none")}
SIGN_IN = ("POST", "/auth/xades-signature")


@dataclass(frozen=True)
class Owner:
    """A person who owns a company: what she types after the command."""

    scene: Scene
    nip: str
    pesel: str
    line: tuple[str, ...]

    def called(self, method: str, path: str) -> int:
        return len(self.scene.ksef.requests(method=method, path=path))

    @property
    def filed(self) -> int:
        return self.called("POST", "/certificates/enrollments")

    @property
    def sessions_left_open(self) -> int:
        return self.called(*SIGN_IN) - self.called("DELETE", "/auth/sessions/current")


@pytest.fixture
def person(scene: Scene) -> Owner:
    nip, pesel = some_nip(), some_pesel()
    scene.ksef.link_person(nip=nip, pesel=pesel)
    done("test-credential", "--pesel", pesel, "--out", scene.base)
    key = ("--cert", str(scene.base / "credential.crt"), "--key", str(scene.base / "credential.key"))
    return Owner(scene, nip, pesel, ("--nip", nip, *key, *at(scene)))


def another_program_issues(person: Owner, *, pairs: int) -> None:
    home, elsewhere = str(person.scene.home), str(person.scene.base / "elsewhere")
    for _ in range(pairs):
        done("issue", *(elsewhere if word == home else word for word in person.line), "--another-pair")


def an_office_is_the_operator(scene: Scene) -> None:
    done("test-credential", "--nip", OTHER_NIP, "--out", scene.base / "office")
    office = ("--cert", str(scene.base / "office/credential.crt"), "--key", str(scene.base / "office/credential.key"))
    done("operator", "set", "--nip", OTHER_NIP, "--name", "Biuro Rachunkowe", *office, *at(scene))


def at_the_terminal(scene: Scene, *arguments: str, answers: tuple[str, ...], asked: str) -> Ran:
    """A run on a terminal of 80 columns; each question that `asked` matches gets the next answer, Ctrl-C for "^C"."""
    reader, writer = pty.openpty()
    environment = {**clean(os.environ), "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
    running = subprocess.Popen(
        [COMMAND, *arguments], cwd=scene.base, env=environment, stdin=writer, stdout=writer, stderr=writer
    )
    os.close(writer)
    sent, seen, left, interrupted = b"", 0, list(answers), False
    until = time.monotonic() + 240
    try:
        while time.monotonic() < until:
            if not select.select([reader], [], [], 1)[0]:
                if interrupted:  # Ctrl-C came between the question and the reading of it: a person presses it again
                    running.send_signal(signal.SIGINT)
                continue
            if not (piece := os.read(reader, 65536)):
                break
            sent += piece
            if left and re.search(rf"(?:{asked})\s*:\s*$", sent[seen:].decode(errors="ignore")):
                answer, seen = left.pop(0), len(sent)
                if answer == "^C":
                    interrupted = True
                    running.send_signal(signal.SIGINT)
                else:
                    os.write(reader, f"{answer}\n".encode())
    except OSError:  # the other end of the terminal is closed
        pass
    finally:
        os.close(reader)
    assert not left, sent.decode()
    return Ran(running.wait(timeout=60), sent.decode().replace("\r\n", "\n"), "")


def walk(person: Owner, *answers: str, language: str = "pl") -> Ran:
    _, yes_or_no, none = ANSWERS[language]
    asked = f"{re.escape(yes_or_no)}|{none}"
    line = ("issue", *person.line, "--lang", language)
    return at_the_terminal(person.scene, *line, answers=answers, asked=asked)


@pytest.mark.parametrize("language", ["pl", "en"])
def test_one_request_left_becomes_a_permission_with_one_yes_and_nothing_is_spent(person: Owner, language: str) -> None:
    scene = person.scene
    an_office_is_the_operator(scene)
    scene.ksef.set_limits("Pesel", person.pesel, enrollment=1)
    scene.ksef.clear_requests()
    ran = walk(person, "1", ANSWERS[language][0], language=language)
    assert ran.code == 0, ran.out
    assert person.filed == 0
    assert person.called(*SIGN_IN) == 2  # the owner once, and the operator's proof
    assert person.sessions_left_open == 0
    assert done("verify", person.nip, *at(scene), "--json").data["outcome"]
    lines = re.sub(r"\x1b\[[0-9;]*m", "", ran.out).split("\n")
    # Stripped: the terminal may echo an answer before the last blank of the question.
    assert [line for line in lines if len(line.strip()) > 80 and "klucznik" not in line] == []


@pytest.mark.parametrize("language", ["pl", "en"])
def test_no_slot_becomes_a_pair_after_one_yes(person: Owner, language: str) -> None:
    scene = person.scene
    another_program_issues(person, pairs=2)
    scene.ksef.set_limits("Pesel", person.pesel, enrollment=7, certificate=4)
    scene.ksef.clear_requests()
    yes = ANSWERS[language][0]
    ran = walk(person, "2", yes, yes, language=language)
    assert ran.code == 0, ran.out
    assert (person.filed, person.called(*SIGN_IN)) == (2, 2)  # herself once, and the new certificate's proof


def test_a_wrong_number_is_asked_again_and_enter_leaves_nothing_open(person: Owner) -> None:
    person.scene.ksef.set_limits("Pesel", person.pesel, enrollment=7, certificate=4)
    another_program_issues(person, pairs=2)
    person.scene.ksef.clear_requests()
    ran = walk(person, "17", "")
    assert ran.code == 3
    assert "17" in ran.out
    assert (person.filed, person.called(*SIGN_IN), person.sessions_left_open) == (0, 1, 0)


def test_ctrl_c_at_the_question_ends_the_session(person: Owner) -> None:
    scene = person.scene
    an_office_is_the_operator(scene)
    scene.ksef.set_limits("Pesel", person.pesel, enrollment=1)
    scene.ksef.clear_requests()
    ran = walk(person, "^C")
    assert ran.code == 130, ran.out
    assert (person.filed, person.called(*SIGN_IN), person.sessions_left_open) == (0, 1, 0)


def test_nobody_is_asked_with_json_or_in_a_pipe_and_each_way_has_its_whole_command(person: Owner) -> None:
    scene = person.scene
    another_program_issues(person, pairs=1)
    scene.ksef.set_limits("Pesel", person.pesel, enrollment=3)
    asked = at_the_terminal(scene, "issue", *person.line, "--json", answers=(), asked="never")
    assert asked.code == 3
    assert asked.data["outcome"] == "refused"
    piped = process("issue", *person.line, cwd=scene.base, variables={"COLUMNS": "80"})
    assert piped.code == 3
    assert f"klucznik issue {' '.join(person.line)} --wait\n" in piped.out
