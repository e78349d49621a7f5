"""Who may do what: actions, the roles of people that have them, and the scopes of API keys. Pure.

Every route of the web app and of the API names the action that it needs (`access.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What somebody does. Names are kept: API keys have them as scopes."""

    SEE = "see"  # connections, certificates, limits that are known, issuances, timelines
    CONNECT = "connect"  # begin and go on with onboardings, bring certificates and tokens
    ISSUE = "issue"  # spend requests: issue, resume, renew
    REVOKE = "revoke"
    GRANT = "grant"  # let the operator in or take that back
    EXPORT_KEYS = "export_keys"  # private keys leave, encrypted; never by an API key
    INVITE = "invite"
    IMPORT = "import"
    DISCONNECT = "disconnect"
    NOTIFY = "notify"  # webhooks and what is told to whom
    AUDIT = "audit"  # the audit log; a key of one company: that company's part of it
    ADMINISTER = "administer"  # users, API keys, the operator


class Role(StrEnum):
    """What a person is here. Names are kept: rows have them."""

    ADMINISTRATOR = "administrator"
    STAFF = "staff"  # of an office: all companies, no users and no settings
    AUDITOR = "auditor"  # looks, changes nothing
    CLIENT = "client"  # came by an invitation: one company, its onboarding and nothing else


_STAFF = frozenset(
    {
        Action.SEE,
        Action.CONNECT,
        Action.ISSUE,
        Action.REVOKE,
        Action.GRANT,
        Action.EXPORT_KEYS,
        Action.INVITE,
        Action.IMPORT,
        Action.DISCONNECT,
    }
)

ACTIONS: dict[Role, frozenset[Action]] = {
    Role.ADMINISTRATOR: frozenset(Action),
    Role.STAFF: _STAFF,
    Role.AUDITOR: frozenset({Action.SEE, Action.AUDIT}),
    # Through `Principal.nip` only for the company that the invitation names.
    Role.CLIENT: frozenset({Action.CONNECT, Action.ISSUE, Action.REVOKE, Action.GRANT, Action.EXPORT_KEYS}),
}

# What is left of a client's when the company is connected: to see the result of the onboarding and take the pair along.
AFTERWARDS: frozenset[Action] = frozenset({Action.CONNECT, Action.EXPORT_KEYS})

# What an API key may be given.
SCOPES: frozenset[Action] = frozenset(Action) - {Action.EXPORT_KEYS, Action.ADMINISTER}


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        id: of the user, the API key or the invitation; with its kind before it, as in ``user:3f2a…``.
        name: for people and logs: an e-mail address, the name of a key or of a company; no secret.
        role: None: an API key.
        nip: the only company they may touch; None: all of the installation.
    """

    id: str
    name: str
    role: Role | None
    actions: frozenset[Action]
    nip: str | None = None

    def may(self, action: Action) -> bool:
        return action in self.actions

    def reaches(self, nip: str) -> bool:
        """Whether that company is theirs to touch."""
        return self.nip is None or self.nip == nip

    @property
    def invitation_id(self) -> str | None:
        """The invitation by which they came; None: they came by none."""
        return self.id.removeprefix("invitation:") if self.role is Role.CLIENT else None

    @property
    def runs_the_installation(self) -> bool:
        """Whether they may act for any company here without its owner's signature (`services.control`).

        API keys may not: a vendor's customer names any NIP, and the vendor's key carries it here.
        """
        return self.role in (Role.ADMINISTRATOR, Role.STAFF)
