"""Builders for tests of onboardings: who asks, and how far along somebody is brought."""

import secrets
from datetime import timedelta

from tests.klucznik.signers import by_dss
from tests.klucznik.world import context_of, some_nip
from tests.sandbox.signing import TestCredential

from klucznik.domain.connections import Method
from klucznik.domain.invitations import Invitation
from klucznik.domain.onboarding import Onboarding, SignerKind
from klucznik.domain.roles import ACTIONS, SCOPES, Principal, Role
from klucznik.keys.credential import Credential
from klucznik.services import onboarding as onboardings
from klucznik.services.installation import Installation
from klucznik.storage import invitations

STAFF = Principal("user:1", "staff@example.pl", Role.STAFF, ACTIONS[Role.STAFF])
AUDITOR = Principal("user:2", "auditor@example.pl", Role.AUDITOR, ACTIONS[Role.AUDITOR])


async def client(klucznik: Installation, nip: str) -> Principal:
    """Who came by an invitation for that company; each call is another invitation."""
    now = klucznik.clock.now()
    invitation = Invitation(
        id=secrets.token_hex(16),
        environment=klucznik.environment,
        token_hash=secrets.token_hex(32),
        context=context_of(nip),
        created_by=STAFF.id,
        created_at=now,
        expires_at=now + timedelta(days=14),
    )
    await klucznik.database.write(lambda transaction: invitations.add(transaction, [invitation]))
    return Principal(f"invitation:{invitation.id}", nip, Role.CLIENT, ACTIONS[Role.CLIENT], nip)


def api_key(nip: str | None = None, number: int = 1) -> Principal:
    return Principal(f"key:{number}", "Integracja", None, SCOPES, nip)


async def begun(
    klucznik: Installation,
    nip: str | None = None,
    *,
    by: Principal = STAFF,
    signer: SignerKind = SignerKind.PERSON,
    method: Method = Method.CERTIFICATES,
) -> Onboarding:
    """All choices made."""
    new = await onboardings.begin(klucznik, nip or some_nip(), by=by, name="Piekarnia Ślimak")
    await onboardings.choose_signer(klucznik, new.id, by, signer)
    return await onboardings.choose_method(klucznik, new.id, by, method)


async def signed(
    klucznik: Installation,
    nip: str,
    credential: Credential,
    *,
    by: Principal = STAFF,
    method: Method = Method.CERTIFICATES,
) -> Onboarding:
    """All choices made, and signed in with a key."""
    new = await begun(klucznik, nip, by=by, method=method)
    return await onboardings.sign_in_with_key(klucznik, new.id, by, credential)


def by_another_program(document: bytes, credential: Credential) -> bytes:
    """The document as another program signs it, with the same certificate and key."""
    return by_dss(document, TestCredential(credential.certificate, credential.private_key))
