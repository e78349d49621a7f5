"""Four worlds: addresses lead to the right one, and never across."""

import pytest

from klucznik.domain.environments import Endpoint, Environment, endpoint
from klucznik.domain.values import InvalidValue

OFFICIAL = {
    Environment.TEST: Endpoint(Environment.TEST, "https://api-test.ksef.mf.gov.pl/v2", "qr-test.ksef.mf.gov.pl"),
    Environment.DEMO: Endpoint(Environment.DEMO, "https://api-demo.ksef.mf.gov.pl/v2", "qr-demo.ksef.mf.gov.pl"),
    Environment.PRODUCTION: Endpoint(Environment.PRODUCTION, "https://api.ksef.mf.gov.pl/v2", "qr.ksef.mf.gov.pl"),
}


@pytest.mark.parametrize("environment", OFFICIAL)
def test_official_addresses_are_those_of_the_ministry(environment: Environment) -> None:
    assert endpoint(environment) == OFFICIAL[environment]


@pytest.mark.parametrize("environment", Environment)
@pytest.mark.parametrize("other", OFFICIAL)
def test_the_address_of_one_environment_is_refused_for_another(environment: Environment, other: Environment) -> None:
    api = OFFICIAL[other].api
    if environment is other:
        assert endpoint(environment, api).api == api
        return
    with pytest.raises(InvalidValue) as caught:
        endpoint(environment, api)
    assert caught.value.reason == "ksef_url_of_other_environment"
    assert caught.value.data["other"] == other.value


@pytest.mark.parametrize("environment", OFFICIAL)
def test_no_official_environment_is_reached_without_encryption(environment: Environment) -> None:
    with pytest.raises(InvalidValue) as caught:
        endpoint(environment, "http://proxy.example/v2")
    assert caught.value.reason == "ksef_url_not_encrypted"


@pytest.mark.parametrize("environment", OFFICIAL)
def test_a_proxy_does_not_change_what_is_signed_into_a_kod2_link(environment: Environment) -> None:
    found = endpoint(environment, "https://proxy.example/ksef/v2/")
    assert found == Endpoint(environment, "https://proxy.example/ksef/v2", OFFICIAL[environment].qr_host)


@pytest.mark.parametrize(
    ("url", "api", "qr_host"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/v2", "127.0.0.1:9000"),
        ("http://127.0.0.1:9000/v2/", "http://127.0.0.1:9000/v2", "127.0.0.1:9000"),
        (" http://localhost:8380/v2 ", "http://localhost:8380/v2", "localhost:8380"),
    ],
)
def test_a_sandbox_is_wherever_the_user_says(url: str, api: str, qr_host: str) -> None:
    assert endpoint(Environment.SANDBOX, url) == Endpoint(Environment.SANDBOX, api, qr_host)


@pytest.mark.parametrize(
    "url", ["", "ksef", "ftp://host/v2", "https://", "https://host/v2?x=1", "https://host/v2#x", "https://u:p@host/v2"]
)
def test_what_is_no_address_is_refused_and_no_password_is_shown_back(url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        endpoint(Environment.TEST, url)
    assert caught.value.reason == "ksef_url_malformed"
    assert "u:p" not in str(caught.value.data)


@pytest.mark.parametrize("text", ["test", " TEST ", "Test"])
def test_an_environment_is_read_in_any_letter_case(text: str) -> None:
    assert Environment.parse(text) is Environment.TEST


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidValue) as caught:
        Environment.parse("prod")
    assert caught.value.data["known"] == "sandbox, test, demo, production"


def test_only_test_and_the_sandbox_take_self_signed_certificates() -> None:
    takes = {environment for environment in Environment if environment.accepts_self_signed}
    assert takes == {Environment.SANDBOX, Environment.TEST}
