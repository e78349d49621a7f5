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
    REQUESTS_RESERVED_FOR_RENEWAL = "requests_reserved_for_renewal"


class Cause(StrEnum):
    """What probably led there."""

    REQUESTS_ALREADY_USED = "requests_already_used"
    CERTIFICATES_ALREADY_HELD = "certificates_already_held"
    EARLIER_TESTS_OR_ATTEMPTS = "earlier_tests_or_attempts"


class RemedyKind(StrEnum):
    """A way out of a refusal."""

    REUSE = "reuse"
    COMPLETE_PAIR = "complete_pair"
    GRANT_PERMISSION = "grant_permission"
    IMPORT = "import"
    REVOKE = "revoke"
    TOKEN = "token"  # noqa: S105
    WAIT_FOR_REQUESTS = "wait_for_requests"
    WAIT_FOR_CERTIFICATE_SLOT = "wait_for_certificate_slot"


class Task(StrEnum):
    """What a person has to do for a way out to work."""

    USE_WHAT_IS_HERE = "use_what_is_here"
    ORDER_THE_MISSING_HALF = "order_the_missing_half"
    CONFIRM_THE_GRANT = "confirm_the_grant"
    CONNECT_BY_THE_GRANT = "connect_by_the_grant"  # KSeF lists it already
    ASK_WHO_MAY_GRANT = "ask_who_may_grant"  # whoever is signed in may not manage permissions
    SET_THE_OPERATOR = "set_the_operator"
    BRING_KEY_AND_PASSWORD = "bring_key_and_password"  # noqa: S105
    CHOOSE_AND_CONFIRM = "choose_and_confirm"
    MAKE_A_TOKEN = "make_a_token"  # noqa: S105
    COME_BACK = "come_back"
    ASK_THE_MINISTRY = "ask_the_ministry"  # the limit itself is lower than what is needed


class Risk(StrEnum):
    """What may go wrong on a way out, or is given up by it."""

    OPERATOR_MAY_INVOICE = "operator_may_invoice"
    PERSONAL_CERTIFICATE = "personal_certificate"
    REVOKING_IS_FINAL = "revoking_is_final"
    PRINTED_CODES_STOP_VERIFYING = "printed_codes_stop_verifying"
    SESSIONS_LIVE_ON = "sessions_live_on"
    USED_ELSEWHERE = "used_elsewhere"
    NOTHING_OFFLINE = "nothing_offline"
    TOKENS_END = "tokens_end"
    MAY_NEVER_RENEW = "may_never_renew"
    OTHERS_MAY_SPEND = "others_may_spend"


class Source(StrEnum):
    """Where a piece of evidence comes from."""

    KSEF_LIMITS = "ksef_limits"
    KSEF_CERTIFICATES = "ksef_certificates"
    KSEF_PERMISSIONS = "ksef_permissions"
    OUR_RECORD = "our_record"
    VAULT = "vault"
    TAXPAYER_APP = "taxpayer_app"  # "you can request one in 30 days" (facts.md §4.4, 2)
    CERTIFICATE_APP = "certificate_app"  # "30 days before the oldest expires" (facts.md §4.4, 3)
    API_IS_SILENT = "api_is_silent"  # no document of the API names a period (facts.md §4.4, 1)
    TOKEN_REGULATION = "token_regulation"  # noqa: S105  facts.md §6
