"""Signing in by a document that a person signs in another program, minutes later and perhaps for another process.

The waiting is a row (`domain.signature_requests`). What goes on after the sign-in is `services.signed_purpose`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Issuance
from klucznik.domain.signature_requests import CHALLENGE_LASTS, PROCESSED_WITHIN, Options, Purpose, SignatureRequest
from klucznik.errors import AnswerLost, InputError, KsefUnavailable, Paced, RateLimited, SignedDocumentError
from klucznik.keys.holder import subject_named
from klucznik.ksef.answers import PendingSignIn
from klucznik.ksef.auth_request import SubjectIdentifierType, auth_token_request
from klucznik.ksef.session import Session
from klucznik.ksef.signed_document import challenge_in
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.patience import in_turn
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.resume import running
from klucznik.services.sign_in import SignedIn, sign_out
from klucznik.services.signed_by import SignedBy, SignedWith, check_signed
from klucznik.storage import signature_requests as requests

_KEPT = timedelta(days=7)  # long enough to tell an old file from a foreign one
_PREFIX = re.compile(r"[0-9a-f]{6,32}")
_AGAIN_S = 2.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class HandedIn:
    """A signed document was accepted: who signed, and their session."""

    request: SignatureRequest
    signed_by: SignedBy
    signed_in: SignedIn


async def ask_for_signature(
    installation: Installation,
    context: Context,
    purpose: Purpose,
    options: Options,
    *,
    issuance: Issuance | None = None,
    listener: Listener = unheard,
) -> SignatureRequest:
    """A document to sign within ten minutes; its row waits for the signed form.

    Args:
        issuance: that of which the subject has to sign; it must not have ended.

    Raises:
        KsefUnavailable: KSeF gives no challenge now.
    """
    began = installation.clock.now()
    challenge = await in_turn(installation, installation.ksef.challenge, listener)
    by_fingerprint = issuance is not None and issuance.subject.type is SubjectType.FINGERPRINT
    kind = (
        SubjectIdentifierType.CERTIFICATE_FINGERPRINT if by_fingerprint else SubjectIdentifierType.CERTIFICATE_SUBJECT
    )
    request = SignatureRequest(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=context,
        purpose=purpose,
        issuance_id=None if issuance is None else issuance.id,
        options=options,
        challenge=challenge.value,
        document=auth_token_request(challenge.value, context, kind),
        created_at=began,
        expires_at=began + CHALLENGE_LASTS,
    )

    def save(connection: Connection) -> None:
        requests.forget(connection, expired_before=began - _KEPT)
        requests.add(connection, request)

    await installation.database.write(save)
    return request


async def ask_anew(
    installation: Installation, request: SignatureRequest, *, listener: Listener = unheard
) -> SignatureRequest:
    """A fresh document for the same purpose, where the time of one has run out or KSeF has refused it."""
    issuance = None if request.issuance_id is None else await running(installation, request.issuance_id)
    return await ask_for_signature(
        installation, request.context, request.purpose, request.options, issuance=issuance, listener=listener
    )


async def request_of(
    installation: Installation, signed: bytes, id_or_prefix: str | None = None, *, onboarding: str | None = None
) -> SignatureRequest:
    """What a signed file was signed for: by the challenge in it, or as the person says.

    Args:
        onboarding: id of the one for which it is brought; None: for none.

    Raises:
        SignedDocumentError: the file is no signed document of ours.
        InputError: ``signature_request_unknown``, ``signature_request_ambiguous``; ``signed_for_something_else``: it
            was given out elsewhere, and is handed in there.
    """
    found = await _request(installation, signed, id_or_prefix)
    meant_for = found.options.get("onboarding") if found.purpose is Purpose.ONBOARD else None
    if meant_for != onboarding:
        raise InputError("signed_for_something_else", request=found.id)
    return found


async def _request(installation: Installation, signed: bytes, id_or_prefix: str | None) -> SignatureRequest:
    if id_or_prefix is not None:
        return await _request_named(installation, id_or_prefix)
    challenge = challenge_in(signed)
    found = await installation.database.read(
        lambda connection: requests.by_challenge(connection, installation.environment, challenge)
    )
    if found is None:
        raise InputError("signature_request_unknown", request=challenge[:36])
    return found


async def hand_in(
    installation: Installation,
    request: SignatureRequest,
    signed: bytes,
    *,
    recorded: Callable[[Connection], None] = lambda _: None,
    checked: Callable[[SignedBy], None] = lambda _: None,
    listener: Listener = unheard,
) -> HandedIn:
    """Check a signed document here, then sign in with it.

    Args:
        recorded: part of the transaction that claims the document; where it raises, nothing is claimed.
        checked: told who signed, before anything is sent.

    Raises:
        InputError: ``signature_request_used``; ``issuance_ended``: the one it was for needs no signature any more.
        SignedDocumentError: ``signed_too_late``; or what is wrong with the file, and nothing was sent: it may be
            mended and given again.
        SignInRefused: KSeF refused it. A fresh document is needed.
        KsefUnavailable: no usable answer. What did not arrive may be given again while there is time.
    """
    wanted = None if request.issuance_id is None else (await running(installation, request.issuance_id)).subject
    now = installation.clock.now()
    if request.used_at is not None:
        raise InputError("signature_request_used", request=request.id)
    if not request.left(now):
        raise SignedDocumentError("signed_too_late", until=request.expires_at.isoformat())
    signed_by = check_signed(signed, request.document, environment=installation.environment, now=now, wanted=wanted)

    def claim(connection: Connection) -> None:
        if not requests.claim(connection, request, now=now):
            raise InputError("signature_request_used", request=request.id)
        recorded(connection)

    await installation.database.write(claim)
    checked(signed_by)
    listener(Progress(Stage.SIGNING_IN))
    pending = await _handed_over(installation, request, signed, listener)
    session = await _admitted(installation, request, pending, listener)
    signed_in = SignedIn(session, signed_by.subject)
    await _confirm(signed_in, signed_by)
    listener(Progress(Stage.SIGNED_IN))
    facts: dict[str, Fact] = {
        "context": request.context.value,
        "purpose": request.purpose.value,
        "with": signed_by.signed_with.value,
        "certificate": signed_by.serial_number,
    }
    told = Entry(Event.SIGNED_ELSEWHERE, facts, request.issuance_id)
    await installation.database.write(
        lambda connection: audit.record(installation, connection, signed_by.subject, told)
    )
    return HandedIn(request, signed_by, signed_in)


async def _request_named(installation: Installation, id_or_prefix: str) -> SignatureRequest:
    prefix = id_or_prefix.lower()
    if not _PREFIX.fullmatch(prefix):
        raise InputError("signature_request_unknown", request=id_or_prefix[:40])
    found = await installation.database.read(
        lambda connection: requests.by_prefix(connection, installation.environment, prefix, most=2)
    )
    if len(found) > 1:
        raise InputError("signature_request_ambiguous", request=prefix)
    if not found:
        raise InputError("signature_request_unknown", request=prefix)
    return found[0]


async def _handed_over(
    installation: Installation, request: SignatureRequest, signed: bytes, listener: Listener
) -> PendingSignIn:
    """The document at KSeF. After a lost answer it goes once more: had it arrived, KSeF says 21111."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return await in_turn(installation, lambda: installation.ksef.submit_signed(signed), listener)
        except KsefUnavailable as error:
            too_long = isinstance(error, RateLimited | Paced)  # `in_turn` waits out what may be waited out
            if too_long or attempt == _ATTEMPTS or not request.left(installation.clock.now()):
                await installation.database.write(lambda connection: requests.give_back(connection, request))
                raise
        await installation.clock.sleep(_AGAIN_S)


async def _admitted(
    installation: Installation, request: SignatureRequest, pending: PendingSignIn, listener: Listener
) -> Session:
    """The session. Nobody can sign anew by himself here, so KSeF is waited for long."""
    until = installation.clock.now() + PROCESSED_WITHIN
    while True:
        try:
            return await in_turn(
                installation, lambda: installation.ksef.finish_sign_in(pending, request.context), listener
            )
        except AnswerLost:
            raise
        except KsefUnavailable:
            if installation.clock.now() >= until:
                raise
        listener(Progress(Stage.WAITING_FOR_KSEF))
        await installation.clock.sleep(_AGAIN_S)


async def _confirm(signed_in: SignedIn, signed_by: SignedBy) -> None:
    """Where the certificate is not the signer's own, KSeF tells for whom it takes them.

    Raises:
        SignedDocumentError: ``signed_by_unclear``.
    """
    if signed_by.signed_with is not SignedWith.TRUSTED_PROFILE:
        return
    data = await signed_in.session.enrollment_data()
    told: Subject | None = subject_named(data.serial_number, data.organization_identifier)
    if told != signed_by.subject:
        await sign_out(signed_in)
        raise SignedDocumentError("signed_by_unclear", given=None if told is None else str(told))
