"""The command line with keys on a card and an HSM (SoftHSM): the story, the mistakes, and PINs that show nowhere."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from tests.klucznik.cli.scenes import Ran, Scene, done, klucznik
from tests.klucznik.tokens import CARD, CARD_PIN, HSM, HSM_PIN, WRONG_PIN, Tokens

from klucznik.keys.generate import generate_key
from klucznik.keys.reading import certificates_in, key_in

CARD_VARIABLE, WRONG_VARIABLE = "CARD_PIN", "WRONG_CARD_PIN"


@pytest.fixture
def settings(tokens: Tokens, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's PIN in a variable, the HSM as the token of the installation."""
    for name, value in {
        CARD_VARIABLE: CARD_PIN,
        WRONG_VARIABLE: WRONG_PIN,
        "KLUCZNIK_PKCS11_MODULE": tokens.module,
        "KLUCZNIK_PKCS11_TOKEN": "pkcs11:token=Klucze%20KSeF",
        "KLUCZNIK_PKCS11_PIN": HSM_PIN,
        "KLUCZNIK_HOME": str(scene.home),
        "KLUCZNIK_KSEF_URL": scene.ksef.base_url,
    }.items():
        monkeypatch.setenv(name, value)


def on_card(tokens: Tokens, scene: Scene, nip: str) -> str:
    """The seal of a company on the card; the URI that signs in."""
    cert, key = (Path(file) for file in scene.seal(nip=nip))
    (certificate,) = certificates_in(cert.read_bytes(), "")
    return str(tokens.put(CARD, key_in(key.read_bytes(), None, ""), certificate, name="Pieczęć firmy"))


def listed(ran: Ran, name: str) -> list[dict[str, object]]:
    found = ran.data[name]
    assert isinstance(found, list)
    return found


@pytest.mark.usefixtures("settings")
def test_a_card_signs_in_and_an_hsm_keeps_the_pair_and_no_pin_is_seen(
    tokens: Tokens, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nip = "5841234567"
    signs_in = ("--nip", nip, "--key", on_card(tokens, scene, nip), "--key-password-env", CARD_VARIABLE)
    runs = [
        done("pkcs11", "list", "--token", f"pkcs11:token={CARD}", "--pin-env", CARD_VARIABLE),
        done("limits", *signs_in),
        done("issue", *signs_in, "--keys-on-token"),
        klucznik("limits", *signs_in[:-1], WRONG_VARIABLE, "--debug"),
        klucznik("limits", *signs_in[:-1], WRONG_VARIABLE, "--json"),
        done("certificates"),
        done("certificates", "--nip", nip),  # the key on the HSM signs in
        klucznik("export", "--nip", nip, "--out", "out", "--password-env", "KEY_PASSWORD"),
        done("export", "--nip", nip, "--out", "out", "--format", "crt"),
        done("pkcs11", "list", "--lang", "en"),
    ]
    assert [ran.code for ran in runs] == [0, 0, 0, 2, 2, 0, 0, 2, 0, 0]
    assert "Pieczęć firmy" in runs[0].out
    assert "NIP 5841234567" in runs[0].said  # whose certificate it is
    assert "karcie albo HSM" in runs[2].said
    assert "klucznik pkcs11 list" not in runs[3].err
    assert runs[5].out.count("karta/HSM") == 2
    assert "--format crt" in runs[7].err
    for file in Path("out").iterdir():
        assert x509.load_pem_x509_certificate(file.read_bytes())
        assert file.suffix == ".crt"
    seen = "\n".join((*(ran.out + ran.err for ran in runs), caplog.text)).encode()
    kept = b"".join(file.read_bytes() for file in scene.base.rglob("*") if file.is_file())
    for pin in (CARD_PIN, HSM_PIN, WRONG_PIN):
        assert pin.encode() not in seen
        assert pin.encode() not in kept


@pytest.mark.usefixtures("settings")
def test_the_list_says_which_keys_of_klucznik_this_vault_does_not_know(tokens: Tokens, scene: Scene) -> None:
    key_id = "ab" * 16
    tokens.put(HSM, generate_key(), name=f"klucznik-{key_id}")
    looked = ("pkcs11", "list", "--token", "pkcs11:token=Klucze%20KSeF", "--pin-env", "KLUCZNIK_PKCS11_PIN", "--json")
    (hsm,) = listed(done(*looked), "tokens")
    assert not scene.home.exists()  # looking makes no installation
    done("certificates")
    (hsm,) = listed(done(*looked), "tokens")
    assert isinstance(hsm["objects"], list)
    (orphan,) = [one for one in hsm["objects"] if f"klucznik-{key_id}" in one["uri"]]
    assert (orphan["made_by_klucznik"], orphan["unknown_to_vault"], orphan["private_key"]) == (True, True, True)


def _mistakes() -> list[tuple[str, Callable[[str], list[str]], dict[str, str], str]]:
    def limits(*more: str) -> Callable[[str], list[str]]:
        return lambda uri: ["limits", "--nip", "5841234568", *(part.replace("URI", uri) for part in more)]

    pin = ("--key-password-env", CARD_VARIABLE)
    card = f"pkcs11:token={CARD}"
    return [
        ("a PIN in the URI", limits("--key", "URI?pin-value=kanarek-w-adresie"), {}, "pkcs11_uri_holds_pin"),
        ("no PIN", limits("--key", "URI"), {}, "pkcs11_pin_needed"),
        ("no key named", limits("--key", card, *pin), {}, "pkcs11_uri_names_no_key"),
        ("no such key", limits("--key", f"{card};object=nie%20ma", *pin), {}, "pkcs11_key_missing"),
        ("no such token", limits("--key", "pkcs11:token=Nie%20ma;id=%01", *pin), {}, "pkcs11_token_missing"),
        ("two tokens alike", limits("--key", "pkcs11:token=Bli%C5%BAniak;id=%01", *pin), {}, "pkcs11_tokens_alike"),
        ("no library", limits("--key", "URI", *pin), {"KLUCZNIK_PKCS11_MODULE": ""}, "pkcs11_module_not_given"),
        ("a missing library", limits("--key", "URI", *pin, "--pkcs11-module", "/x.so"), {}, "pkcs11_module_missing"),
        ("a setting that is no URI", limits(), {"KLUCZNIK_PKCS11_TOKEN": HSM}, "pkcs11_uri_malformed"),
        (
            "no token of the installation",
            lambda uri: ["issue", "--nip", "5841234568", "--key", uri, *pin, "--keys-on-token"],
            {"KLUCZNIK_PKCS11_TOKEN": ""},
            "pkcs11_token_not_set",
        ),
    ]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(("given", "variables", "reason"), [pytest.param(*one[1:], id=one[0]) for one in _mistakes()])
def test_mistakes_with_tokens_are_said_in_both_languages(
    tokens: Tokens,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    given: Callable[[str], list[str]],
    variables: dict[str, str],
    reason: str,
) -> None:
    uri = on_card(tokens, scene, "5841234568")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = {language: klucznik(*given(uri), "--lang", language) for language in ("pl", "en")}
    told["json"] = klucznik(*given(uri), "--json")
    assert {ran.code for ran in told.values()} == {2}, told
    assert told["json"].data["reason"] == reason
    assert told["pl"].said != told["en"].said
    assert all("→" in told[language].err for language in ("pl", "en"))
    assert "kanarek" not in "".join(ran.out + ran.err for ran in told.values())
