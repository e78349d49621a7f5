"""The way of a company to its connection, as the wizard and the API walk it: every step is a row, any process goes on.

One room for each act: `rows` (begin, find, list), `rights` (whose it is, who has a say in the company), `choices` (who
signs, by what; back; give up), `signing` (document or key), `logins` (the session that rests meanwhile), `looking`
(limits or refusal), `ordering` and `taking_up` (the yes), `remedies` (ways out) and `acts` (what takes KSeF a while),
`connecting` (what issues nothing), `progress`, `results` (what has come of it), `left` (what nobody goes on with). The
states and what may follow what are `domain.onboarding`.

Every function takes the `Principal` who asks. What is none of theirs is InputError ``onboarding_unknown``, what they
may not do AccessDenied ``not_allowed``.
"""

from klucznik.services.onboarding.choices import choose_method, choose_signer, give_up, go_back
from klucznik.services.onboarding.connecting import connect_imported, connect_permission, connect_token
from klucznik.services.onboarding.logins import WithLogin
from klucznik.services.onboarding.looking import Look, known, look
from klucznik.services.onboarding.ordering import confirm, wait_for_limits
from klucznik.services.onboarding.progress import Progress, progress
from klucznik.services.onboarding.remedies import grant, proposed_grant, proposed_revocations, revoke
from klucznik.services.onboarding.results import Proved, Results, results_of
from klucznik.services.onboarding.rows import PAGE, begin, find, of_invitation, unfinished, unfinished_of
from klucznik.services.onboarding.signing import (
    HandedIn,
    ask_for_document,
    document_of,
    hand_in,
    sign_in_with_key,
)

__all__ = [
    "PAGE",
    "HandedIn",
    "Look",
    "Progress",
    "Proved",
    "Results",
    "WithLogin",
    "ask_for_document",
    "begin",
    "choose_method",
    "choose_signer",
    "confirm",
    "connect_imported",
    "connect_permission",
    "connect_token",
    "document_of",
    "find",
    "give_up",
    "go_back",
    "grant",
    "hand_in",
    "known",
    "look",
    "of_invitation",
    "progress",
    "proposed_grant",
    "proposed_revocations",
    "results_of",
    "revoke",
    "sign_in_with_key",
    "unfinished",
    "unfinished_of",
    "wait_for_limits",
]
