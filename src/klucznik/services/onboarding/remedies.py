"""Ways out of a refusal, walked step by step in the session that was refused: shown first, done after a yes.

Waiting for the limits is `ordering.wait_for_limits`; another method is `choices.choose_method`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from klucznik.domain.connections import Method
from klucznik.domain.onboarding import Act, Onboarding, OnboardingState
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.remedies import About
from klucznik.domain.roles import Action, Principal
from klucznik.errors import InputError, KsefError
from klucznik.services import grant as granting
from klucznik.services.certificates import programs_of
from klucznik.services.grant import Grant, Granted
from klucznik.services.installation import Installation
from klucznik.services.onboarding import acts, logins, rows
from klucznik.services.onboarding.looking import Look, look_anew
from klucznik.services.progress import Listener, unheard
from klucznik.services.revoke import Revocation, Revoked
from klucznik.services.sign_in import SignedIn, sign_out
from klucznik.services.ways_out import WaysOut

# Letting the operator in is a way out of a refusal, and a method of its own.
_MAY_GRANT = (OnboardingState.LIMITS, OnboardingState.REFUSED, OnboardingState.CONNECT)


async def proposed_grant(
    installation: Installation, onboarding_id: str, by: Principal, *, delegable: bool = False
) -> Grant:
    """What `grant` would grant and to whom; no permissions: all are there already. Sends nothing.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; as `services.grant.proposed`.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        KsefRefused: ``may_not_grant``.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.GRANT)
    rows.check_state(onboarding, *_MAY_GRANT)
    async with logins.session_of(installation, onboarding) as signed_in:
        return await granting.proposed(installation, signed_in, delegable=delegable)


async def grant(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    *,
    operator_nip: str,
    delegable: bool = False,
    listener: Listener = unheard,
) -> tuple[Onboarding, Granted] | Onboarding:
    """Let the operator in and prove it; the company is connected by that, and the onboarding is done.

    Args:
        operator_nip: of the operator that the person was shown: nobody else is let in by this yes.

    Returns:
        what has come of it; or, where KSeF takes longer than anybody waits for an answer (`Background`), the onboarding
        as it is: `under_way` says that it goes on, and its state or a setback will say how it has ended.

    Raises:
        InputError: as `proposed_grant`; ``onboarding_act_under_way``; ``not_confirmed``: the operator is another one by
            now; ``control_not_proved``.
        SignatureNeeded, KsefRefused: as `proposed_grant`.
        KsefUnavailable: say it again; what was granted is found.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.GRANT)
    rows.check_state(onboarding, *_MAY_GRANT)

    async def work(signed_in: SignedIn) -> tuple[Onboarding, Granted]:
        granted = await granting.grant(
            installation,
            signed_in,
            delegable=delegable,
            confirm=lambda what: what.operator.nip == operator_nip,
            listener=listener,
        )
        done = await rows.done(installation, onboarding, Method.PERMISSION)
        await sign_out(signed_in)
        return done, granted

    begins = acts.Beginning(Act.GRANT, _MAY_GRANT, operator_nip)
    done = await acts.seen_to(installation, onboarding, begins, work)
    return done or await rows.reloaded(installation, onboarding)


async def proposed_revocations(
    installation: Installation, onboarding_id: str, by: Principal, serial_numbers: Sequence[str]
) -> tuple[Revocation, ...]:
    """What a person has to know before `revoke`: which certificates, and which programs will notice. Asks KSeF nothing.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``certificate_not_offered``.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.REVOKE)
    chosen = _chosen(onboarding, serial_numbers)
    records = [about.record for about in chosen]
    programs = await programs_of(installation, [record.serial_number for record in records])
    return tuple(Revocation(record, programs.get(record.serial_number, ())) for record in records)


async def revoke(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    serial_numbers: Sequence[str],
    *,
    end_sessions: bool = False,
    listener: Listener = unheard,
) -> tuple[Look, tuple[Revoked, ...]] | Onboarding:
    """Revoke certificates that the refusal names, for good, then look at the limits anew; `confirm` orders.

    Args:
        end_sessions: end the subject's other sessions in this company too.

    Returns:
        what has come of it; or the onboarding as it is, as `grant`.

    Raises:
        InputError: as `proposed_revocations`; ``onboarding_act_under_way``.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        KsefRefused, KsefUnavailable: what was revoked before stays so; the refusal shows it.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.REVOKE)
    chosen, refusal = _chosen(onboarding, serial_numbers), onboarding.refusal
    if refusal is None:
        raise InputError("onboarding_elsewhere", state=onboarding.state.value)

    async def work(signed_in: SignedIn) -> tuple[Look, tuple[Revoked, ...]]:
        ways = WaysOut(installation, signed_in, refusal, listener)
        try:
            revoked = await ways.revoke(chosen, end_sessions=end_sessions)
        except KsefError:
            with suppress(KsefError):  # the first failure is told
                await look_anew(installation, onboarding, signed_in)
            raise
        return await look_anew(installation, onboarding, signed_in), revoked

    done = await acts.seen_to(installation, onboarding, acts.Beginning(Act.REVOKE, (OnboardingState.REFUSED,)), work)
    if done is None:
        return await rows.reloaded(installation, onboarding)
    look, revoked = done
    return replace(look, onboarding=await rows.reloaded(installation, onboarding)), revoked


def _chosen(onboarding: Onboarding, serial_numbers: Sequence[str]) -> list[About]:
    """Those of the refusal that were chosen; only what was shown with its consequences can be."""
    rows.check_state(onboarding, OnboardingState.REFUSED)
    remedies = () if onboarding.refusal is None else onboarding.refusal.remedies
    offered = {
        about.record.serial_number: about
        for remedy in remedies
        if remedy.kind is RemedyKind.REVOKE
        for about in remedy.certificates
    }
    for serial in serial_numbers:
        if serial not in offered:
            raise InputError("certificate_not_offered", serial=serial[:40])
    if not serial_numbers:
        raise InputError("nothing_chosen")
    return [offered[serial] for serial in dict.fromkeys(serial_numbers)]
