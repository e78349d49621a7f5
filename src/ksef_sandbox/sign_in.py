"""Signing in with a signed document: challenge, certificate, identity, and how it will end (facts.md §2).
What happens afterwards with the session and its tokens is `auth.py`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509

from ksef_sandbox import certificates, rights
from ksef_sandbox.certificates import CertificateState
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import ContextIdentifier, ContextType, Holder, Identity, IdentityType, read_holder
from ksef_sandbox.records import (
    ORDINARY,
    Certificate,
    CertificateType,
    Challenge,
    Fate,
    SignIn,
    SignInMethod,
    Status,
    identity_key,
)
from ksef_sandbox.references import Kind
from ksef_sandbox.state import World
from ksef_sandbox.xml import auth_request, xades

SUCCESS = Status(200, "Uwierzytelnianie zakończone sukcesem")
NO_RIGHTS = Status(415, "Uwierzytelnianie zakończone niepowodzeniem", ("Brak przypisanych uprawnień",))
DECEASED = Status(
    470,
    "Uwierzytelnianie zakończone niepowodzeniem",
    ("Próba wykorzystania metod autoryzacyjnych osoby zmarłej",),
)
BLOCKED = Status(
    480,
    "Uwierzytelnienie zablokowane",
    ("Podejrzenie incydentu bezpieczeństwa. Skontaktuj się z Ministerstwem Finansów przez formularz zgłoszeniowy.",),
)
CANCELLED = Status(
    550,
    "Operacja została anulowana przez system",
    ("Przetwarzanie zostało przerwane z przyczyn wewnętrznych systemu. Spróbuj ponownie.",),
)


def certificate_error(detail: str) -> Status:
    """Status 460 with its reason."""
    return Status(460, "Uwierzytelnianie zakończone niepowodzeniem z powodu błędu certyfikatu", (detail,))


_METHODS = {
    "person": SignInMethod.QUALIFIED_SIGNATURE,
    "seal": SignInMethod.QUALIFIED_SEAL,
    "peppol": SignInMethod.PEPPOL_SIGNATURE,
    "none": SignInMethod.QUALIFIED_SIGNATURE,
}


@dataclass(frozen=True, slots=True)
class Signer:
    """The signing certificate, understood; `failure` is what it does to the sign-in, if anything."""

    identity: Identity
    holder: Holder
    method: SignInMethod
    failure: Status | None
    record: Certificate | None  # of a certificate issued here


def new_challenge(world: World, now: datetime) -> Challenge:
    """Hand out a challenge; it is bound to no context and no address."""
    return world.challenges.put(Challenge(world.randomness.reference(Kind.CHALLENGE, now), now))


def take_challenge(world: World, value: str, now: datetime) -> Challenge:
    """Find a challenge that is alive; raises BadRequest 21111 (facts.md §2.1)."""
    challenge = world.challenges.get(value)
    if challenge is None or now >= challenge.issued_at + timedelta(seconds=world.switches.challenge_ttl_s):
        raise BadRequest(21111)
    if challenge.used_at is not None and world.switches.challenge_single_use:
        raise BadRequest(21111)
    return challenge


def sign_in(
    world: World,
    body: bytes,
    now: datetime,
    *,
    compliance: Literal["enforce", "warn", "off"],
    verify_chain: bool,
    fate: Fate = ORDINARY,
) -> tuple[SignIn, tuple[str, ...]]:
    """Start a sign-in with a signed AuthTokenRequest; returns it and warnings about the signature.

    Raises BadRequest with the codes of facts.md §2.6. A refused document does not use up its challenge.
    """
    document = xades.verify(body, compliance=compliance)
    accepted = frozenset(world.switches.accept_auth_schema.split(","))
    request = auth_request.parse(document.root, accept=accepted)
    challenge = take_challenge(world, request.challenge, now)
    by_fingerprint = request.subject_identifier_type == "certificateFingerprint"
    signer = _signer(world, document.certificate, now, by_fingerprint=by_fingerprint, verify_chain=verify_chain)
    is_peppol_context = request.context.type is ContextType.PEPPOL_ID
    if is_peppol_context != (signer.identity.type is IdentityType.PEPPOL_ID):
        raise BadRequest(21117)
    world.challenges.put(replace(challenge, used_at=now))
    outcome = fate.outcome or signer.failure or outcome_of(world, signer.identity, request.context, now)
    if signer.record and outcome is SUCCESS:
        world.certificates.put(replace(signer.record, last_use_at=now))
    session = SignIn(
        reference=world.randomness.reference(Kind.AUTHENTICATION, now),
        identity=signer.identity,
        holder=signer.holder,
        context=request.context,
        method=signer.method,
        started_at=now,
        ready_at=now + timedelta(milliseconds=world.switches.auth_delay_ms) + fate.delay,
        outcome=outcome,
        ip_policy=request.ip_policy,
    )
    return world.sign_ins.put(session), document.warnings


def outcome_of(world: World, identity: Identity, context: ContextIdentifier, now: datetime) -> Status:
    """How a sign-in with sound credentials ends: 480, 470, 415 or 200."""
    if identity_key(context) in world.blocked_contexts:
        return BLOCKED
    if rights.is_deceased(world, identity, now):
        return DECEASED
    return SUCCESS if rights.permissions(world, identity, context, now) else NO_RIGHTS


def _signer(
    world: World, certificate: x509.Certificate, now: datetime, *, by_fingerprint: bool, verify_chain: bool
) -> Signer:
    holder = read_holder(certificate)
    if world.ca.has_signed(certificate):
        return _internal_signer(world, certificate, holder, now, by_fingerprint=by_fingerprint)
    failure = _trust(world, certificate, now, verify_chain=verify_chain)
    return Signer(_identity(holder, by_fingerprint=by_fingerprint), holder, _METHODS[holder.kind], failure, None)


def _identity(holder: Holder, *, by_fingerprint: bool) -> Identity:
    if by_fingerprint:
        return Identity(IdentityType.FINGERPRINT, holder.fingerprint)
    if holder.kind == "none":
        raise BadRequest(21115, "Certyfikat nie zawiera wymaganych atrybutów podmiotu.")
    if holder.identity is None:
        raise BadRequest(21406)
    return holder.identity


def _internal_signer(
    world: World, certificate: x509.Certificate, holder: Holder, now: datetime, *, by_fingerprint: bool
) -> Signer:
    """A KSeF certificate is checked against our own records; its identity is the one it was issued to."""
    record = world.certificates.get(f"{certificate.serial_number:016X}")
    if record is None:
        raise BadRequest(21115)
    if record.type is CertificateType.OFFLINE and world.switches.offline_cert_login == "21115":
        raise BadRequest(21115)
    identity = record.identity
    if by_fingerprint and identity.type is not IdentityType.FINGERPRINT:
        identity = Identity(IdentityType.FINGERPRINT, holder.fingerprint)
    return Signer(identity, holder, SignInMethod.INTERNAL_CERTIFICATE, _internal_failure(record, now), record)


def _internal_failure(record: Certificate, now: datetime) -> Status | None:
    state = certificates.state_of(record, now)
    if state is CertificateState.REVOKED:
        return certificate_error("Certyfikat odwołany")
    if state is CertificateState.BLOCKED:
        return certificate_error("Certyfikat zawieszony")
    if state is CertificateState.EXPIRED or now < record.valid_from:
        return certificate_error("Nieważny certyfikat")
    return certificate_error("Niepoprawny certyfikat") if record.type is CertificateType.OFFLINE else None


def _trust(world: World, certificate: x509.Certificate, now: datetime, *, verify_chain: bool) -> Status | None:
    """No outside certificate leads to an authority known here: each is as good as self-signed (facts.md §2.5)."""
    if world.switches.env_profile != "test":
        raise BadRequest(21115)
    if verify_chain and world.switches.chain_fail_on_test == "21115":
        raise BadRequest(21115)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        return certificate_error("Nieważny certyfikat")
    return certificate_error("Niezaufany łańcuch certyfikatów") if verify_chain else None
