"""Options, languages, terminals and pipes: what holds for all commands. What each one does is in `test_commands`."""

import json
import os
import pty
import re
import subprocess

import pytest
from tests.klucznik.cli.lines import COMMANDS, at, listed, seal
from tests.klucznik.cli.scenes import COMMAND, NIP, Scene, clean, done, klucznik, process

ESCAPE = "\x1b"


def test_global_options_stand_before_or_after_the_command(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    home, url = str(scene.home), scene.ksef.base_url
    lines = (
        ("--home", home, "--env", "sandbox", "--lang", "en", "certificates", "--json"),
        ("certificates", "--json", "--home", home, "--env", "sandbox", "--lang", "en"),
        ("certificates", f"--home={home}", "--env=sandbox", "--lang=en", "--json"),
        ("--lang=en", "certificates", "--json", "--ksef-url", url, "--home", home),
    )
    first, *others = [done(*line).out for line in lines]
    assert len(listed(json.loads(first))) == 2
    assert all(out == first for out in others)


def test_the_language_of_the_environment_gives_way_to_the_option(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Skarbiec" in done("certificates", *at(scene)).out
    monkeypatch.setenv("KLUCZNIK_LANG", "en")
    assert "vault" in done("certificates", *at(scene)).out
    assert "Skarbiec" in done("certificates", *at(scene), "--lang", "pl").out


def test_settings_come_from_the_environment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.furnish(with_pair=True)
    monkeypatch.setenv("KLUCZNIK_HOME", str(scene.home))
    monkeypatch.setenv("KLUCZNIK_KSEF_URL", scene.ksef.base_url)
    assert done("limits", "--nip", NIP, "--json").data["outcome"] == "limits"
    monkeypatch.setenv("KLUCZNIK_ENV", "test")
    assert klucznik("limits", *seal(scene), "--ksef-url", "http://127.0.0.1:1/v2").code == 2


def test_a_pipe_and_no_color_get_no_escape_codes(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    piped = process("certificates", *at(scene), cwd=scene.base)
    assert piped.code == 0
    assert ESCAPE not in piped.out + piped.err
    assert ESCAPE + "[3" in on_a_terminal(scene, "certificates", *at(scene))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", on_a_terminal(scene, "certificates", *at(scene), NO_COLOR="1"))


def on_a_terminal(scene: Scene, *arguments: str, **variables: str) -> str:
    """What a terminal is sent."""
    reader, writer = pty.openpty()
    environment = {**clean(os.environ), "TERM": "xterm-256color", **variables}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    process_ = subprocess.Popen([COMMAND, *arguments], cwd=scene.base, env=environment, stdin=writer, stdout=writer)
    os.close(writer)
    sent = b""
    try:
        while piece := os.read(reader, 65536):
            sent += piece
    except OSError:  # the other end of the terminal is closed
        pass
    finally:
        os.close(reader)
    assert process_.wait(timeout=60) == 0
    return sent.decode()


def test_with_json_the_standard_error_is_silent(scene: Scene) -> None:
    ran = process("issue", *seal(scene), *at(scene), "--json", cwd=scene.base)
    assert (ran.code, ran.err) == (0, "")
    assert ran.data["outcome"] == "issued"


ENGLISH = re.compile(
    r"\b(Usage|Options?|Commands?|COMMAND|OPTIONS|ARGS|Arguments?|required|default|env var|Show this|FILE|DIR|NAME"
    r"|SERIAL|URL|bool|and|the|of)\b"
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_is_polish_throughout(scene: Scene, command: str) -> None:
    ran = done(*command.split(), "--help")
    assert "Użycie: klucznik" in ran.out
    assert "Pokaż tę pomoc" in ran.out
    assert not ENGLISH.search(ran.out), ENGLISH.findall(ran.out)
    assert not re.search(r"help\.\w", ran.out)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_is_english_when_asked(scene: Scene, command: str) -> None:
    ran = done("--lang", "en", *command.split(), "--help")
    assert "Usage: klucznik" in ran.out
    assert "Show this help" in ran.out
    assert not re.search(r"[ąćęłńóśźż]", ran.out)
    assert not re.search(r"help\.\w", ran.out)


def test_every_command_has_json_and_is_listed(scene: Scene) -> None:
    overview = done().out
    for command in COMMANDS:
        assert command.split()[0] in overview
        assert "--json" in done(*command.split(), "--help").out
