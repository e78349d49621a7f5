"""A world in which every page has something to show, and what stands in its address for each part in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.klucznik.web.sites import Site
from tests.klucznik.world import context_of, owner, some_nip

from klucznik.domain.roles import Role
from klucznik.services.invitations import invite
from klucznik.services.issue import issue

NIP = "5265877635"


@dataclass(frozen=True)
class Filled:
    """What is there to be looked at.

    Attributes:
        parts: what stands for ``{name}`` in an address.
        addresses: whole addresses, for routes whose part means something else there.
    """

    parts: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def address_of(self, route: str) -> str:
        """The address of a route with its parts filled in; a part that nobody has named here is an error."""
        return self.addresses.get(route) or re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: self.parts[part[1]], route)


async def filled(site: Site) -> Filled:
    """A company with its pair, and one that is invited."""
    await issue(site.klucznik, context_of(NIP), owner(NIP, site.ksef))
    staff = await site.user(Role.STAFF)
    invited = await invite(site.klucznik, staff.principal, some_nip(), name="Piekarnia Ślimak")
    return Filled(
        parts={"nip": NIP, "invitation_id": invited.invitation.id, "token": invited.token},
    )
