"""`klucznik serve --demo`: a world to click through, on nothing but an empty directory."""

from pathlib import Path

import httpx
import pytest
from tests.klucznik.cli.scenes import klucznik
from tests.klucznik.server.test_serving import serving

from klucznik.server.demo import FREE, REFUSED


def test_the_demo_opens_by_its_link_shows_its_companies_and_goes_on_where_it_was_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "--demo") as running, _browser(running.url) as anna:
        assert anna.get(running.said["demo"], follow_redirects=False).headers["location"] == "/"
        assert anna.cookies.get("klucznik")
        page = anna.get("/demo").text
        assert all(told in page for told in (FREE.name, FREE.nip, REFUSED.owner))
        key = anna.get(f"/demo/signatures/{FREE.pesel}/credential.key").text
        assert key.startswith("-----BEGIN PRIVATE KEY-----")
        nonsense = {"document": ("a.xml", b"no xml")}
        answer = anna.post("/demo/sign", data={"pesel": FREE.pesel}, files=nonsense)
        assert (answer.status_code, "XML" in answer.text) == (422, True)
        assert anna.get("/demo/enter/guessed").status_code == 404
    with serving(home, "--demo") as again:
        assert again.said["password"] == running.said["password"]


def test_nothing_of_the_demo_is_there_without_it(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-worker") as running, _browser(running.url) as anna:
        for path in ("/demo", "/demo/enter/x", f"/demo/signatures/{FREE.pesel}/credential.key"):
            assert anna.get(path).status_code == 404
        assert anna.post("/demo/sign", data={"pesel": FREE.pesel}).status_code == 404
        assert "/demo" not in anna.get("/sign-in").text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--ksef-url", "http://127.0.0.1:9"), "demo_elsewhere"),
        (("--env", "production"), "demo_elsewhere"),
        ((), "demo_home_in_use"),
    ],
)
def test_the_demo_stays_away_from_what_is_real(given: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    (tmp_path / "klucznik.db").touch()
    ran = klucznik("serve", "--demo", "--port", "0", "--home", tmp_path, "--json", *given)
    assert (ran.code, ran.data["reason"]) == (2, reason)


def _browser(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, follow_redirects=True)
