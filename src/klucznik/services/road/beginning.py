"""Before anything is sent: the limits are asked, keys are made and committed; or the limits refuse it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact, limits_facts
from klucznik.domain.certificates import CertificateType
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Finding, Refusal, preflight
from klucznik.domain.sealed import KeyBinding, SealedKey
from klucznik.domain.waits import WaitKind
from klucznik.keys.csr import build_csr
from klucznik.keys.generate import PrivateKey, generate_key
from klucznik.services import refusals
from klucznik.services.installation import Installation
from klucznik.services.naming import certificate_name
from klucznik.services.progress import Progress, Stage
from klucznik.services.reserve import kept_back
from klucznik.services.road.commits import Road
from klucznik.services.road.ending import end
from klucznik.services.road.waiting import park
from klucznik.services.sign_in import SignedIn
from klucznik.storage import issuances, private_keys

# How often waiting limits are looked at again, whatever the estimate says.
_LIMITS_LOOK = timedelta(days=1)


async def begin(road: Road, issuance: Issuance, _: Sequence[Enrollment]) -> Issuance:
    limits, reserved = await road.limits.read(), await kept_back(road.installation, issuance)
    findings = preflight(limits, len(issuance.missing), reserved=reserved)
    if findings:
        return await _refuse(road, issuance, limits, findings)
    # Not beside the limits: a second connection costs more round trips (TCP, TLS) than it saves.
    data = await (await road.login.session()).enrollment_data()
    prepared = [await prepare(road, issuance, kind, data) for kind in issuance.missing]
    underway = replace(issuance, state=IssuanceState.UNDERWAY, limits_before=limits)
    return await commit_keys(road, underway, limits, prepared)


async def prepare(
    road: Road, issuance: Issuance, kind: CertificateType, data: EnrollmentData, attempt: int = 1
) -> tuple[Enrollment, SealedKey, KeyBinding]:
    """A key, sealed for the vault, and its CSR. The key itself lives in this function only."""
    key_id = secrets.token_hex(16)
    private_key, csr = await asyncio.to_thread(_make_key, road.installation, issuance, key_id, data)
    subject = issuance.subject
    binding = KeyBinding(issuance.environment, subject.type, subject.value)
    enrollment = Enrollment(
        id=secrets.token_hex(16),
        issuance_id=issuance.id,
        type=kind,
        name=certificate_name(kind, road.now, issuance.id, attempt),
        key_id=key_id,
        csr=csr,
        state=EnrollmentState.KEY_COMMITTED,
    )
    return enrollment, road.installation.vault.seal(key_id, private_key, binding=binding), binding


def _make_key(
    installation: Installation, issuance: Issuance, key_id: str, data: EnrollmentData
) -> tuple[PrivateKey, bytes]:
    if issuance.keys_on_token:
        private_key: PrivateKey = installation.token_of_keys.make_key(issuance.key_type, key_id)
    else:
        private_key = generate_key(issuance.key_type)
    return private_key, build_csr(data, private_key)


async def commit_keys(
    road: Road,
    issuance: Issuance,
    limits: Limits,
    prepared: Sequence[tuple[Enrollment, SealedKey, KeyBinding]],
    **facts: Fact,
) -> Issuance:
    def commit(connection: Connection) -> Issuance:
        for enrollment, sealed, binding in prepared:
            private_keys.add(connection, sealed, binding, now=road.now)
            issuances.add_enrollment(connection, enrollment, now=road.now)
        return issuances.save(connection, issuance, now=road.now)

    keys = [
        {"type": row.type.value, "name": row.name, "key": row.key_id, "kept": sealed.algorithm}
        for row, sealed, _ in prepared
    ]
    decision: dict[str, Fact] = {"limits": limits_facts(limits), "needed": len(prepared), "keys": keys, **facts}
    saved = await road.commit(commit, Entry(Event.PREFLIGHT_PASSED, decision, issuance.id))
    road.listener(Progress(Stage.KEYS_COMMITTED))
    return saved


async def _refuse(road: Road, issuance: Issuance, limits: Limits, findings: tuple[Finding, ...]) -> Issuance:
    road.refusal = await explain(road, issuance, limits, findings, issuance.missing)
    told = replace(issuance, limits_before=issuance.limits_before or limits)
    if (patient := await wait_for_limits(road, told, road.refusal)) is not None:
        return patient
    refused = refused_by(issuance, limits, findings, len(issuance.missing))
    return await end(road, replace(told, state=IssuanceState.REFUSED), (), refused)


async def explain(
    road: Road,
    issuance: Issuance,
    limits: Limits,
    findings: tuple[Finding, ...],
    missing: Sequence[CertificateType],
) -> Refusal:
    signed_in = SignedIn(await road.login.session(), issuance.subject)
    return await refusals.explain(road.installation, signed_in, issuance, limits, findings, missing)


async def wait_for_limits(road: Road, issuance: Issuance, refusal: Refusal) -> Issuance | None:
    """The issuance, waiting, where the user has asked for that and the time is not over; or None."""
    now = road.now
    if issuance.limits_until is None or now >= issuance.limits_until:
        return None
    look = min(now + _LIMITS_LOOK, issuance.limits_until)
    estimates = [remedy.estimate.earliest for remedy in refusal.remedies if remedy.estimate is not None]
    soonest = [moment for moment in estimates if moment is not None and now < moment < look]
    return await park(road, issuance, WaitKind.LIMITS, min(soonest, default=look))


def refused_by(issuance: Issuance, limits: Limits, findings: tuple[Finding, ...], needed: int) -> Entry:
    """What the audit log is told of a refusal by the limits."""
    facts: dict[str, Fact] = {
        "limits": limits_facts(limits),
        "needed": needed,
        "kept_back": max(finding.reserved for finding in findings),
        "reasons": [finding.code.value for finding in findings],
    }
    if issuance.replaces is not None:
        facts["renewal"] = True
    return Entry(Event.PREFLIGHT_REFUSED, facts, issuance.id)
