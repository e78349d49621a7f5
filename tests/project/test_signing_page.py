"""The program on docs/signing.md runs as it stands, against a sandbox, with a signing service of the tests."""

import re

from tests.klucznik.signers import by_dss
from tests.project import pages
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox

NIP = "5265877635"


async def test_the_program_on_the_page_signs_in_with_a_service_of_one_s_own() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", pages.page("docs/signing.md"), re.DOTALL)
    seal = make_seal(nip=NIP)

    async def signing_service(document: bytes) -> bytes:
        return by_dss(document, seal)

    namespace: dict[str, object] = {"signing_service": signing_service}
    exec(compile(program, "docs/signing.md", "exec"), namespace)  # noqa: S102  it is our own page
    requests_left = namespace["requests_left"]
    assert callable(requests_left)
    with Sandbox() as ksef:
        assert await requests_left(ksef.base_url, NIP) > 0
