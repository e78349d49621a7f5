"""A world in which every page has something to show, and what stands in its address for each part in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlalchemy import Connection
from tests.klucznik.onboardings import begun, signed
from tests.klucznik.web.sites import Site
from tests.klucznik.world import company, context_of, installed, owner, set_limits, some_nip

from klucznik.domain.accounts import LinkPurpose
from klucznik.domain.connections import Method
from klucznik.domain.onboarding import (
    Act,
    Onboarding,
    Setback,
    UnderWay,
    act_begun,
    act_failed,
    being_checked,
    not_signed_in,
)
from klucznik.domain.roles import Principal, Role
from klucznik.services import onboarding as onboardings
from klucznik.services.accounts.account_links import make_link
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.engine import Engine
from klucznik.services.imports import bring
from klucznik.services.installation import Installation
from klucznik.services.invitations import invite
from klucznik.services.issue import Issued, issue
from klucznik.services.onboarding import rows
from klucznik.services.operator import set_operator
from klucznik.services.telling import webhooks
from klucznik.services.telling.rounds import Outlets, tell_until_idle

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
    issued = await issue(klucznik, context_of(NIP), owner(NIP, site.ksef))
    assert isinstance(issued, Issued)
    staff = await site.user(Role.STAFF)
    invited = await invite(klucznik, staff.principal, some_nip(), name="Piekarnia Ślimak")
    session, _ = await open_session(klucznik, invitation_id=invited.invitation.id)
    office = some_nip()
    await set_operator(klucznik, office, "Biuro Rachunkowe Żółw sp. z o.o.", company(office, site.ksef))
    refused = await _refused(site, staff.principal)
    others = await _others(site, staff.principal)
    content = f"nip;nazwa\n{some_nip()};Kwiaciarnia Róża\n123;{'Bar ' * 20}".encode()
    brought = await bring(klucznik, staff.principal, content, file_name="klienci.csv")
    return Filled(
        invited=session,
        parts={
            "user_id": staff.id,
            "nip": NIP,
            "serial": issued.certificates[0].serial_number,
            "invitation_id": invited.invitation.id,
            "token": invited.token,
            "onboarding_id": refused.id,
            "import_id": brought.bulk_import.id,
            "webhook_id": await _webhook(site),
            "key_id": (await make_key(klucznik, "Nocny import", ["see"], days=90))[1].id,
        },
        addresses={
            "/password/{token}": (f"/password/{await _link(site)}",),
            "/sign-in/second": (),  # only between password and second factor: see test_passkeys
            "/connect/{onboarding_id}": tuple(f"/connect/{one.id}" for one in (refused, *others)),
            "/connect/{onboarding_id}/revoke/asked": (_to_revoke(refused),),
        },
    )


async def _webhook(site: Site) -> str:
    """One that nobody answers at, with something on its way."""
    async with Outlets(private_webhooks=True).post() as post:
        opened = await webhooks.make(site.klucznik, post, "http://127.0.0.1:9/", created_by="user:anna")
    await webhooks.ping(site.klucznik, opened.webhook)
    await tell_until_idle(site.klucznik, Outlets())
    return opened.webhook.id


async def _link(site: Site) -> str:
    """Of a colleague who has no password yet."""
    user = await site.user(Role.STAFF)

    def commit(transaction: Connection) -> str:
        return make_link(site.klucznik, transaction, LinkPurpose.INVITED, user)

    return await site.klucznik.database.write(commit)


async def _refused(site: Site, by: Principal) -> Onboarding:
    """An onboarding that the limits hold up, with every way out: certificates are held whose keys are elsewhere."""
    nip, klucznik = some_nip(), site.klucznik
    person = owner(nip, site.ksef)
    async with installed(klucznik.home / "another", site.ksef) as another:
        await issue(another, context_of(nip), person)
    set_limits(site.ksef, person.holder.signs_in_as, enrollment=3, certificate=3)
    asked = await signed(klucznik, nip, person, by=by)
    return (await onboardings.look(klucznik, asked.id, by)).onboarding


async def _others(site: Site, by: Principal) -> list[Onboarding]:
    """Steps that the whole way to a pair does not lead by (`test_wizard_in_a_browser` looks at those)."""
    klucznik, nip = site.klucznik, some_nip()
    bringing = [await begun(klucznik, by=by, method=method) for method in (Method.IMPORTED, Method.TOKEN)]
    granting = await signed(klucznik, nip, owner(nip, site.ksef), by=by, method=Method.PERMISSION)
    waiting = await _refused(site, by)
    await onboardings.wait_for_limits(klucznik, waiting.id, by)
    await Engine(klucznik).run_until_idle()
    given_up = await onboardings.give_up(klucznik, (await begun(klucznik, by=by)).id, by)
    granted = await _refused(site, by)
    operator = await onboardings.proposed_grant(klucznik, granted.id, by)
    await onboardings.grant(klucznik, granted.id, by, operator_nip=operator.operator.nip)
    checked = await _checked(klucznik, by)
    acts = [await _acting(site, by, act) for act in Act]
    failed = await signed(klucznik, nip := some_nip(), owner(nip, site.ksef), by=by, method=Method.PERMISSION)
    await rows.saved(klucznik, act_failed(failed, Act.GRANT, refused=True, code=400))
    return [*bringing, granting, waiting, given_up, granted, checked, await _unchecked(klucznik, by), *acts, failed]


async def _acting(site: Site, by: Principal, act: Act) -> Onboarding:
    """KSeF is at it."""
    nip = some_nip()
    asked = await signed(site.klucznik, nip, owner(nip, site.ksef), by=by, method=Method.PERMISSION)
    return await rows.saved(site.klucznik, act_begun(asked, UnderWay(act, site.klucznik.clock.now())))


async def _checked(klucznik: Installation, by: Principal) -> Onboarding:
    """Its document is with KSeF."""
    asked = await begun(klucznik, by=by)
    return await rows.saved(klucznik, being_checked(asked, "1" * 32, klucznik.clock.now()))


async def _unchecked(klucznik: Installation, by: Principal) -> Onboarding:
    """KSeF has refused who signed."""
    asked = await begun(klucznik, by=by)
    return await rows.saved(klucznik, not_signed_in(asked, Setback.SIGN_IN_REFUSED, 415))


def _to_revoke(refused: Onboarding) -> str:
    """The page that asks before it revokes what is suggested."""
    remedies = () if refused.refusal is None else refused.refusal.remedies
    (serial,) = {serial for one in remedies if one.suggested for serial in one.serial_numbers[:1]}
    return f"/connect/{refused.id}/revoke/asked?serial={serial}"
