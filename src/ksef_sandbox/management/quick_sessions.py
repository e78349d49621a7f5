"""A session without a signature, which no real KSeF gives: for curl, for a first look, for tests of what comes after.
Rights, limits and everything else are those of an ordinary sign-in.
"""

from datetime import datetime

from ksef_sandbox import auth, sign_in
from ksef_sandbox.auth import TokenPair
from ksef_sandbox.identity import ContextIdentifier, ContextType, Holder, Identity, IdentityType
from ksef_sandbox.records import SignIn, SignInMethod
from ksef_sandbox.references import Kind
from ksef_sandbox.state import World

_FINGERPRINT = "0" * 64  # there is no certificate


class NoSession(Exception):
    """This identity may not enter this context; the message is a whole sentence."""


def open_session(world: World, nip: str, pesel: str | None, now: datetime) -> TokenPair:
    """Sign a company in with its own seal, or a person into the company's context; raises NoSession."""
    identity = Identity(IdentityType.NIP, nip) if pesel is None else Identity(IdentityType.PESEL, pesel)
    context = ContextIdentifier(ContextType.NIP, nip)
    outcome = sign_in.outcome_of(world, identity, context, now)
    if outcome.code != 200:
        reason = "; ".join(outcome.details) or outcome.description
        raise NoSession(f"{identity.type} {identity.value} cannot enter the context of NIP {nip}: {reason}.")
    session = SignIn(
        reference=world.randomness.reference(Kind.AUTHENTICATION, now),
        identity=identity,
        holder=_company(identity) if pesel is None else _person(identity),
        context=context,
        method=SignInMethod.QUALIFIED_SEAL if pesel is None else SignInMethod.QUALIFIED_SIGNATURE,
        started_at=now,
        ready_at=now,
        outcome=outcome,
    )
    world.sign_ins.put(session)
    return auth.redeem(world, session.reference, now)


def _company(identity: Identity) -> Holder:
    return Holder(
        kind="seal",
        identity=identity,
        fingerprint=_FINGERPRINT,
        common_name=f"Sandbox {identity.value}",
        country_name="PL",
        organization_name=f"Sandbox {identity.value}",
        organization_identifier=f"VATPL-{identity.value}",
    )


def _person(identity: Identity) -> Holder:
    return Holder(
        kind="person",
        identity=identity,
        fingerprint=_FINGERPRINT,
        common_name="Jan Sandbox",
        country_name="PL",
        given_name="Jan",
        surname="Sandbox",
        serial_number=f"PNOPL-{identity.value}",
    )
