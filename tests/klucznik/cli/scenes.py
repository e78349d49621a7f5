"""Where the command line is tried: a local KSeF, a firm that has its pair, files of every kind, and what a run left.

Files are made in `tests.klucznik.keys.builders`; what the commands should say is in the tests.
"""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID
from tests.klucznik.keys import builders
from tests.klucznik.world import QUICK

from klucznik.cli.entry import run
from klucznik.services.installation import PACE_FILE
from ksef_sandbox import Sandbox

NIP = "5265877635"
OTHER_NIP = "7762811692"
PESEL = "80010112340"
PASSWORD = "kanarek-haslo-7f3a9c"
NOBODY = 65534
COMMAND = Path(sys.executable).with_name("klucznik")
Snapshot = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, object]:
        """Standard output as the one JSON object that it must be."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def said(self) -> str:
        """What a person reads, on one line."""
        return " ".join((self.out + self.err).split())


def klucznik(*arguments: str | Path) -> Ran:
    """A command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def process(
    *arguments: str | Path, cwd: Path, file_size: int | None = None, variables: Mapping[str, str] | None = None
) -> Ran:
    """The same as a process of its own; it writes no file beyond `file_size` bytes."""

    def limit() -> None:
        import resource

        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        # Python would save its compiled modules cut off at that size and find them damaged at its next start.
        env={**clean(os.environ), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=limit,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment that says nothing to Klucznik."""
    return {name: value for name, value in variables.items() if not name.startswith("KLUCZNIK_")}


def isolate(patch: pytest.MonkeyPatch) -> None:
    """Nobody at the keyboard, no settings from outside, lines that do not wrap."""
    for name in os.environ.keys() - clean(os.environ).keys():
        patch.delenv(name)
    patch.setattr(sys, "stdin", io.StringIO())
    patch.setenv("COLUMNS", "400")
    patch.setenv("KEY_PASSWORD", PASSWORD)


def snapshot(directory: Path) -> Snapshot:
    """Every file and directory below, with rights and content; but calls that were made have been counted."""
    found = (path for path in sorted(directory.rglob("*")) if path.name != PACE_FILE)
    return {str(path.relative_to(directory)): _state(path) for path in found}


def _state(path: Path) -> tuple[int, bytes]:
    about = path.stat()
    try:
        content = path.read_bytes() if path.is_file() else b""
    except PermissionError:  # of a test that runs as an ordinary user
        content = f"{about.st_size} bytes of {about.st_mtime_ns}".encode()
    return stat.S_IMODE(about.st_mode), content


def klucznik_of_nobody(*arguments: str | Path) -> Ran:
    """`klucznik` without root's rights, which know no closed file."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        return klucznik(*arguments)
    finally:
        os.seteuid(was)


def hand_over(directory: Path) -> None:
    """Root's files become the ordinary user's."""
    if os.geteuid() == 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


@dataclass(frozen=True)
class Firm:
    """A company with a pair in its home, the pair in files too, and a home with nothing in it.

    Attributes:
        seal: the company's test credential, without ``.crt`` and ``.key``.
        authentication, offline: the exported pair, likewise; the keys are locked with `PASSWORD`.
        revoked: an Authentication certificate that KSeF has revoked, likewise.
        serial_number: of the Authentication certificate.
    """

    ksef: Sandbox
    home: Path
    empty_home: Path
    seal: Path
    authentication: Path
    offline: Path
    revoked: Path
    serial_number: str


@contextmanager
def firm(directory: Path) -> Iterator[Firm]:
    """A firm beside a sandbox, made by the very commands."""
    with Sandbox(seed=7, switches=QUICK) as ksef:
        done("certificates", "--home", directory / "empty-home")
        done("test-credential", "--nip", NIP, "--out", directory)
        seal = ("--cert", directory / "credential.crt", "--key", directory / "credential.key")
        sign_in = ("--ksef-url", ksef.base_url, "--nip", NIP, *seal)
        revoked = _pair(directory / "old-home", sign_in, directory / "old-files")["Authentication"]
        done("revoke", _serial(revoked), "--yes", "--home", directory / "old-home", *sign_in)
        pair = _pair(directory / "home", sign_in, directory / "files")
        yield Firm(
            ksef=ksef,
            home=directory / "home",
            empty_home=directory / "empty-home",
            seal=directory / "credential",
            authentication=pair["Authentication"],
            offline=pair["Offline"],
            serial_number=_serial(pair["Authentication"]),
            revoked=revoked,
        )


def _pair(home: Path, sign_in: tuple[str | Path, ...], out: Path) -> dict[str, Path]:
    """Issued, and exported: for each type the path without its ending."""
    done("issue", "--home", home, *sign_in)
    password = ("--password-env", "KEY_PASSWORD")
    exported = done("export", "--home", home, "--nip", NIP, "--out", out, *password, "--json").data
    certificates = exported["certificates"]
    assert isinstance(certificates, list)
    return {one["type"]: Path(one["files"][0]).with_suffix("") for one in certificates}


def _serial(file: Path) -> str:
    return file.name.rpartition("-")[2]


def done(*arguments: str | Path) -> Ran:
    """A command that must succeed."""
    ran = klucznik(*arguments)
    assert ran.code == 0, ran
    return ran


@dataclass(frozen=True)
class Scene:
    """One situation: a directory of its own beside the firm and its KSeF."""

    base: Path
    firm: Firm

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def ksef(self) -> Sandbox:
        return self.firm.ksef

    def put(self, name: str, content: bytes) -> str:
        """A file in the scene; its path."""
        (self.base / name).write_bytes(content)
        return str(self.base / name)

    def seal(self, *, nip: str = NIP, name: str = "seal", days: tuple[int, int] = (-1, 365)) -> tuple[str, str]:
        """A self-signed seal of a company as two files, valid between two days from now."""
        subject = (*builders.SEAL[:1], (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{nip}"), *builders.SEAL[2:])
        return self._files(name, subject, days)

    def person(self, pesel: str = PESEL) -> tuple[str, str]:
        subject = tuple(
            (oid, f"PNOPL-{pesel}" if oid == NameOID.SERIAL_NUMBER else value) for oid, value in builders.PERSON
        )
        return self._files("person", subject, (-1, 365))

    def _files(self, name: str, subject: builders.Attributes, days: tuple[int, int]) -> tuple[str, str]:
        start, end = (datetime.now(UTC).replace(microsecond=0) + timedelta(days=number) for number in days)
        own = builders.certificate(subject, valid_from=start, valid_to=end, usage="both")
        return self.put(f"{name}.crt", builders.pem(own)), self.put(f"{name}.key", builders.key_pem())

    def from_issuer(self, issuer: str, usage: str, *, nip: str = NIP) -> tuple[str, str]:
        """A certificate that bears an issuer's name, as two files."""
        today = datetime.now(UTC).replace(microsecond=0)
        subject = (*builders.SEAL[:1], (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{nip}"), *builders.SEAL[2:])
        own = builders.certificate(
            subject,
            issuer=issuer,
            usage=usage,
            valid_from=today - timedelta(days=1),
            valid_to=today + timedelta(days=365),
        )
        return self.put("issued.crt", builders.pem(own)), self.put("issued.key", builders.key_pem())

    def p12(self, *, key: bool = True, name: str = "seal.p12") -> str:
        today = datetime.now(UTC).replace(microsecond=0)
        own = builders.certificate(valid_from=today - timedelta(days=1), valid_to=today + timedelta(days=365))
        locked = BestAvailableEncryption(PASSWORD.encode())
        content = serialize_key_and_certificates(
            b"kanarek", builders.ec_key() if key else None, own if key else None, None if key else [own], locked
        )
        return self.put(name, content)

    def furnish(self, *, with_pair: bool = False) -> Path:
        """A home: with nothing in its vault, or with the firm's pair."""
        shutil.copytree(self.firm.home if with_pair else self.firm.empty_home, self.home)
        return self.home


@contextmanager
def web_page() -> Iterator[str]:
    """A web server that answers everything with a page; its address."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = b"<!doctype html><title>Witamy</title>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the screen of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v2"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
