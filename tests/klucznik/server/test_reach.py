"""At which address people find the pages, and what `klucznik serve` refuses before it listens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.klucznik.server.tls_files import tls_files

from klucznik.errors import InputError
from klucznik.keys.test_credential import VALIDITY
from klucznik.server.reach import reach
from klucznik.server.settings import read_settings
from klucznik.server.tls import tls_context

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WITH_TLS = {"tls_cert": "cert.pem", "tls_key": "key.pem"}
ADDRESS = "https://klucznik.example.pl"
EVERYWHERE = "0.0.0.0"  # noqa: S104  never bound to


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://localhost:8080"),
        ({"host": "::1", "port": 80}, "http://localhost"),
        ({"public_url": "http://localhost:9000/"}, "http://localhost:9000"),
        (WITH_TLS | {"host": "10.0.0.5", "port": 443}, "https://10.0.0.5"),
        (WITH_TLS | {"host": EVERYWHERE, "public_url": " HTTPS://Klucznik.example.pl "}, ADDRESS),
        ({"host": EVERYWHERE, "public_url": ADDRESS, "behind_proxy": "10.0.0.1, 10.2.0.0/16"}, ADDRESS),
    ],
)
def test_people_find_it_at_the_address_that_was_given_or_where_it_listens(
    given: dict[str, object], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(**given)
    web = reach(settings, port=settings.port)
    assert web.public_url == url
    assert web.secure == url.startswith("https")
    for name, value in given.items():
        monkeypatch.setenv(f"KLUCZNIK_{name.upper()}", str(value))
    assert read_settings() == settings  # a variable says the same as an option


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"host": EVERYWHERE}, "plain_http_not_local"),
        ({"host": "klucznik.example.pl"}, "plain_http_not_local"),
        ({"tls_cert": "cert.pem"}, "tls_half"),
        ({"tls_key": "key.pem", "host": EVERYWHERE}, "tls_half"),
        (WITH_TLS | {"host": EVERYWHERE}, "public_url_needed"),
        ({"behind_proxy": "127.0.0.1"}, "public_url_needed"),
        ({"public_url": ADDRESS}, "proxy_not_named"),
        ({"public_url": "http://klucznik.example.pl", "behind_proxy": "127.0.0.1"}, "public_url_not_encrypted"),
        (WITH_TLS | {"public_url": "http://localhost"}, "public_url_not_encrypted"),
        ({"public_url": "klucznik.example.pl"}, "public_url_malformed"),
        ({"public_url": "https://anna:haslo@klucznik.example.pl"}, "public_url_malformed"),
        ({"public_url": f"{ADDRESS}/ksef"}, "public_url_malformed"),
        ({"public_url": f"{ADDRESS}:x"}, "public_url_malformed"),
        ({"behind_proxy": "proxy.example.pl"}, "proxy_address_malformed"),
        ({"port": "osiem"}, "setting_malformed"),
        ({"port": 65536}, "setting_malformed"),
    ],
)
def test_what_would_be_a_bad_idea_is_refused_with_its_reason(given: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError) as refused:
        reach(read_settings(**given), port=8080)
    assert refused.value.reason == reason
    assert "haslo" not in str(refused.value)


def test_wrong_files_of_tls_are_told_apart(tmp_path: Path) -> None:
    def reason(files: dict[str, Path], now: datetime = NOW) -> str:
        with pytest.raises(InputError) as refused:
            tls_context(files["cert"], files["key"], now=now)
        return refused.value.reason

    good = tls_files(tmp_path, now=NOW)
    tls_context(good["cert"], good["key"], now=NOW)
    assert reason(good, NOW + VALIDITY) == "tls_cert_expired"
    assert reason(good, NOW - timedelta(days=1)) == "tls_cert_not_yet_valid"
    assert reason({"cert": good["key"], "key": good["cert"]}) == "tls_cert_malformed"
    assert reason(good | {"key": good["cert"]}) == "tls_key_malformed"
    assert reason(good | {"key": tmp_path / "absent.pem"}) == "tls_file_unreadable"
    assert reason(tls_files(tmp_path, now=NOW, other_key=True)) == "tls_key_of_other_cert"
    assert reason(tls_files(tmp_path, now=NOW, password=b"haslo")) == "tls_key_encrypted"
