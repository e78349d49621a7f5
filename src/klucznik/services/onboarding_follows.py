"""What becomes of onboardings when the order that they wait for ends, or comes to wait for a person or for limits.

Apart from `services.onboarding`, which orders: this is called on the road of the order itself.
"""

from __future__ import annotations

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.issuance import Issuance
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.preflight import Refusal
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.storage import onboardings


def follow(
    installation: Installation, transaction: Transaction, issuance: Issuance, refusal: Refusal | None = None
) -> None:
    """Part of the transaction that saves `issuance`.

    Args:
        refusal: by the limits, with its evidence.
    """
    for changed in onboardings.follow(transaction, issuance, refusal, now=installation.clock.now()):
        if changed.state.ended:
            record(installation, transaction, changed, Event.ONBOARDING_ENDED)


def record(installation: Installation, transaction: Transaction, onboarding: Onboarding, event: Event) -> None:
    """Part of a transaction: tell it in the chain of who has signed."""
    facts: dict[str, Fact] = {
        "onboarding": onboarding.id,
        "context": onboarding.context.value,
        "state": onboarding.state.value,
        "method": None if onboarding.method is None else onboarding.method.value,
    }
    audit.record(installation, transaction, onboarding.subject, Entry(event, facts, onboarding.issuance_id))
