"""Requests that are repeated at the same moment. What callers of the API see of it is in `tests.klucznik.api`."""

import asyncio
from pathlib import Path

from tests.klucznik.onboardings import STAFF
from tests.klucznik.world import installed, some_nip

from klucznik.errors import InputError
from klucznik.services import invitations
from klucznik.services.accounts.idempotency import Answer, Claim, once
from ksef_sandbox import Sandbox


async def test_whoever_repeats_a_request_while_it_fails_is_told_so_or_fails_alike(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async def refused(_: Claim) -> Answer:
        raise InputError("invitation_there", nip="5250001003")

    async with installed(tmp_path, ksef) as klucznik:
        for number in range(10):
            asked = (once(klucznik, "key:1", f"number {number}", b"POST /invitations", refused) for _ in range(16))
            ends = await asyncio.gather(*asked, return_exceptions=True)
            assert {end.reason if isinstance(end, InputError) else end for end in ends} <= {
                "invitation_there",
                "idempotency_key_in_use",
            }


async def test_what_is_told_once_is_the_same_in_every_answer_to_the_same_request(ksef: Sandbox, tmp_path: Path) -> None:
    """The link of an invitation: were it made anew for the second who asks, the first would have one that is dead."""
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:

        async def invite(claim: Claim) -> Answer:
            if claim.made is not None:
                made = await invitations.renew_link(klucznik, STAFF, claim.made)
            else:
                made = await invitations.invite(klucznik, STAFF, nip, note=claim.record)
            if claim.made is None:  # another process takes it over before this one has answered
                links.append((await once(klucznik, "key:1", "one", b"POST /invitations", invite)).body)
            return Answer(201, {}, made.token.encode())

        links: list[bytes] = []
        ends = await asyncio.gather(
            *(once(klucznik, "key:1", "one", b"POST /invitations", invite) for _ in range(4)), return_exceptions=True
        )
        links += [end.body for end in ends if isinstance(end, Answer)]
        links.append((await once(klucznik, "key:1", "one", b"POST /invitations", invite)).body)
        assert len(set(links)) == 1
        assert (await invitations.look(klucznik, links[0].decode())).trouble is None
