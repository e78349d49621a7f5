"""A world in which every page has something to show, and what stands in its address for each part in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlalchemy import Connection
from tests.klucznik.web.sites import Site
from tests.klucznik.world import context_of, owner, some_nip

from klucznik.domain.accounts import LinkPurpose
from klucznik.domain.roles import Role
from klucznik.services.account_links import make_link
from klucznik.services.browser_sessions import open_session
from klucznik.services.invitations import invite
from klucznik.services.issue import issue

NIP = "5265877635"


@dataclass(frozen=True)
class Filled:
    """What is there to be looked at.

    Attributes:
        parts: what stands for ``{name}`` in an address.
        invited: the session of a client who has opened an invitation.
        addresses: whole addresses, for routes whose part means something else there or that look different each time.
    """

    invited: str
    parts: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def addresses_of(self, route: str) -> tuple[str, ...]:
        """The addresses of a route; a part that nobody has named here is an error."""
        if route in self.addresses:
            return self.addresses[route]
        return (re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: self.parts[part[1]], route),)


async def filled(site: Site) -> Filled:
    """Everything, made once."""
    klucznik = site.klucznik
    await issue(klucznik, context_of(NIP), owner(NIP, site.ksef))
    staff = await site.user(Role.STAFF)
    invited = await invite(klucznik, staff.principal, some_nip(), name="Piekarnia Ślimak")
    session, _ = await open_session(klucznik, invitation_id=invited.invitation.id)
    return Filled(
        invited=session,
        parts={"nip": NIP, "invitation_id": invited.invitation.id, "token": invited.token},
        addresses={
            "/password/{token}": (f"/password/{await _link(site)}",),
        },
    )


async def _link(site: Site) -> str:
    """Of a colleague who has no password yet."""
    user = await site.user(Role.STAFF)

    def commit(transaction: Connection) -> str:
        return make_link(site.klucznik, transaction, LinkPurpose.INVITED, user)

    return await site.klucznik.database.write(commit)
