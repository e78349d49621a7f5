"""The names of every decision: why a generation is refused, what probably caused it, which ways out exist.

Only names; the words for them are in the catalogue (``klucznik.messages``).
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a generation may not start."""

    REQUEST_LIMIT_BELOW_NEEDED = "request_limit_below_needed"
    CERTIFICATE_LIMIT_BELOW_NEEDED = "certificate_limit_below_needed"
    KSEF_FORBIDS_REQUESTS = "ksef_forbids_requests"


class Cause(StrEnum):
    """What probably led there."""

    REQUESTS_ALREADY_USED = "requests_already_used"
    CERTIFICATES_ALREADY_HELD = "certificates_already_held"
    EARLIER_TESTS_OR_ATTEMPTS = "earlier_tests_or_attempts"


class RemedyKind(StrEnum):
    """A way out of a refusal."""

    GRANT_PERMISSION = "grant_permission"
    IMPORT = "import"
    REVOKE = "revoke"
    WAIT_FOR_REQUESTS = "wait_for_requests"
    WAIT_FOR_CERTIFICATE_SLOT = "wait_for_certificate_slot"
