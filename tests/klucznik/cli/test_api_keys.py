"""Keys of the API on the command line: shown once, listed, revoked."""

from tests.klucznik.cli.lines import at, listed, part
from tests.klucznik.cli.scenes import NIP, Scene, done, klucznik


def test_a_key_is_shown_once_then_listed_and_revoked(scene: Scene) -> None:
    made = done(
        "api-key", "add", "--name", "Nocny import", "--scope", "see", "--scope", "issue", "--nip", NIP, *at(scene)
    )
    secret = next(word for word in made.out.split() if word.startswith("klk_"))
    assert "drugi raz" in made.said
    one = next(
        key for key in listed(done("api-key", "list", "--json", *at(scene)).data, "keys") if key["shown"] == secret[:12]
    )
    assert (one["state"], one["scopes"], one["nip"], one["created_by"]) == ("good", ["issue", "see"], NIP, None)
    shown = done("--lang", "en", "api-key", "list", *at(scene)).said
    assert f"NIP {NIP}" in shown
    assert secret not in shown
    rotated = done("api-key", "rotate", str(one["id"]), "--overlap", "1", "--json", *at(scene)).data
    assert (rotated["outcome"], part(rotated, "key")["id"]) == ("api_key_rotated", one["id"])
    assert part(rotated, "key")["former_secrets_until"]
    assert "Dotychczasowy sekret działa jeszcze" in done("api-key", "list", *at(scene)).said
    assert "już nie działa" in done("api-key", "rotate", str(one["id"]), "--overlap", "0", *at(scene)).said
    gone = done("api-key", "revoke", str(one["id"]), "--json", *at(scene)).data
    assert (gone["outcome"], part(gone, "key")["state"]) == ("api_key_revoked", "revoked")
    assert "unieważniony" in done("api-key", "list", *at(scene)).said


def test_a_scope_that_is_not_there_names_those_that_are(scene: Scene) -> None:
    ran = klucznik("api-key", "add", "--name", "x", "--scope", "administer", *at(scene))
    assert (ran.code, ran.out) == (2, "")
    assert "connect" in ran.said
    assert klucznik("api-key", "revoke", "nic", *at(scene)).code == 2
