"""Signing in: with a document that was signed in another program, or with a key at hand. The login then rests here.

KSeF may take many minutes to check a signature. Whoever has handed it in is answered meanwhile, and the row tells.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event
from klucznik.domain.issuance import Issuance
from klucznik.domain.onboarding import (
    Onboarding,
    OnboardingState,
    Setback,
    being_checked,
    document_given,
    not_signed_in,
    signed_in,
)
from klucznik.domain.roles import Principal
from klucznik.domain.signature_requests import Purpose, SignatureRequest
from klucznik.errors import InputError, KlucznikError, SignInRefused
from klucznik.services import signing
from klucznik.services.background import Reached
from klucznik.services.installation import Installation
from klucznik.services.onboarding import logins, rows
from klucznik.services.onboarding.logins import WithLogin
from klucznik.services.onboarding.taking_up import taken_up
from klucznik.services.onboarding_follows import record
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, Signer, sign_in, sign_out, signer_of
from klucznik.services.signed_by import SignedBy
from klucznik.storage import issuances, operators, signature_requests

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential

_log = logging.getLogger("klucznik.onboarding")


@dataclass(frozen=True)
class HandedIn:
    """A signed document was accepted.

    Attributes:
        signed_by: who signed it and with what; also what KSeF might have refused all the same (`SignedBy.doubts`).
    """

    onboarding: Onboarding
    signed_by: SignedBy


async def ask_for_document(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    *,
    anew: bool = False,
    listener: Listener = unheard,
) -> SignatureRequest:
    """The document to sign, with its deadline: the one that waits already, or a fresh one.

    Args:
        anew: a fresh one in any case. One that was taken away before may be handed in all the same; nothing comes any
            more of one that is being checked.

    Raises:
        InputError: ``onboarding_unknown``; ``onboarding_elsewhere``: no signature is wanted;
            ``signature_being_checked``.
        KsefUnavailable: KSeF gives no challenge now.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    rows.check_state(onboarding, OnboardingState.SIGN)
    if not anew:
        _check_none_is_checked(onboarding)
    waiting = None if anew else await document_of(installation, onboarding)
    if waiting is not None:
        return waiting
    issuance = await _going_on(installation, onboarding)
    options = {"onboarding": onboarding.id}
    request = await signing.ask_for_signature(
        installation, onboarding.context, Purpose.ONBOARD, options, issuance=issuance, listener=listener
    )

    def commit(transaction: Transaction) -> None:
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.state is OnboardingState.SIGN:
            rows.save(installation, transaction, document_given(there, request.id))

    await installation.database.write(commit)
    return request


async def document_of(installation: Installation, onboarding: Onboarding) -> SignatureRequest | None:
    """The document that waits for its signature, while there is time. Asks KSeF nothing."""
    wanted = onboarding.signature_request_id
    if wanted is None or onboarding.state is not OnboardingState.SIGN:
        return None
    found = await installation.database.read(lambda transaction: signature_requests.load(transaction, wanted))
    alive = found is not None and found.used_at is None and found.left(installation.clock.now())
    return found if alive else None


async def hand_in(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    signed: bytes,
    *,
    with_login: WithLogin | None = None,
    listener: Listener = unheard,
) -> HandedIn | Onboarding:
    """Check a signed document here, then sign in with it.

    Args:
        signed: the file, as the other program has written it.
        with_login: written in the transaction that puts the login in its place, however late.

    Returns:
        what has come of it; or, where KSeF takes longer than anybody waits for an answer (`Background`), the onboarding
        as it is: `checking_since` says that it is being checked, and a setback will say if nothing comes of it.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``signature_being_checked``;
            ``signed_for_something_else`` (a document of ours, but not of this onboarding); ``control_by_operator``; as
            `services.signing.hand_in`.
        SignedDocumentError, SignInRefused, KsefUnavailable: as `services.signing.hand_in`.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    rows.check_state(onboarding, OnboardingState.SIGN)
    _check_none_is_checked(onboarding)
    request = await signing.request_of(installation, signed, onboarding=onboarding.id)

    done = await installation.background.see_to(
        lambda reached: _checked(installation, onboarding, request, signed, listener, reached, with_login)
    )
    return done or await rows.reloaded(installation, onboarding)


async def sign_in_with_key(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    credential: Credential | Signer,
    *,
    with_login: WithLogin | None = None,
    listener: Listener = unheard,
) -> Onboarding:
    """Sign in with a certificate and its key, which are used this once and not kept.

    Args:
        with_login: written in the transaction that puts the login in its place, however late.

    Returns:
        the onboarding with who has signed; or, where KSeF takes longer than anybody waits for an answer, as it is, as
        `hand_in` says. The key is kept in memory alone until then.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``, ``control_by_operator``;
            ``signature_being_checked``; ``credential_of_other_subject``: what was ordered before is somebody else's.
        CredentialError: as `services.sign_in.check_environment`.
        SignInRefused, KsefUnavailable: nobody is signed in.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    rows.check_state(onboarding, OnboardingState.SIGN)
    _check_none_is_checked(onboarding)
    signer = credential if isinstance(credential, Signer) else signer_of(installation, credential)
    issuance = await _going_on(installation, onboarding)
    if issuance is not None and issuance.subject != signer.subject:
        raise InputError("credential_of_other_subject", given=str(signer.subject), wanted=str(issuance.subject))

    done = await installation.background.see_to(
        lambda reached: _checked_with_key(installation, onboarding, signer, listener, reached, with_login)
    )
    return done or await rows.reloaded(installation, onboarding)


async def _checked_with_key(
    installation: Installation,
    onboarding: Onboarding,
    signer: Signer,
    listener: Listener,
    reached: Reached,
    with_login: WithLogin | None,
) -> Onboarding:
    since = await installation.database.write(lambda transaction: _begun(installation, transaction, onboarding, None))
    reached()
    try:
        session = await sign_in(installation, onboarding.context, signer, listener=listener)
        return await _admitted(installation, onboarding, session, since, with_login)
    except BaseException as error:
        await _set_back(installation, onboarding, since, error)
        raise


async def _checked(
    installation: Installation,
    onboarding: Onboarding,
    request: SignatureRequest,
    signed: bytes,
    listener: Listener,
    reached: Reached,
    with_login: WithLogin | None,
) -> HandedIn:
    """To the end; the row says when it began, and why nothing has come of it."""
    since: datetime | None = None

    def begun(transaction: Transaction) -> None:
        nonlocal since
        since = _begun(installation, transaction, onboarding, request.id)

    try:
        done = await signing.hand_in(
            installation, request, signed, recorded=begun, checked=lambda _: reached(), listener=listener
        )
        there = await _admitted(installation, onboarding, done.signed_in, since, with_login)
        return HandedIn(there, done.signed_by)
    except BaseException as error:
        if since is not None:
            await _set_back(installation, onboarding, since, error)
        raise


def _begun(
    installation: Installation, transaction: Transaction, onboarding: Onboarding, request_id: str | None
) -> datetime:
    """Part of a transaction: from now on KSeF is checking, and no other signature is sent.

    Args:
        request_id: of the document that was signed; None: a key signs for itself, and what waits goes on waiting.
    """
    there = rows.to_change(installation, transaction, onboarding.id)
    rows.check_state(there, OnboardingState.SIGN)
    _check_none_is_checked(there)
    since = installation.clock.now()
    rows.save(installation, transaction, being_checked(there, request_id or there.signature_request_id, since))
    return since


async def _set_back(installation: Installation, onboarding: Onboarding, since: datetime, error: BaseException) -> None:
    setback, code = Setback.SIGN_IN_UNFINISHED, None
    if isinstance(error, SignInRefused):
        setback, code = Setback.SIGN_IN_REFUSED, error.code
    elif isinstance(error, InputError) and error.reason == "control_by_operator":
        setback = Setback.SIGNED_BY_OPERATOR

    def commit(transaction: Transaction) -> None:
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.checking_since == since:  # otherwise it has gone on meanwhile
            rows.save(installation, transaction, not_signed_in(there, setback, code))

    try:
        await installation.database.write(commit)
    except KlucznikError as lost:  # the first error is told; the row says it when nobody can be at it any more
        _log.warning("onboarding %s does not say that nobody was signed in: %s", onboarding.id, lost)


def _check_none_is_checked(onboarding: Onboarding) -> None:
    if onboarding.checking_since is not None:
        raise InputError("signature_being_checked")


async def _admitted(
    installation: Installation,
    onboarding: Onboarding,
    admitted: SignedIn,
    since: datetime | None,
    with_login: WithLogin | None,
) -> Onboarding:
    """Remember who has signed, with the login; what was ordered before goes on with it.

    Args:
        since: of the check whose end it is, where the row says that one is under way.
    """

    def awaited(there: Onboarding) -> None:
        # Somebody may have gone back meanwhile, or have come by a new link: nobody is signed in behind their back.
        if there.state is not OnboardingState.SIGN or (since is not None and there.checking_since != since):
            raise InputError("onboarding_elsewhere", state=there.state.value)

    try:
        await _check_not_the_operator(installation, onboarding, admitted)
        issuance = await _going_on(installation, onboarding)
        if issuance is not None:
            return await taken_up(installation, onboarding, admitted, issuance, awaited, with_login)
        sealed = logins.seal(installation, onboarding, admitted)

        def commit(transaction: Transaction) -> Onboarding:
            there = rows.to_change(installation, transaction, onboarding.id)
            awaited(there)
            logins.begin(transaction, there, sealed, now=installation.clock.now(), with_login=with_login)
            saved = rows.save(installation, transaction, signed_in(there, admitted.subject, going_on=False))
            record(installation, transaction, saved, Event.ONBOARDING_SIGNED_IN)
            return saved

        return await installation.database.write(commit)
    except BaseException:
        await sign_out(admitted)
        raise


async def _check_not_the_operator(installation: Installation, onboarding: Onboarding, admitted: SignedIn) -> None:
    """The operator's own limits and certificates are not the company's and are never touched in its name."""
    operator = await installation.database.read(
        lambda transaction: operators.load(transaction, installation.environment)
    )
    nip = onboarding.context.value
    if operator is not None and admitted.subject == operator.subject and operator.nip != nip:
        raise InputError("control_by_operator", nip=nip)


async def _going_on(installation: Installation, onboarding: Onboarding) -> Issuance | None:
    """What was ordered before and has not ended."""
    issuance_id = onboarding.issuance_id
    if issuance_id is None:
        return None
    found = await installation.database.read(lambda transaction: issuances.load(transaction, issuance_id))
    return None if found is None or found.state.ended else found
