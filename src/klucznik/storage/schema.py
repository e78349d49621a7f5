"""The tables as they are now. How an older database gets here is told by the migrations beside this file."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
)

from klucznik.storage.columns import UtcDateTime

# The newest migration. A new database is made from the tables below and marked with it; a test holds both equal.
HEAD = "0004"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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
