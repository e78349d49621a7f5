"""Methods that issue nothing: a permission that was granted by hand, certificates from elsewhere, a KSeF token.

Whoever does not run the installation shows a say in the company first. A grant in the session is `remedies.grant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Method
from klucznik.domain.ksef_token import KsefToken
from klucznik.domain.onboarding import Onboarding, OnboardingState
from klucznik.domain.roles import Action, Principal
from klucznik.errors import InputError
from klucznik.services.by_hand import Expected, expect_grant
from klucznik.services.connect import Connected, connect_with_imported, connect_with_token
from klucznik.services.import_ import subject_of
from klucznik.services.installation import Installation
from klucznik.services.onboarding import logins, rights, rows
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, sign_in, sign_out, signer_with_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from klucznik.keys.import_ import ImportedCertificate

_TO_CONNECT = (OnboardingState.SIGN, OnboardingState.CONNECT)


async def connect_permission(
    installation: Installation, onboarding_id: str, by: Principal, *, listener: Listener = unheard
) -> tuple[Onboarding, Expected]:
    """Connect a company that grants, or has granted, in the Ministry's application. Its connection awaits the grant.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``control_needs_signature``;
            ``operator_not_let_in``: it is connected by another method, which stays until the operator is let in; as
            `services.by_hand.expect_grant`.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
    """
    onboarding = await _to_connect(installation, onboarding_id, by, Method.PERMISSION)
    async with _session(installation, onboarding) as signed_in:
        shown = rights.shown_by(by, onboarding, signed_in)
        expected = await expect_grant(installation, onboarding.context, shown, listener=listener)
        if expected.connection.method is not Method.PERMISSION:
            raise InputError("operator_not_let_in", nip=onboarding.context.value, operator=expected.operator.nip)
        return await _done(installation, onboarding, Method.PERMISSION, signed_in), expected


async def connect_imported(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    brought: Sequence[ImportedCertificate],
    *,
    listener: Listener = unheard,
) -> tuple[Onboarding, Connected]:
    """Connect with certificates from elsewhere, which are kept in the vault with their keys.

    Where nobody has signed, the brought Authentication certificate signs in and shows what its subject has a say in:
    whoever has its key can sign with it anything that subject can. The operator's own shows nothing.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``control_not_proved``,
            ``control_by_operator``; as `services.connect.connect_with_imported`.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        SignInRefused: KSeF does not let the subject in; nothing is kept.
    """
    onboarding = await _to_connect(installation, onboarding_id, by, Method.IMPORTED)
    async with _session(installation, onboarding) as signed_in:
        own = None
        if signed_in is None and not by.runs_the_installation:
            own = await _signed_in_with(installation, onboarding, brought, listener)
        try:
            evidence = await rights.demand(installation, by, onboarding, signed_in or own)
        finally:
            if own is not None:
                await sign_out(own)
        done = await connect_with_imported(
            installation, onboarding.context, brought, name=onboarding.name, evidence=evidence, listener=listener
        )
        return await _done(installation, onboarding, Method.IMPORTED, signed_in), done


async def connect_token(
    installation: Installation, onboarding_id: str, by: Principal, token: KsefToken, *, listener: Listener = unheard
) -> tuple[Onboarding, Connected]:
    """Connect with a KSeF token, which is sealed in the vault.

    That it signs in shows no say in the company: tokens are handed to bookkeepers and programs, with less than their
    author may do. So whoever does not run the installation signs first.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``control_needs_signature``,
            ``control_not_proved``; as `services.connect.connect_with_token`.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        SignInRefused: KSeF does not take the token; nothing is kept.
    """
    onboarding = await _to_connect(installation, onboarding_id, by, Method.TOKEN)
    async with _session(installation, onboarding) as signed_in:
        evidence = await rights.demand(installation, by, onboarding, signed_in)
        done = await connect_with_token(
            installation, onboarding.context, token, name=onboarding.name, evidence=evidence, listener=listener
        )
        return await _done(installation, onboarding, Method.TOKEN, signed_in), done


async def _to_connect(installation: Installation, onboarding_id: str, by: Principal, method: Method) -> Onboarding:
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.CONNECT)
    rows.check_state(onboarding, *_TO_CONNECT)
    if onboarding.method is not method:
        raise InputError("onboarding_elsewhere", state=onboarding.state.value)
    return onboarding


@asynccontextmanager
async def _session(installation: Installation, onboarding: Onboarding) -> AsyncIterator[SignedIn | None]:
    """The session of whoever has signed; None where nobody has."""
    if onboarding.subject is None:
        yield None
        return
    async with logins.session_of(installation, onboarding) as signed_in:
        yield signed_in


async def _signed_in_with(
    installation: Installation, onboarding: Onboarding, brought: Sequence[ImportedCertificate], listener: Listener
) -> SignedIn:
    pair = next((one for one in brought if one.type is CertificateType.AUTHENTICATION), None)
    if pair is None:
        raise InputError("authentication_certificate_needed")
    certificate, private_key = pair.pair.certificate, pair.pair.private_key
    signer = signer_with_key(certificate, private_key, subject_of(pair), installation.clock)
    return await sign_in(installation, onboarding.context, signer, listener=listener)


async def _done(
    installation: Installation, onboarding: Onboarding, method: Method, signed_in: SignedIn | None
) -> Onboarding:
    done = await rows.done(installation, onboarding, method)
    if signed_in is not None:
        await sign_out(signed_in)
    return done
