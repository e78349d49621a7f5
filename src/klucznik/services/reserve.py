"""How many requests of a subject an issuance must leave for renewals. The rule itself is `domain.reserve`."""

from __future__ import annotations

from klucznik.domain.issuance import Issuance
from klucznik.domain.reserve import needed_for_renewals
from klucznik.services.installation import Installation
from klucznik.storage import certificates


async def kept_back(installation: Installation, issuance: Issuance) -> int:
    """0 for a renewal, for which they are kept, and where the user has said that it may spend them."""
    if issuance.replaces is not None or issuance.ignores_reserve:
        return 0
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, issuance.environment, issuance.subject)
    )
    return len(needed_for_renewals(held, installation.clock.now()))
