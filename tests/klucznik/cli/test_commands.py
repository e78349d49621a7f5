"""Every command when all goes well: its data, its screen in both languages, where it writes, how it ends."""

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from tests.klucznik.cli.lines import at, listed, part, seal
from tests.klucznik.cli.scenes import NIP, PASSWORD, Scene, done, klucznik, process

ESCAPE = "\x1b"
LIMITS = {"enrollment", "certificate", "can_request"}
CERTIFICATE = {"type", "serial", "name", "valid_from", "valid_to", "key_at", "verified"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_limits_are_shown_and_nothing_is_spent(scene: Scene) -> None:
    data = done("limits", *seal(scene), *at(scene), "--json").data
    assert set(data) == {"outcome", "subject", "context", "limits"}
    assert (data["outcome"], data["subject"]) == ("limits", {"type": "Nip", "value": NIP})
    assert set(part(data, "limits")) == LIMITS
    assert set(part(data, "limits", "enrollment")) == {"remaining", "limit"}
    assert "Limity KSeF: NIP" in done("limits", *seal(scene), *at(scene)).out
    assert "KSeF limits: NIP" in done("limits", *seal(scene), *at(scene), "--lang", "en").out
    assert not scene.ksef.requests(method="POST", path="/certificates/enrollments")


def test_issue_gives_a_verified_pair_and_tells_the_limits_before_and_after(scene: Scene) -> None:
    data = done("issue", *seal(scene), *at(scene), "--json").data
    assert set(data) == {"outcome", "subject", "context", "certificates", "limits_before", "limits_after"}
    assert (data["outcome"], data["subject"]) == ("issued", {"type": "Nip", "value": NIP})
    pair = listed(data)
    assert [one["type"] for one in pair] == ["Authentication", "Offline"]
    for one in pair:
        assert set(one) == CERTIFICATE | {"proof"}
        assert one["verified"] is True
        assert re.fullmatch(r"[0-9A-F]{16}", str(one["serial"]))
        assert MOMENT.fullmatch(str(one["valid_from"]))
        assert MOMENT.fullmatch(str(one["valid_to"]))
    assert part(pair[0], "proof")["login_reference"]
    assert str(part(pair[1], "proof")["kod2_link"]).startswith("https://")
    for kind in ("enrollment", "certificate"):
        before, after = (part(data, when, kind)["remaining"] for when in ("limits_before", "limits_after"))
        assert isinstance(before, int)
        assert after == before - 2


@pytest.mark.parametrize(
    ("language", "title", "proof", "step"),
    [
        ("pl", "Certyfikaty KSeF gotowe", "Sprawdzone: logowanie", "Klucze zapisane w skarbcu"),
        ("en", "KSeF certificates ready", "Proved: signed in", "Keys saved in the vault"),
    ],
)
def test_issue_tells_a_person_each_step_and_the_proofs(
    scene: Scene, language: str, title: str, proof: str, step: str
) -> None:
    ran = done("--lang", language, "issue", *seal(scene), *at(scene), "--key-type", "rsa")
    assert title in ran.out
    assert proof in ran.out
    assert step in ran.err
    assert "✗" not in ran.err


def test_a_second_issue_finds_the_pair_and_asks_for_nothing(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    data = done("issue", *seal(scene), *at(scene), "--json").data
    assert set(data) == {"outcome", "subject", "context", "certificates"}
    assert data["outcome"] == "already_held"
    assert scene.firm.serial_number in [one["serial"] for one in listed(data)]
    assert "Ważna para certyfikatów już jest" in done("issue", *seal(scene), *at(scene)).out
    assert "A valid pair" in done("issue", *seal(scene), *at(scene), "--lang", "en").out
    assert not scene.ksef.requests()


def test_the_vault_signs_in_without_files(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    assert done("limits", "--nip", NIP, *at(scene), "--json").data["outcome"] == "limits"


def test_a_refusal_by_the_limits_has_its_own_exit_code(scene: Scene) -> None:
    nip = "6612345678"
    cert, key = scene.seal(nip=nip)
    scene.ksef.set_limits("Nip", nip, enrollment=1, certificate=1)
    arguments = ("issue", "--nip", nip, "--cert", cert, "--key", key, *at(scene))
    ran = klucznik(*arguments, "--json")
    assert (ran.code, ran.err) == (3, "")
    assert set(ran.data) == {
        "outcome", "subject", "context", "limits", "needed", "requests_filed", "reasons", "causes", "remedies"
    }  # fmt: skip
    assert (ran.data["outcome"], ran.data["needed"], ran.data["requests_filed"]) == ("refused", 2, 0)
    assert set(part(ran.data, "limits")) == LIMITS
    assert listed(ran.data, "remedies")[0]["kind"] == "grant_permission"
    for language, title in (("pl", "Teraz nie można wygenerować"), ("en", "cannot be generated now")):
        shown = klucznik(*arguments, "--lang", language)
        assert shown.code == 3
        assert title in shown.out
        assert "{" not in shown.out
    assert not scene.ksef.requests(method="POST", path="/certificates/enrollments")


def test_certificates_of_the_vault_and_of_ksef_are_listed(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    vault = done("certificates", *at(scene), "--json").data
    assert (vault["outcome"], vault["source"], set(vault)) == (
        "certificates", "vault", {"outcome", "source", "certificates"}
    )  # fmt: skip
    assert set(listed(vault)[0]) == CERTIFICATE | {"subject", "origin", "revoked_at", "programs"}
    assert not scene.ksef.requests()

    ksef = done("certificates", *seal(scene), *at(scene), "--json").data
    assert (ksef["source"], set(ksef)) == ("ksef", {"outcome", "source", "subject", "certificates"})
    assert set(listed(ksef)[0]) == (CERTIFICATE - {"verified", "key_at"}) | {
        "status", "requested_at", "last_used_at", "key_in_vault"
    }  # fmt: skip
    ours = {one["serial"] for one in listed(ksef) if one["key_in_vault"]}
    assert ours == {one["serial"] for one in listed(vault)}
    assert scene.firm.serial_number in done("certificates", *at(scene)).out
    assert "Status" not in done("certificates", *seal(scene), *at(scene)).out
    assert "aktywny" in done("certificates", *seal(scene), *at(scene)).out
    assert "active" in done("certificates", *seal(scene), *at(scene), "--lang", "en").out


def test_an_empty_vault_says_so(scene: Scene) -> None:
    assert "Skarbiec jest pusty" in done("certificates", *at(scene)).out
    assert "vault is empty" in done("certificates", *at(scene), "--lang", "en").out


def test_revoke_frees_a_slot_and_says_that_no_request_comes_back(scene: Scene) -> None:
    nip = "6622345678"
    cert, key = scene.seal(nip=nip)
    own = ("--nip", nip, "--cert", cert, "--key", key)
    pair = listed(done("issue", *own, *at(scene), "--json").data)
    data = done("revoke", str(pair[0]["serial"]), *own, *at(scene), "--yes", "--json").data
    assert set(data) == {"outcome", "serial", "type", "name", "key_in_vault", "programs", "sessions_ended"}
    assert (data["outcome"], data["serial"], data["key_in_vault"]) == ("revoked", pair[0]["serial"], True)
    ran = done("revoke", str(pair[1]["serial"]), *own, *at(scene), "--yes", "--reason", "superseded")
    assert "unieważniony w KSeF" in ran.out
    held = listed(done("certificates", *at(scene), "--json").data)
    assert all(MOMENT.fullmatch(str(one["revoked_at"])) for one in held)


def test_exported_files_open_with_the_password(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    named = ("--password-env", "KEY_PASSWORD", *at(scene))
    data = done("export", "--nip", NIP, "--out", scene.base / "pem", *named, "--json").data
    assert (data["outcome"], set(data)) == ("exported", {"outcome", "program", "certificates"})
    assert all(set(one) == CERTIFICATE | {"files"} for one in listed(data))
    files = [Path(str(name)) for one in listed(data) for name in listed(one, "files")]
    for cert, key in (files[:2], files[2:]):
        opened = load_pem_private_key(key.read_bytes(), PASSWORD.encode())
        assert x509.load_pem_x509_certificate(cert.read_bytes()).public_key() == opened.public_key()

    p12 = done("export", "--serial", scene.firm.serial_number, "--format", "p12", "--out", scene.base / "p12", *named)
    assert "Klucze są zaszyfrowane podanym hasłem" in p12.out
    (file,) = (scene.base / "p12").iterdir()
    assert load_pkcs12(file.read_bytes(), PASSWORD.encode()).key is not None


def test_an_exported_certificate_is_imported_elsewhere_and_signs_in_there(scene: Scene) -> None:
    stem = scene.firm.authentication
    files = ("--cert", f"{stem}.crt", "--key", f"{stem}.key", "--key-password-env", "KEY_PASSWORD")
    data = done("import", *files, *at(scene), "--json").data
    assert set(data) == {"outcome", "subject", "certificate"}
    assert (data["outcome"], part(data, "certificate")["serial"]) == ("imported", scene.firm.serial_number)
    assert done("limits", "--nip", NIP, *at(scene), "--json").data["outcome"] == "limits"


def test_a_test_credential_is_two_files_of_their_owner_alone(scene: Scene) -> None:
    data = done("test-credential", "--pesel", "80010112340", "--out", scene.base / "new", "--json").data
    assert set(data) == {"outcome", "subject", "certificate_file", "key_file"}
    assert data["subject"] == {"type": "Pesel", "value": "80010112340"}
    assert Path(str(data["key_file"])).stat().st_mode & 0o777 == 0o600
    assert not scene.home.exists()


def test_version_is_one_line_and_needs_no_home(scene: Scene) -> None:
    assert re.fullmatch(r"klucznik \d+\.\d+\.\d+\n", done("version", *at(scene)).out)
    assert set(done("version", "--json", *at(scene)).data) == {"outcome", "version"}
    assert not scene.home.exists()


def test_the_demo_runs_from_the_installed_command_and_prints_one_object(scene: Scene) -> None:
    ran = process("demo", "--json", cwd=scene.base, variables={"TMPDIR": str(scene.base)})
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.data) == {"outcome", "issued", "refused", "granted", "requests_filed", "wasted"}
    assert (ran.data["outcome"], ran.data["requests_filed"], ran.data["wasted"]) == ("demo", 2, 0)
    assert (part(ran.data, "issued")["outcome"], part(ran.data, "refused")["outcome"]) == ("issued", "refused")
    assert part(ran.data, "refused")["requests_filed"] == 0
    assert part(part(ran.data, "granted"), "connection")["health"] == "healthy"
