"""The units: what they start exists, they are hardened alike, and systemd itself reads them where it is there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.project import pages
from typer.core import TyperGroup
from typer.main import get_command

from klucznik.cli.app import build
from klucznik.messages import words_in
from klucznik.services.renewal.hooks import TIME_LIMIT_S

UNITS = pages.ROOT / "packaging" / "systemd"
SERVICES = ("klucznik-worker.service", "klucznik-renew.service")
# Without these a hole in one of our parsers is a hole in the machine.
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Sections, and in each the values of a name in their order: systemd adds up what is there twice."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_starts_is_a_command_with_options_that_exist(name: str) -> None:
    (line,) = unit(name)["Service"]["ExecStart"]
    program, command, *options = line.split()
    assert program == "/opt/klucznik/bin/klucznik"
    group = get_command(build(words_in("en")))
    assert isinstance(group, TyperGroup)
    known = {name for parameter in group.commands[command].params for name in parameter.opts}
    assert set(options) <= known


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_is_hardened_and_leaves_a_hook_its_time(name: str) -> None:
    service = unit(name)["Service"]
    assert {key: service[key][-1] for key in HARDENING} == HARDENING
    assert int(service["TimeoutStopSec"][0]) > TIME_LIMIT_S


def test_both_services_are_hardened_alike() -> None:
    first, second = ((UNITS / name).read_text().partition("# Who and where")[2] for name in SERVICES)
    assert first.partition("\n\n[Install]")[0].strip() == second.strip()


def test_the_timer_has_jitter_and_makes_up_for_what_was_slept_through() -> None:
    timer = unit("klucznik-renew.timer")["Timer"]
    assert (timer["Persistent"], timer["RandomizedDelaySec"], timer["OnCalendar"]) == (["yes"], ["6h"], ["daily"])


if shutil.which("systemd-analyze"):

    def test_systemd_reads_the_units(tmp_path: Path) -> None:
        for file in UNITS.iterdir():
            text = file.read_text().replace("/opt/klucznik/bin/klucznik", "/bin/true")
            (tmp_path / file.name).write_text(text)
        names = [str(tmp_path / file.name) for file in UNITS.iterdir()]
        ran = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
