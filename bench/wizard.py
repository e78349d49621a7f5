"""The wizard at each of its steps: a company for each, brought there as by a person, beside a KSeF in this process."""

from __future__ import annotations

from collections.abc import Iterator

from bench.applicants import seal, valid_nips
from klucznik.domain.connections import Method
from klucznik.domain.onboarding import Onboarding, SignerKind
from klucznik.domain.roles import Principal
from klucznik.services import onboarding as onboardings
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox


async def steps(klucznik: Installation, ksef: Sandbox, by: Principal) -> dict[str, str]:
    """The address of each step that has a page of its own, by what the step is called."""
    nips = valid_nips()
    at_the_end = await _signed(klucznik, next(nips), by)
    await _ordered(klucznik, at_the_end, by)
    await Engine(klucznik).run_until_idle()
    on_the_road = await _signed(klucznik, next(nips), by)
    await _ordered(klucznik, on_the_road, by)
    new = await onboardings.begin(klucznik, next(nips), by=by)
    to_choose = await onboardings.begin(klucznik, next(nips), by=by)
    await onboardings.choose_signer(klucznik, to_choose.id, by, SignerKind.SEAL)
    to_sign = await _chosen(klucznik, next(nips), by)
    await onboardings.ask_for_document(klucznik, to_sign.id, by)
    there = {
        "who signs": new,
        "method": to_choose,
        "signature": to_sign,
        "limits": await _limits_told(klucznik, next(nips), by),
        "refusal": await _refused(klucznik, ksef, nips, by),
        "on the road": on_the_road,
        "two certificates": at_the_end,
    }
    return {f"wizard: {step}": f"/connect/{onboarding.id}" for step, onboarding in there.items()}


async def _chosen(klucznik: Installation, nip: str, by: Principal) -> Onboarding:
    new = await onboardings.begin(klucznik, nip, by=by)
    await onboardings.choose_signer(klucznik, new.id, by, SignerKind.SEAL)
    return await onboardings.choose_method(klucznik, new.id, by, Method.CERTIFICATES)


async def _signed(klucznik: Installation, nip: str, by: Principal) -> Onboarding:
    chosen = await _chosen(klucznik, nip, by)
    return await onboardings.sign_in_with_key(klucznik, chosen.id, by, seal(nip))


async def _limits_told(klucznik: Installation, nip: str, by: Principal) -> Onboarding:
    signed = await _signed(klucznik, nip, by)
    return (await onboardings.look(klucznik, signed.id, by)).onboarding


async def _refused(klucznik: Installation, ksef: Sandbox, nips: Iterator[str], by: Principal) -> Onboarding:
    nip = next(nips)
    ksef.set_limits("Nip", nip, enrollment=1)
    return await _limits_told(klucznik, nip, by)


async def _ordered(klucznik: Installation, onboarding: Onboarding, by: Principal) -> None:
    await onboardings.look(klucznik, onboarding.id, by)
    await onboardings.confirm(klucznik, onboarding.id, by)
