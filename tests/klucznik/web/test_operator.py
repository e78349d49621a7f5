"""The page of the operator: set with a certificate that is proved, and said clearly where it is not."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from tests.klucznik.databases import everything_in
from tests.klucznik.web.people import Person, office
from tests.klucznik.world import company, person, some_nip, some_pesel

from klucznik.keys.credential import Credential
from ksef_sandbox import Sandbox

PASSWORD = b"a password of the key"


async def brings(anna: Person, nip: str, credential: Credential, password: bytes = PASSWORD) -> tuple[int, str]:
    """Set the operator with a certificate and its encrypted key."""
    page = await anna.reads("/settings/operator")
    key = credential.private_key
    files = {
        "certificate": ("seal.crt", credential.certificate.public_bytes(Encoding.PEM)),
        "key": (
            "seal.key",
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD)),
        ),
    }
    data = {
        "csrf": page.split('name="csrf" value="')[1].split('"')[0],
        "nip": nip,
        "name": "Biuro Rachunkowe Żółw",
        "password": password.decode(),
    }
    answer = await anna.browser.post("/settings/operator", data=data, files=files)
    return answer.status_code, answer.text


async def test_the_operator_is_set_by_a_certificate_that_signs_in(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef) as (_, anna):
        assert "nie jest jeszcze ustawiony" in await anna.reads("/settings/operator")
        assert (await brings(anna, nip, company(nip, ksef)))[0] == 303
        page = await anna.reads("/settings/operator")
        assert nip in page
        assert "podanym certyfikatem" in page
        # Another name without a certificate: that of before stays.
        assert (await anna.send("/settings/operator", nip=nip, name="Biuro Żółw i Spółka")).status_code == 303
        page = await anna.reads("/settings/operator")
        assert ("Biuro Żółw i Spółka" in page, "podanym certyfikatem" in page) == (True, True)
    assert PASSWORD not in everything_in(tmp_path)


async def test_what_cannot_be_the_operator_is_said_and_nothing_is_kept(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef) as (_, anna):
        for status, said in (
            await brings(anna, nip, person(some_pesel(), ksef)),
            await brings(anna, nip, company(nip, ksef), password=b"wrong"),
            await brings(anna, "123", company(nip, ksef)),
        ):
            assert status == 422, said
            assert "notice-bad" in said
            assert PASSWORD.decode() not in said
        assert "nie jest jeszcze ustawiony" in await anna.reads("/settings/operator")
