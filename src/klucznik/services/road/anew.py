"""New requests in the place of those that KSeF took on and dropped."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance
from klucznik.domain.preflight import preflight
from klucznik.services.progress import Progress, Stage
from klucznik.services.reserve import kept_back
from klucznik.services.road.beginning import commit_keys, prepare, refused_by
from klucznik.services.road.commits import Road
from klucznik.services.road.ending import finish


async def file_anew(road: Road, issuance: Issuance, dropped: Sequence[Enrollment]) -> Issuance:
    """Where the limits leave room for all that is missing.

    Whatever KSeF dropped may be spent; so limits that leave no room are the end, and nothing is asked in vain.
    """
    rows = await road.rows(issuance)
    unsent = [row for row in rows if row.state is EnrollmentState.KEY_COMMITTED]
    limits, needed = await road.limits.read(), len(dropped) + len(unsent)
    findings = preflight(limits, needed, reserved=await kept_back(road.installation, issuance))
    if findings:
        return await finish(road, issuance, unsent, refused_by(issuance, limits, findings, needed))
    data = await (await road.login.session()).enrollment_data()
    attempts = [1 + sum(other.type is row.type for other in rows) for row in dropped]
    prepared = [
        await prepare(road, issuance, row.type, data, attempt) for row, attempt in zip(dropped, attempts, strict=True)
    ]
    for row in dropped:
        road.listener(Progress(Stage.FILING_ANEW, type=row.type))
    replaced = [row.name for row in dropped]
    return await commit_keys(road, issuance, limits, prepared, needed=needed, in_place_of=replaced)
