"""What files are, said without sending anything: real pairs, wrong keys, other worlds, secrets that stay unsaid."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.klucznik.cli.lines import listed
from tests.klucznik.cli.scenes import PASSWORD, Ran, Scene, klucznik
from tests.klucznik.keys import builders

from klucznik.domain.environments import Environment
from klucznik.services.doctor import examine

SECRET = "a1" * 32
TOKEN = f"20250625-EC-20F5EE4000-DA48AE4124-46|nip-5265877635|{SECRET}"


def doctor(scene: Scene, *files: str | Path, code: int = 0, locked: bool = True) -> Ran:
    """Both faces; nothing is sent, no home is made."""
    scene.ksef.clear_requests()
    password = ("--key-password-env", "KEY_PASSWORD") if locked else ()
    line = ("doctor", *files, *password, "--home", scene.home, "--ksef-url", scene.ksef.base_url)
    shown = klucznik(*line)
    as_data = klucznik(*line, "--json")
    assert (shown.code, as_data.code) == (code, code), shown
    assert not scene.ksef.requests()
    assert not scene.home.exists()
    assert PASSWORD not in shown.said + as_data.said
    return as_data


def reasons(ran: Ran) -> list[object]:
    return [problem["reason"] for file in listed(ran.data, "files") for problem in listed(file, "problems")]


def test_a_pair_that_is_in_order_is_told_with_its_owner_and_uses(scene: Scene) -> None:
    firm = scene.firm
    ran = doctor(
        scene, f"{firm.authentication}.crt", f"{firm.authentication}.key", f"{firm.offline}.crt", f"{firm.offline}.key"
    )
    certificates = [listed(file) for file in listed(ran.data, "files")]
    first, second = certificates[0][0], certificates[2][0]
    assert (first["role"], first["uses"]) == ("authentication", ["sign_in", "import"])
    assert (second["role"], second["uses"]) == ("offline", ["sign_offline", "import"])
    assert (first["environment"], first["key_file"]) == ("sandbox", f"{firm.authentication}.key")


def test_a_key_of_another_certificate_is_named(scene: Scene) -> None:
    ran = doctor(scene, f"{scene.firm.authentication}.crt", f"{scene.firm.offline}.key", code=1)
    assert reasons(ran) == ["key_does_not_match"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda s: s.from_issuer("CCK KSeF", "authentication"), "certificate_of_other_environment"),
        (lambda s: s.seal(days=(-20, -10)), "certificate_expired"),
        (lambda s: s.seal(days=(10, 20)), "certificate_not_yet_valid"),
        (lambda s: (s.put("letter.pdf", b"%PDF-1.7 list"),), "file_of_no_use"),
        (lambda s: (s.put("nothing.txt", b"dzien dobry"),), "file_not_recognised"),
        (lambda s: (s.put("empty.crt", b""),), "file_empty"),
        (lambda s: (str(s.base / "absent.crt"),), "file_missing"),
        (lambda s: (s.put("half.crt", b"-----BEGIN CERTIFICATE-----\nMIIB"),), "file_of_no_use"),
        (lambda s: (s.put("letter.xml", b"<?xml version='1.0'?><list/>"),), None),
        (lambda s: (s.put("bomb.xml", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),), None),
    ],
    ids=["other world", "expired", "tomorrow", "pdf", "text", "empty", "absent", "half", "xml", "bomb"],
)
def test_what_is_wrong_is_named(scene: Scene, given: Callable[[Scene], tuple[str, ...]], reason: str | None) -> None:
    found = reasons(doctor(scene, *given(scene), code=1))
    assert len(found) == 1
    assert reason is None or found == [reason]


def test_a_password_is_asked_for_only_where_one_is_needed(scene: Scene) -> None:
    key = f"{scene.firm.authentication}.key"
    assert reasons(doctor(scene, key, code=1, locked=False)) == ["password_needed"]
    doctor(scene, *scene.seal(), locked=False)
    doctor(scene, scene.p12())


def test_a_token_shows_its_company_and_nothing_that_signs_in(scene: Scene) -> None:
    path = scene.put("token.txt", f"{TOKEN}\n".encode())
    ran = doctor(scene, path)
    (file,) = listed(ran.data, "files")
    assert (file["kind"], file["context"]) == ("ksef_token", {"type": "Nip", "value": "5265877635"})
    shown = klucznik("doctor", path, "--lang", "en")
    assert SECRET not in ran.out + shown.out
    assert "delete the file" in shown.said


def test_a_certificate_of_a_person_says_so_and_hides_most_of_the_number(scene: Scene) -> None:
    shown = klucznik("doctor", *scene.person())
    assert shown.code == 0, shown
    assert "8•••••••340" in shown.said
    assert "80010112340" not in shown.said
    assert not re.search(r"doctor\.\w|looks_like\.\w", shown.said)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300) | st.sampled_from((builders.pem(builders.certificate()), builders.key_pem())), st.data())
def test_no_bytes_whatever_end_in_anything_but_a_finding(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "file"
    path.write_bytes(content[:cut] + data.draw(st.binary(max_size=5)) + content[cut:])
    now = builders.certificate().not_valid_before_utc
    (found,) = examine([path], password=lambda _: None, environment=Environment.SANDBOX, now=now)
    assert found.file == str(path)
