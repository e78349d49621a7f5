"""The tables as they are now: certificates, their road, connections, the audit log. Those of people: `schema_people`.

How an older database gets here is told by the migrations beside this file.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    event,
    false,
)

from klucznik.storage.columns import UtcDateTime
from klucznik.storage.metadata import metadata

data_keys = Table(
    "data_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("master_key_id", String(64), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

private_keys = Table(
    "private_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("subject_type", String(16), nullable=False),
    Column("subject_value", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("data_key_id", String(64), ForeignKey("data_keys.id"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Who may act for a subject now. `token` grows with every taking and is never reused, so that a holder that was frozen
# and woke up is recognised by the number it still carries (rule 4 of the design).
leases = Table(
    "leases",
    metadata,
    Column("environment", String(16), primary_key=True),
    Column("subject_type", String(16), primary_key=True),
    Column("subject_value", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("token", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

issuances = Table(
    "issuances",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("context_type", String(16), nullable=False),
    Column("context_value", String(64), nullable=False),
    Column("subject_type", String(16), nullable=False),
    Column("subject_value", String(64), nullable=False),
    Column("key_type", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("missing", JSON, nullable=False),
    Column("limits_before", JSON),
    Column("limits_after", JSON),
    Column("wait_kind", String(24)),
    Column("wait_since", UtcDateTime),
    Column("wait_looks", Integer),
    Column("wait_reason", String(64)),
    # When somebody should look at it; None: it has ended, or only a person can take it on.
    Column("wake_at", UtcDateTime),
    Column("limits_until", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    # Serial numbers of the certificates that a renewal replaces; None: no renewal.
    Column("replaces", JSON(none_as_null=True)),
    Column("ignores_reserve", Boolean, nullable=False, server_default=false()),
    Column("keys_on_token", Boolean, nullable=False, server_default=false()),
    # Unless it ends well, its session stays open for a way out: whoever ordered it ends it.
    Column("stays_signed_in", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "environment", "subject_type", "subject_value", "state"),
    Index(None, "environment", "context_type", "context_value"),
    Index(None, "environment", "wake_at"),
)

# The login with which a running issuance goes on, whoever takes it on: its tokens, sealed by the vault. Removed at the
# end of the issuance.
logins = Table(
    "logins",
    metadata,
    Column("issuance_id", String(32), ForeignKey("issuances.id"), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("data_key_id", String(64), ForeignKey("data_keys.id"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

enrollments = Table(
    "enrollments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("issuance_id", String(32), ForeignKey("issuances.id"), nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("name", String(100), nullable=False, unique=True),
    Column("key_id", String(64), ForeignKey("private_keys.id"), nullable=False, unique=True),
    Column("csr", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("remaining_before", Integer),
    Column("sent_at", UtcDateTime),
    Column("requested_at", UtcDateTime),
    Column("reference_number", String(64), unique=True),
    Column("certificate_serial_number", String(16)),
    Column("failure", JSON),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("environment", String(16), primary_key=True),
    Column("serial_number", String(16), primary_key=True),
    Column("subject_type", String(16), nullable=False),
    Column("subject_value", String(64), nullable=False),
    Column("type", String(16), nullable=False),
    Column("name", String(100), nullable=False),
    Column("common_name", Text, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_to", UtcDateTime, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("key_id", String(64), ForeignKey("private_keys.id"), nullable=False, unique=True),
    Column("origin", String(16), nullable=False),
    Column("verified_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("origin in ('issued', 'imported')", name="origin"),
    Index(None, "environment", "subject_type", "subject_value", "type"),
)

BOARD_INDEXES = (
    ("attention_from",),
    ("search_name",),
    ("act_at",),
    ("severity",),
    ("ends_at",),
    ("method",),
    ("method", "attention_from"),
    ("method", "search_name"),
    ("method", "act_at"),
    ("method", "severity"),
    ("severity", "attention_from"),
    ("severity", "search_name"),
    ("severity", "act_at"),
)

# By which method we may act for a company, and how well that works. One method for each context.
connections = Table(
    "connections",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("context_type", String(16), nullable=False),
    Column("context_value", String(64), nullable=False),
    Column("name", String(100)),
    Column("method", String(16), nullable=False),
    # Who signs in. None where the operator does.
    Column("subject_type", String(16)),
    Column("subject_value", String(64)),
    Column("health", String(24), nullable=False),
    Column("health_since", UtcDateTime, nullable=False),
    Column("health_code", Integer),
    Column("checked_at", UtcDateTime),
    Column("deploy_hook", Text),
    Column("revokes_superseded", Boolean, nullable=False),
    # By these the board sorts and searches; see `connection_dates`.
    Column("search_name", String(120), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("act_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("attention_from", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "environment", "context_type", "context_value", unique=True),
    Index(None, "environment", "subject_type", "subject_value"),
    Index(None, "environment", "method", "checked_at"),
    # Every order of the board, of all connections, of one method and of one health: nothing is ever sorted, nor passed
    # over on the way to the first row of a page.
    *(
        Index(f"ix_connections_{'_'.join(names)}_place", "environment", *names, "context_type", "context_value")
        for names in BOARD_INDEXES
    ),
)

# Who runs this installation. The credential is needed only where the vault has no certificate of this NIP.
operators = Table(
    "operators",
    metadata,
    Column("environment", String(16), primary_key=True),
    Column("nip", String(10), nullable=False),
    Column("name", String(90), nullable=False),
    Column("certificate", LargeBinary),
    Column("key_id", String(64), ForeignKey("private_keys.id")),
    Column("updated_at", UtcDateTime, nullable=False),
)

# KSeF tokens of connections, sealed by the vault.
ksef_tokens = Table(
    "ksef_tokens",
    metadata,
    Column("connection_id", String(32), ForeignKey("connections.id"), primary_key=True),
    Column("reference_number", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("data_key_id", String(64), ForeignKey("data_keys.id"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Documents that people take away to sign. A challenge is no secret: it is worth nothing without a signature.
signature_requests = Table(
    "signature_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("context_type", String(16), nullable=False),
    Column("context_value", String(64), nullable=False),
    Column("purpose", String(24), nullable=False),
    Column("issuance_id", String(32), ForeignKey("issuances.id")),
    Column("options", JSON, nullable=False),
    Column("challenge", String(64), nullable=False, unique=True),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Index(None, "environment", "context_type", "context_value"),
    Index(None, "expires_at"),
)

# Which program got which certificate: whoever revokes it can then say who will notice.
program_uses = Table(
    "program_uses",
    metadata,
    Column("environment", String(16), primary_key=True),
    Column("serial_number", String(16), primary_key=True),
    Column("program", String(64), primary_key=True),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Index(None, "environment", "program"),
)

# Hooks that bring renewed certificates to other programs: each runs once for an issuance.
deployments = Table(
    "deployments",
    metadata,
    Column("issuance_id", String(32), ForeignKey("issuances.id"), primary_key=True),
    Column("hook", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("exit_code", Integer),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index(None, "state"),
)

# Every row of a chain holds the MAC of the row before it (`domain.audit`). All columns are texts, numbers and bytes
# that come out exactly as they went in, for the MAC is taken of them.
audit_log = Table(
    "audit_log",
    metadata,
    Column("chain", String(100), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", String(27), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("event", String(40), nullable=False),
    Column("issuance_id", String(32)),
    Column("facts", Text, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    # Which company it is about, as "sandbox:5265877635", so that its page finds it. The MAC is not taken of it: it says
    # nothing that the row does not say.
    Column("company", String(81)),
    Index("ix_audit_log_company_at", "company", "at", "chain", "number"),
    Index(None, "at", "chain", "number"),
    Index("ix_audit_log_event_at", "event", "at", "chain", "number"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("chain", String(100), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)

# Subjects whose rows come out of a backup: KSeF may know of more than they do, until somebody has looked.
restored_subjects = Table(
    "restored_subjects",
    metadata,
    Column("environment", String(16), primary_key=True),
    Column("subject_type", String(16), primary_key=True),
    Column("subject_value", String(64), primary_key=True),
    Column("backup_made_at", UtcDateTime, nullable=False),
)

# The database itself refuses what nobody of us does. Whoever may drop a trigger is stopped by the MACs, not by this.
APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "sqlite": (
        "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION klucznik_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION klucznik_append_only()",
    ),
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(audit_log, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
