"""The tables of people: who may sign in here, whom they invite, how they connect a company, what they are told.

Of every token that opens something only its SHA-256 is kept; what has to be read again is sealed (`sealed_secrets`).
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from klucznik.storage.columns import UtcDateTime
from klucznik.storage.metadata import metadata

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    # In which letters come; None: as the installation speaks.
    Column("language", String(2)),
    # argon2id; None until the first sign-in by a link.
    Column("password_hash", String(255)),
    Column("totp_since", UtcDateTime),
    # The last time step that was used: a code is good once.
    Column("totp_step", Integer),
    Column("digest", String(16), nullable=False),
    Column("disabled_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
)

# What opens an account without its second factor, once each. A code has 80 bits: a plain hash is enough.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", String(32), ForeignKey("users.id"), primary_key=True),
    Column("code_hash", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# Links that open something once: the first administrator, a new colleague's password, a forgotten one.
account_links = Table(
    "account_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("user_id", String(32), ForeignKey("users.id")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

# Browsers that are signed in: as a user, or by an invitation.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id"), index=True),
    Column("invitation_id", String(32), ForeignKey("invitations.id"), index=True),
    Column("csrf", String(64), nullable=False),
    # None: the password was right, the second factor is still to come.
    Column("complete_at", UtcDateTime),
    # When the password was entered last: keys are handed out only soon after.
    Column("proved_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)

# Wrong guesses by what they were about (an account, an address), so that the next has to wait.
failed_sign_ins = Table(
    "failed_sign_ins",
    metadata,
    Column("about", String(80), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("blocked_until", UtcDateTime),
    Index(None, "first_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    # The first characters of its newest secret, by which people tell keys apart.
    Column("shown", String(16), nullable=False),
    Column("scopes", JSON, nullable=False),
    # Bound to one company; None: all of the installation.
    Column("nip", String(10)),
    # None: made at the terminal of the machine.
    Column("created_by", String(32), ForeignKey("users.id")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

# What opens a key: its newest secret, and those before it for as long as they may still be used.
api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False, index=True),
    # None: the newest, which is good as long as its key.
    Column("expires_at", UtcDateTime),
)

# What the vault has sealed and somebody has to read again: TOTP secrets, secrets of webhooks, logins of onboardings,
# links in letters that are on their way.
sealed_secrets = Table(
    "sealed_secrets",
    metadata,
    Column("kind", String(24), primary_key=True),
    Column("owner_id", String(32), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("data_key_id", String(64), ForeignKey("data_keys.id"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)

# A company's owner is asked to connect it himself, without an account: one link, one NIP, one onboarding.
invitations = Table(
    "invitations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("context_type", String(16), nullable=False),
    Column("context_value", String(64), nullable=False),
    Column("name", String(100)),
    Column("email", String(254)),
    Column("language", String(2), nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    # Of the link that is good now, or was good last: another one is made for another device.
    Column("link_expires_at", UtcDateTime),
    Column("link_used_at", UtcDateTime),
    Column("opened_at", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Index(None, "environment", "context_type", "context_value"),
    Index(None, "environment", "created_at", "id"),
)

# A company on its way to a connection, step by step; left and taken up again at any point, on any device.
onboardings = Table(
    "onboardings",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("context_type", String(16), nullable=False),
    Column("context_value", String(64), nullable=False),
    Column("name", String(100)),
    # Who began it and may go on: a user, an API key or an invitation.
    Column("begun_by", String(64), nullable=False),
    Column("invitation_id", String(32), ForeignKey("invitations.id"), index=True),
    Column("state", String(24), nullable=False),
    Column("signer", String(24)),
    Column("method", String(16)),
    Column("subject_type", String(16)),
    Column("subject_value", String(64)),
    Column("signature_request_id", String(32)),
    # When its signed form was handed in that KSeF is checking.
    Column("checking_since", UtcDateTime),
    # What somebody has said yes to and KSeF works on; of a grant, who is let in.
    Column("under_way", String(16)),
    Column("under_way_since", UtcDateTime),
    Column("under_way_operator", String(10)),
    Column("limits", JSON(none_as_null=True)),
    Column("limits_at", UtcDateTime),
    Column("issuance_id", String(32), ForeignKey("issuances.id")),
    Column("refusal", JSON(none_as_null=True)),
    # The connection that the pair on order takes the place of, as it stood then.
    Column("replaces", String(160)),
    Column("setback", String(24)),
    # KSeF's, where it has refused the sign-in or the act.
    Column("refused_code", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "environment", "context_type", "context_value"),
    Index(None, "environment", "state", "updated_at"),
    Index(None, "issuance_id"),
)

imports = Table(
    "imports",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("carried_out_at", UtcDateTime),
    Index(None, "environment", "created_at", "id"),
)

import_lines = Table(
    "import_lines",
    metadata,
    Column("import_id", String(32), ForeignKey("imports.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("nip", String(10)),
    Column("name", String(100)),
    Column("email", String(254)),
    Column("method", String(16)),
    Column("problems", JSON, nullable=False),
    Column("outcome", String(24)),
)

# What happened, for webhooks, streams and notices; written with the audit log.
events = Table(
    "events",
    metadata,
    # Told once where it is made of what the event is about (`storage.events`).
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    # Its place in the order in which events are told; given when nothing before it can appear any more.
    Column("number", BigInteger),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("context_value", String(64)),
    Column("issuance_id", String(32)),
    Column("actor", String(128), nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "environment", "number", unique=True),
    Index(None, "environment", "context_value", "number"),
    Index(None, "environment", "at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("url", Text, nullable=False),
    # Kinds of events; empty: all.
    Column("kinds", JSON, nullable=False),
    Column("nip", String(10)),
    Column("created_by", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
    # Why: by somebody, or because it did not answer for too long.
    Column("disabled_because", String(40)),
    # Since when nothing has been accepted; None: the last delivery was.
    Column("failing_since", UtcDateTime),
    # Nothing is sent before this: who does not answer is not asked for each delivery anew.
    Column("rests_until", UtcDateTime),
    Column("version", Integer, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("webhook_id", String(32), ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", String(32), ForeignKey("events.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("status", Integer),
    Column("problem", String(40)),
    Column("created_at", UtcDateTime, nullable=False),
    # When it became due for the first time, or anew; it is given up days after that.
    Column("asked_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index(None, "webhook_id", "created_at", "id"),
    Index(None, "webhook_id", "due_at"),
    Index(None, "event_id", "webhook_id", unique=True),
)

# What somebody is to be told by e-mail, until it is told. `about` makes sure that each thing is told once. No secret: a
# link is sealed apart.
mails = Table(
    "mails",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column("about", String(160), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("data", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("problem", String(40)),
    Index(None, "due_at"),
)

# Answers to requests of the API that may be repeated: the same key gives the same answer, and nothing is done twice.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    # None while the first request is being answered.
    Column("status", Integer),
    Column("headers", JSON(none_as_null=True)),
    # The id of what was made, from the transaction that made it: whoever comes after a crash makes no second one.
    Column("made", String(64)),
    # The body, sealed: it may hold what is told only once.
    Column("algorithm", String(16)),
    Column("data_key_id", String(64), ForeignKey("data_keys.id")),
    Column("nonce", LargeBinary),
    Column("ciphertext", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)
