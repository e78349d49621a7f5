"""Mistakes that show only at KSeF, at an export or in the home; typed words and files are in `mistakes`."""

import socket
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.klucznik.cli.mistakes import UNKNOWN_SERIAL, Given, Row, at_home, exported, exporting, revoking, signing
from tests.klucznik.cli.scenes import NIP, OTHER_NIP, Scene


def stranger(scene: Scene) -> list[str]:
    return signing(*scene.person())


def of_another_company(scene: Scene) -> list[str]:
    return signing(*scene.seal(nip=OTHER_NIP))


def blocked(scene: Scene) -> list[str]:
    nip = "8992689516"  # of nobody else: it stays blocked, and others share this KSeF
    where = {"contextIdentifier": {"type": "Nip", "value": nip}}
    httpx.post(f"{scene.ksef.base_url}/testdata/context/block", json=where).raise_for_status()
    return signing(*scene.seal(nip=nip), nip=nip)


def at_url(url: str, *more: str) -> Given:
    return lambda scene: [*signing(*scene.seal()), "--ksef-url", url, *more]


def closed_port(scene: Scene) -> list[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return [*signing(*scene.seal()), "--ksef-url", f"http://127.0.0.1:{port}/v2"]


def by_another(given: Given) -> Given:
    """The same, but another company signs in, for itself."""

    def changed(scene: Scene) -> list[str]:
        cert, key = scene.seal(nip="9512345678")
        words = given(scene)
        return [words[0], words[1], "--nip", "9512345678", "--cert", cert, "--key", key, "--yes"]

    return changed


def over_a_file(scene: Scene) -> list[str]:
    (scene.base / "out").mkdir()
    (scene.base / "out" / f"{scene.firm.authentication.name}.key").write_text("already here")
    return exporting("--nip", NIP)(scene)


def into_a_file(scene: Scene) -> list[str]:
    scene.put("out", b"a file")
    return exporting("--nip", NIP)(scene)


def with_home(change: Callable[[Path], None], *, with_pair: bool = False) -> Given:
    """An installation to which something has happened."""

    def given(scene: Scene) -> list[str]:
        change(scene.furnish(with_pair=with_pair))
        return signing(*scene.seal())

    return given


def home_is_a_file(scene: Scene) -> list[str]:
    scene.put("home", b"not a directory")
    return signing(*scene.seal())


def database_of_the_future(home: Path) -> None:
    with sqlite3.connect(home / "klucznik.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def other_program(home: Path) -> None:
    (home / "klucznik.db").write_bytes(b"This is a diary. " * 500)


def torn_database(home: Path) -> None:
    whole = (home / "klucznik.db").read_bytes()
    (home / "klucznik.db").write_bytes(whole[:100] + b"\xaa" * (len(whole) - 100))


def torn_master_key(home: Path) -> None:
    (home / "vault.key").write_text("c2hvcnQ=")


def _shut(path: str) -> str:
    Path(path).chmod(0)
    return path


def _shut_home(home: Path) -> None:
    (home / "klucznik.db").chmod(0o400)
    home.chmod(0o500)


def _shut_directory(scene: Scene) -> Path:
    (scene.base / "shut").mkdir(mode=0o500)
    return scene.base / "shut"


KSEF = (
    Row("a person who is no owner", at_home(stranger), "sign_in_refused", "nie ma uprawnień", "no permission", code=4),
    Row(
        "the seal of another company",
        at_home(of_another_company),
        "sign_in_refused",
        "nie ma uprawnień",
        "no permission",
        code=4,
    ),
    Row(
        "a revoked certificate",
        exported(lambda firm: firm.revoked, at_home=True),
        "sign_in_refused",
        "odwołany",
        "revoked",
        code=4,
    ),
    Row("a blocked company", at_home(blocked), "sign_in_refused", "zablokował", "blocked", code=4),
    Row(
        "limits of a stranger",
        at_home(lambda s: ["limits", *stranger(s)[1:]]),
        "sign_in_refused",
        "nie ma uprawnień",
        "no permission",
        code=4,
    ),
    Row(
        "an unknown serial number to revoke",
        at_home(revoking(lambda _: UNKNOWN_SERIAL, "--yes")),
        "certificate_not_listed",
        UNKNOWN_SERIAL,
        UNKNOWN_SERIAL,
    ),
    Row(
        "somebody else's certificate to revoke",
        at_home(by_another(revoking(lambda firm: firm.serial_number))),
        "certificate_not_listed",
        "NIP 9512345678",
        "NIP 9512345678",
    ),
    Row(
        "a revocation that nobody confirms",
        at_home(revoking(lambda firm: firm.serial_number), with_pair=True),
        "not_confirmed",
        "Nie potwierdzono",
        "Not confirmed",
    ),
    Row("a closed port", at_home(closed_port), "ksef_unreachable", "nikt tam nie słucha", "nobody listens", code=6),
    Row(
        "the address of production for the sandbox",
        at_url("https://api.ksef.mf.gov.pl/v2"),
        "ksef_url_of_other_environment",
        "production",
        "production",
    ),
    Row(
        "the address of demo for test",
        at_url("https://api-demo.ksef.mf.gov.pl/v2", "--env", "test"),
        "ksef_url_of_other_environment",
        "demo",
        "demo",
    ),
    Row(
        "an address without encryption",
        at_url("http://ksef.example/v2", "--env", "test"),
        "ksef_url_not_encrypted",
        "ksef.example",
        "ksef.example",
    ),
    Row("an address that is none", at_url("ksef.example"), "ksef_url_malformed", "ksef.example", "ksef.example"),
)

EXPORTS = (
    Row(
        "an export without a password",
        exporting("--nip", NIP, password=None),
        "export_password_missing",
        "hasł",
        "password",
    ),
    Row(
        "an export with an empty password",
        exporting("--nip", NIP),
        "export_password_empty",
        "puste",
        "empty",
        variables={"KEY_PASSWORD": ""},
    ),
    Row(
        "an export with a short password",
        exporting("--nip", NIP),
        "export_password_too_short",
        "12",
        "12",
        variables={"KEY_PASSWORD": "krotkie"},
    ),
    Row(
        "an export with Polish letters",
        exporting("--nip", NIP),
        "export_password_not_ascii",
        "polską literę",
        "other programs",
        variables={"KEY_PASSWORD": "zażółć-gęślą-jaźń"},
    ),
    Row("an export of nothing", at_home(exporting("--nip", NIP)), "nothing_to_export", NIP, NIP),
    Row(
        "an export of an unknown number",
        at_home(exporting("--serial", UNKNOWN_SERIAL), with_pair=True),
        "nothing_to_export",
        UNKNOWN_SERIAL,
        UNKNOWN_SERIAL,
    ),
    Row("an export over a file", at_home(over_a_file, with_pair=True), "file_exists", ".key", ".key"),
    Row("an export into a file", at_home(into_a_file, with_pair=True), "directory_missing", "out", "out"),
)

HOMES = (
    Row("a home that is a file", home_is_a_file, "database_unreachable", "klucznik.db", "klucznik.db", code=1),
    Row(
        "another program's file for a database",
        with_home(other_program),
        "database_damaged",
        "uszkodzona",
        "damaged",
        code=1,
    ),
    Row(
        "a torn database", with_home(torn_database, with_pair=True), "database_damaged", "uszkodzona", "damaged", code=1
    ),
    Row("a database of a newer release", with_home(database_of_the_future), "database_newer", "nowsz", "newer", code=1),
    Row(
        "a lost vault.key",
        with_home(lambda home: (home / "vault.key").unlink()),
        "vault_key_file_missing",
        "vault.key",
        "vault.key",
        code=1,
    ),
    Row(
        "a vault.key that others may read",
        with_home(lambda home: (home / "vault.key").chmod(0o644)),
        "vault_key_file_open_to_others",
        "0644",
        "0644",
        code=1,
    ),
    Row("a torn vault.key", with_home(torn_master_key), "vault_key_file_malformed", "vault.key", "vault.key", code=1),
    Row(
        "another master key",
        with_home(lambda home: None),
        "vault_master_key_mismatch",
        "Klucz główny",
        "master key",
        code=1,
        variables={"KLUCZNIK_MASTER_KEY": b64encode(bytes(32)).decode()},
    ),
    Row(
        "a malformed master key",
        with_home(lambda home: None),
        "vault_master_key_malformed",
        "KLUCZNIK_MASTER_KEY",
        "KLUCZNIK_MASTER_KEY",
        variables={"KLUCZNIK_MASTER_KEY": "abc"},
    ),
)

NOBODY = (
    Row(
        "an unreadable certificate",
        lambda s: signing(_shut(s.seal()[0]), None),
        "file_unreadable",
        "seal.crt",
        "seal.crt",
    ),
    Row(
        "an unreadable key",
        lambda s: signing(s.seal()[0], _shut(s.seal()[1])),
        "file_unreadable",
        "seal.key",
        "seal.key",
    ),
    Row(
        "an unreadable vault.key",
        with_home(lambda home: (home / "vault.key").chmod(0)),
        "vault_key_file_unreadable",
        "vault.key",
        "vault.key",
        code=1,
    ),
    Row("a home that may not be written", with_home(_shut_home), "not_permitted", "klucznik.db", "klucznik.db", code=1),
    Row(
        "a home that may not be made",
        lambda s: [*signing(*s.seal()), "--home", str(_shut_directory(s) / "home")],
        "not_permitted",
        "klucznik.db",
        "klucznik.db",
        code=1,
    ),
    Row(
        "an export to where one may not write",
        at_home(
            lambda s: ["export", "--nip", NIP, "--out", str(_shut_directory(s)), "--password-env", "KEY_PASSWORD"],
            with_pair=True,
        ),
        "directory_not_writable",
        "shut",
        "shut",
    ),
)
