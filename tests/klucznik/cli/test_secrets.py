"""Nothing secret leaves: passwords, private keys, tokens and signed documents are planted and looked for everywhere."""

import base64
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from tests.klucznik.cli.lines import at, listed
from tests.klucznik.cli.scenes import NIP, Ran, Scene, done, klucznik
from tests.klucznik.keys import builders

from klucznik.domain.identifiers import Context
from klucznik.errors import KlucznikError
from klucznik.keys.credential import load_credential
from klucznik.services.installation import Installation
from klucznik.services.sign_in import sign_in
from klucznik.services.ways import signer_for

KEY_PASSWORD = "kanarek-klucza-4f1d77"
EXPORT_PASSWORD = "kanarek-pliku-9b2c3e"
WRONG_PASSWORD = "kanarek-zly-51aa06"
JWT = re.compile(rb"eyJ[\w-]{8,}\.eyJ")


def needles(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> list[bytes]:
    """What betrays a private key, whatever it is wrapped in: its secret number as bytes, hexadecimal and base64."""
    numbers = key.private_numbers()
    number = numbers.private_value if isinstance(numbers, ec.EllipticCurvePrivateNumbers) else numbers.d
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    found = [raw, raw.hex().encode(), raw.hex().upper().encode(), str(number).encode()]
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    body = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).splitlines()[1:-1]
    # base64 of the same bytes looks different at each of three offsets; its inner part is enough to recognise it.
    shifted = [base64.b64encode(b"\0" * offset + raw)[4:40] for offset in range(3)]
    return [*found, der, *body[1:-1], *shifted]


def test_a_planted_key_would_be_found() -> None:
    """The search itself is tried, in each form that a key could lie around in."""
    key = builders.ec_key()
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for planted in (builders.key_pem(key), der, base64.b64encode(b"xy" + der), der.hex().encode()):
        assert any(needle in planted for needle in needles(key))


def everything(scene: Scene, *runs: Ran) -> bytes:
    """All that the runs printed and left in the home."""
    said = "\n".join(ran.out + ran.err for ran in runs).encode()
    return b"\n".join([said, *(path.read_bytes() for path in scene.home.rglob("*") if path.is_file())])


def locked_seal(scene: Scene, password: str = KEY_PASSWORD) -> tuple[str, ...]:
    cert, _ = scene.seal()
    key = scene.put("locked.key", builders.key_pem(password=password.encode()))
    return ("--nip", NIP, "--cert", cert, "--key", key, "--key-password-env", "CANARY")


@contextmanager
def watching(caplog: pytest.LogCaptureFixture) -> Iterator[list[bytes]]:
    """Every log record at every level while inside."""
    seen: list[bytes] = []
    with caplog.at_level(logging.DEBUG):
        yield seen
    seen.extend((record.getMessage() + repr(record.args)).encode() for record in caplog.records)


def test_the_keys_of_an_issued_pair_rest_only_encrypted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANARY", KEY_PASSWORD)
    monkeypatch.setenv("EXPORT", EXPORT_PASSWORD)
    with watching(caplog) as logged:
        runs = [
            klucznik("issue", *locked_seal(scene), *at(scene), "--debug"),
            klucznik("certificates", *locked_seal(scene), *at(scene), "--json"),
            klucznik("issue", *locked_seal(scene), *at(scene), "--another-pair", "--json"),
            klucznik(
                "export", "--nip", NIP, "--out", scene.base / "out", "--password-env", "EXPORT", *at(scene), "--json"
            ),
        ]
    assert [ran.code for ran in runs] == [0, 0, 0, 0], runs
    exported = [str(file) for one in listed(runs[-1].data) for file in listed(one, "files")]
    kept = [
        load_pem_private_key(Path(file).read_bytes(), EXPORT_PASSWORD.encode())
        for file in exported
        if file.endswith(".key")
    ]
    assert len(kept) >= 2
    haystack = everything(scene, *runs) + b"\n".join(logged)
    assert b"ksef-" in haystack  # it does hold what the runs said
    for key in (builders.ec_key(), *kept):
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        for needle in needles(key):
            assert needle not in haystack
    for password in (KEY_PASSWORD, EXPORT_PASSWORD):
        assert password.encode() not in haystack
        assert base64.b64encode(password.encode()).rstrip(b"=") not in haystack
    assert b"PRIVATE KEY" not in haystack
    assert not JWT.search(haystack)


class Ear:
    """Stands between the command and KSeF, hears every secret, and may answer one path itself with what it was sent."""

    def __init__(self, ksef: str, *, garble: str = "") -> None:
        self.heard: set[bytes] = set()
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def handle_call(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "").removeprefix("Bearer ").encode()
                ear.heard |= {token} if token else set()
                ear.heard |= set(re.findall(rb"<ds:SignatureValue>([^<]{20,})", content))
                if garble and garble in self.path:
                    self.answer(500, "text/html", b"<h1>Oops</h1>" + token + content)
                    return
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
                }
                got = httpx.request(self.command, ksef + self.path, content=content, headers=headers)
                ear.heard |= set(re.findall(rb'"token":\s*"([^"]+)"', got.content))
                self.answer(got.status_code, got.headers.get("Content-Type", ""), got.content)

            def answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = handle_call

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the screen of the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v2"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    ("garble", "code", "outputs"),
    [
        ("", 0, ("--debug", "--json")),
        ("/auth/xades-signature", 6, ("--debug",)),  # a sign-in is begun anew for half a minute: once is enough
        ("/auth/token/redeem", 6, ("--json",)),
        ("/certificates/limits", 6, ("--debug", "--json")),
        ("/certificates/enrollments", 6, ("--debug", "--json")),
    ],
)
def test_no_token_and_no_signature_is_shown_or_kept_however_ksef_answers(
    scene: Scene, caplog: pytest.LogCaptureFixture, garble: str, code: int, outputs: tuple[str, ...]
) -> None:
    cert, key = scene.seal(nip="6632345678")
    own = ("--nip", "6632345678", "--cert", cert, "--key", key, "--home", str(scene.home))
    with Ear(scene.ksef.base_url.removesuffix("/v2"), garble=garble) as ear, watching(caplog) as logged:
        runs = [klucznik("issue", *own, "--ksef-url", ear.url, output) for output in outputs]
    assert {ran.code for ran in runs} == {code}, runs
    assert ear.heard
    haystack = everything(scene, *runs) + b"\n".join(logged)
    for secret in ear.heard:
        assert secret not in haystack
    assert not JWT.search(haystack)
    assert b"Bearer" not in haystack


@pytest.mark.parametrize(
    ("number", "garble", "shape"), [(1, "", "json"), (2, "", "text"), (3, "/certificates/enrollments", "json")]
)
def test_a_workers_log_at_its_most_talkative_holds_no_token_no_signature_and_no_whole_pesel(
    scene: Scene, caplog: pytest.LogCaptureFixture, number: int, garble: str, shape: str
) -> None:
    nip, pesel = f"664234567{number}", f"8501011234{number}"
    scene.ksef.link_person(nip=nip, pesel=pesel)
    cert, key = scene.person(pesel)
    own = ("--nip", nip, "--cert", cert, "--key", key)
    with Ear(scene.ksef.base_url.removesuffix("/v2"), garble=garble) as ear, watching(caplog) as logged:
        here = ("--home", str(scene.home), "--ksef-url", ear.url)
        ordered = klucznik("issue", "--detach", *own, *here)
        working = ("worker", "--until-idle", "--log-level", "debug", "--log-format", shape, "--metrics-port", "0")
        worked = klucznik(*working, *here)
    assert (ordered.code, worked.code) == (0, 0)
    assert ear.heard
    assert "ksef_call" in worked.err
    haystack = everything(scene, ordered, worked) + b"\n".join(logged)
    for secret in ear.heard:
        assert secret not in haystack
    assert not JWT.search(haystack)
    assert b"Bearer" not in haystack
    assert pesel not in worked.err


def test_a_wrong_password_is_not_repeated_in_any_form(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANARY", WRONG_PASSWORD)
    seal = locked_seal(scene)
    with watching(caplog) as logged:
        runs = [klucznik("issue", *seal, *at(scene), *more) for more in ((), ("--json",), ("--debug",))]
    assert [ran.code for ran in runs] == [2, 2, 2]
    haystack = everything(scene, *runs) + b"\n".join(logged)
    for secret in (WRONG_PASSWORD, KEY_PASSWORD):
        assert secret.encode() not in haystack
    assert not scene.home.exists()


async def test_errors_and_objects_show_no_secret_in_their_text(scene: Scene) -> None:
    cert, key = scene.seal()
    shown: list[str] = []
    for password in (None, WRONG_PASSWORD.encode()):
        locked = scene.put("locked.key", builders.key_pem(password=KEY_PASSWORD.encode()))
        try:
            load_credential(cert=Path(cert), key=Path(locked), password=password, now=datetime.now(UTC))
        except KlucznikError as error:
            shown += [repr(error), str(error), repr(error.data), *traceback.format_exception(error)]
    credential = load_credential(cert=Path(cert), key=Path(key), password=None, now=datetime.now(UTC))
    master_key = base64.b64encode(b"kanarek-master-key-kanarek-12345").decode()
    async with await Installation.open(scene.home, ksef_url=scene.ksef.base_url, master_key=master_key) as installation:
        signer = await signer_for(installation, Context.of_nip(NIP), credential)
        signed_in = await sign_in(installation, Context.of_nip(NIP), signer)
        shown += [
            repr(one) for one in (credential, installation, installation.vault, signer, signed_in, signed_in.session)
        ]
        await signed_in.session.end()
    text = "\n".join(shown).encode()
    for secret in (KEY_PASSWORD.encode(), WRONG_PASSWORD.encode(), master_key.encode(), b"kanarek-master-key"):
        assert secret not in text
    for needle in needles(builders.ec_key()):
        assert needle not in text
    assert not JWT.search(text)


def test_a_password_on_the_line_is_not_an_option(scene: Scene) -> None:
    """Other users of the machine can read command lines."""
    for command in ("limits", "issue", "certificates", "revoke", "import", "export"):
        assert not re.search(r"--(key-)?password(?!-env)", done(command, "--help").out)
