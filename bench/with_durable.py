"""So many pairs in one process: `python -m bench.with_durable BASE_URL HOME KIND PAIRS AT_ONCE FIRST_NIP`.

KIND is ``in-memory`` (the same calls and proofs, nothing kept anywhere), ``issue`` (the durable road, for a caller who
waits) or ``engine`` (ordered, and carried out by the embedded engine). Keys and certificates to sign in with are made
before the clock starts.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bench.applicants import seal
from bench.marks import Moment
from klucznik.clock import SystemClock
from klucznik.domain.certificates import PAIR
from klucznik.domain.environments import Environment, endpoint
from klucznik.domain.identifiers import Context
from klucznik.domain.issuance import IssuanceState
from klucznik.keys.credential import Credential
from klucznik.keys.csr import build_csr
from klucznik.keys.generate import generate_key
from klucznik.ksef.client import KsefClient
from klucznik.ksef.kod2 import VerifyingKey, sign_link, verify_link
from klucznik.ksef.session import Session
from klucznik.ksef.xades import sign_document
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue, order
from klucznik.services.status import all_issuances


async def _in_memory(ksef: KsefClient, context: Context, credential: Credential) -> None:
    """Limits, two requests, two certificates, both proofs; a crash would lose the keys."""

    async def signed_in(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Session:
        return await ksef.sign_in(context, lambda xml: sign_document(xml, certificate, key, now=datetime.now(UTC)))

    own = cast("ec.EllipticCurvePrivateKey", credential.private_key)
    session = await signed_in(credential.certificate, own)
    assert (await session.limits()).enrollment.remaining >= len(PAIR)
    data = await session.enrollment_data()
    keys, tickets = [], []
    for kind in PAIR:
        key = await asyncio.to_thread(generate_key)
        keys.append(cast("ec.EllipticCurvePrivateKey", key))
        csr = build_csr(data, key)
        tickets.append(await session.enroll(name=f"Klucznik {kind.value} {context.value}", type=kind, csr=csr))
    serials = []
    for ticket in tickets:
        while (status := await session.enrollment_status(ticket.reference_number)).pending:
            await asyncio.sleep(0.25)
        serials.append(status.certificate_serial_number or "")
    found = await session.retrieve(serials)
    first, second = (x509.load_der_x509_certificate(found[serial].der) for serial in serials)
    # As the road proves it: the limits once more, a login with the one, a signed and verified link with the other.
    await session.limits()
    await (await signed_in(first, keys[0])).end()
    link = sign_link(
        qr_host="127.0.0.1",
        context=context,
        seller_nip=context.value,
        serial_number=serials[1],
        invoice=b"specimen",
        private_key=keys[1],
    )
    verify_link(link, cast("VerifyingKey", second.public_key()), invoice=b"specimen")
    await session.end()


async def _each(pairs: int, at_once: int, job: Callable[[int], Awaitable[None]]) -> None:
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with room:
            await job(number)

    async with asyncio.TaskGroup() as all_of_them:
        for number in range(pairs):
            all_of_them.create_task(one(number))


async def run(base_url: str, home: Path, kind: str, pairs: int, at_once: int, first: int) -> tuple[Moment, Moment]:
    nips = [str(first + number) for number in range(pairs)]
    credentials = [seal(nip) for nip in nips]
    if kind == "in-memory":
        async with KsefClient(endpoint(Environment.SANDBOX, base_url), clock=SystemClock()) as ksef:
            began = Moment.now()
            await _each(pairs, at_once, lambda n: _in_memory(ksef, Context.of_nip(nips[n]), credentials[n]))
            return began, Moment.now()
    async with await Installation.open(home, ksef_url=base_url) as klucznik:

        async def issued(number: int) -> None:
            assert isinstance(await issue(klucznik, Context.of_nip(nips[number]), credentials[number]), Issued)

        async def ordered(number: int) -> None:
            await order(klucznik, Context.of_nip(nips[number]), credentials[number])

        began = Moment.now()
        await _each(pairs, at_once, issued if kind == "issue" else ordered)
        engine = Engine(klucznik, at_once=at_once)
        while kind == "engine" and await all_issuances(klucznik, running_only=True, size=1):
            await engine.run_until_idle()
            await asyncio.sleep(0.05)
        ended = Moment.now()
        assert all(one.issuance.state is IssuanceState.DONE for one in await all_issuances(klucznik, size=pairs)), (
            "a pair is missing"
        )
    return began, ended


if __name__ == "__main__":
    base_url, home, kind, pairs, at_once, first = sys.argv[1:]
    began, ended = asyncio.run(run(base_url, Path(home), kind, int(pairs), int(at_once), int(first)))
    print(json.dumps({"wall_s": ended.at - began.at, "cpu_s": ended.cpu_s - began.cpu_s}))
