"""A sandbox that has been busy: `python -m bench.with_full_sandbox SUBJECTS CERTIFICATES`, each has so many of them.

Sign-ins, checks of the CSRs and signatures of the CA are those of every request; only HTTP is left out while it fills.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import islice

from bench.light_client import Company, companies
from ksef_sandbox import enrollments, sign_in
from ksef_sandbox.app import create_app
from ksef_sandbox.records import CertificateType
from ksef_sandbox.server import listen, new_event_loop, serve, url_of
from ksef_sandbox.state import World
from ksef_sandbox.switches import Switches

FIRST = 611_000_000
DATA = {
    "countryName": "PL",
    "organizationName": "Spółka Testowa",
    "commonName": "Spółka Testowa",
}


def main(subjects: int, certificates: int) -> None:
    world = World(switches=Switches(auth_delay_ms=0, enroll_delay_ms=0, rate_profile="off"))
    listener = listen("127.0.0.1", 0)
    started = time.process_time()
    for company in islice(companies(FIRST), subjects):
        fill(world, company, certificates)
    filled = time.process_time() - started
    assert len(world.certificates) == subjects * certificates

    def announce() -> None:
        print(json.dumps({"base_url": f"{url_of(listener)}/v2", "filled_cpu_s": filled}), flush=True)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(create_app(world), listener, asyncio.Event(), announce))


def fill(world: World, company: Company, certificates: int) -> None:
    now = world.clock.now()
    body = company.signed_request(sign_in.new_challenge(world, now).value)
    session, _ = sign_in.sign_in(world, body, now, compliance="enforce", verify_chain=False)
    csr = company.csr({**DATA, "organizationIdentifier": f"VATPL-{company.nip}"})
    for number in range(certificates):
        kind = list(CertificateType)[number % 2]
        enrollments.enroll(world, session, enrollments.Request(f"Bench {number}", kind, csr, None), world.clock.now())
    enrollments.process_due(world, world.clock.now())


if __name__ == "__main__":
    subjects, certificates = sys.argv[1:]
    main(int(subjects), int(certificates))
