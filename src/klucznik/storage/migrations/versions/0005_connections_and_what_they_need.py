"""Connections, the operator, KSeF tokens, documents to sign, programs that hold certificates, and deploy hooks."""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

from klucznik.storage.columns import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("context_type", sa.String(length=16), nullable=False),
        sa.Column("context_value", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("subject_type", sa.String(length=16), nullable=True),
        sa.Column("subject_value", sa.String(length=64), nullable=True),
        sa.Column("health", sa.String(length=24), nullable=False),
        sa.Column("health_since", UtcDateTime(timezone=True), nullable=False),
        sa.Column("health_code", sa.Integer(), nullable=True),
        sa.Column("checked_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("deploy_hook", sa.Text(), nullable=True),
        sa.Column("revokes_superseded", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
    )
    op.create_index(
        op.f("ix_connections_environment_context_type_context_value"),
        "connections",
        ["environment", "context_type", "context_value"],
        unique=True,
    )
    op.create_index(
        op.f("ix_connections_environment_method_checked_at"),
        "connections",
        ["environment", "method", "checked_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_connections_environment_subject_type_subject_value"),
        "connections",
        ["environment", "subject_type", "subject_value"],
        unique=False,
    )
    op.create_table(
        "program_uses",
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("serial_number", sa.String(length=16), nullable=False),
        sa.Column("program", sa.String(length=64), nullable=False),
        sa.Column("first_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("environment", "serial_number", "program", name=op.f("pk_program_uses")),
    )
    op.create_index(
        op.f("ix_program_uses_environment_program"), "program_uses", ["environment", "program"], unique=False
    )
    op.create_table(
        "deployments",
        sa.Column("issuance_id", sa.String(length=32), nullable=False),
        sa.Column("hook", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["issuance_id"], ["issuances.id"], name=op.f("fk_deployments_issuance_id")),
        sa.PrimaryKeyConstraint("issuance_id", "hook", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_state"), "deployments", ["state"], unique=False)
    op.create_table(
        "ksef_tokens",
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("reference_number", sa.String(length=64), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("data_key_id", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=op.f("fk_ksef_tokens_connection_id")),
        sa.ForeignKeyConstraint(["data_key_id"], ["data_keys.id"], name=op.f("fk_ksef_tokens_data_key_id")),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_ksef_tokens")),
    )
    op.create_table(
        "signature_requests",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("context_type", sa.String(length=16), nullable=False),
        sa.Column("context_value", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("issuance_id", sa.String(length=32), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("challenge", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["issuance_id"], ["issuances.id"], name=op.f("fk_signature_requests_issuance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature_requests")),
        sa.UniqueConstraint("challenge", name=op.f("uq_signature_requests_challenge")),
    )
    op.create_index(
        op.f("ix_signature_requests_environment_context_type_context_value"),
        "signature_requests",
        ["environment", "context_type", "context_value"],
        unique=False,
    )
    op.create_index(op.f("ix_signature_requests_expires_at"), "signature_requests", ["expires_at"], unique=False)
    op.create_table(
        "operators",
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("nip", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=90), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["private_keys.id"], name=op.f("fk_operators_key_id")),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_operators")),
    )
    _connect_what_was_issued_and_imported()
    op.add_column("issuances", sa.Column("replaces", sa.JSON(), nullable=True))
    op.add_column("issuances", sa.Column("ignores_reserve", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("issuances", sa.Column("keys_on_token", sa.Boolean(), server_default=sa.false(), nullable=False))


def _connect_what_was_issued_and_imported() -> None:
    """Until now whoever had issued for a company signed in for it, and a company's own certificates did for itself.

    From here on a connection says so: the subject of the newest Authentication certificate, as it was chosen before.
    """
    bind = op.get_bind()
    certificates, issuances, connections = _tables()
    newest_first = (certificates.c.valid_from.desc(), certificates.c.created_at.desc())
    held = bind.execute(
        sa.select(certificates)
        .where(certificates.c.type == "Authentication", certificates.c.revoked_at.is_(None))
        .order_by(*newest_first)
    ).all()
    newest: dict[tuple[str, str, str], sa.Row[Any]] = {}
    for row in held:
        newest.setdefault((row.environment, row.subject_type, row.subject_value), row)
    pairs = [
        (row.environment, row.context_type, row.context_value, row.subject_type, row.subject_value)
        for row in bind.execute(sa.select(issuances).distinct())
    ]
    pairs += [(environment, "Nip", value, kind, value) for environment, kind, value in newest if kind == "Nip"]
    chosen: dict[tuple[str, str, str], sa.Row[Any]] = {}
    for environment, context_type, context_value, subject_type, subject_value in pairs:
        found, place = (
            newest.get((environment, subject_type, subject_value)),
            (environment, context_type, context_value),
        )
        if found is not None and (place not in chosen or found.valid_from > chosen[place].valid_from):
            chosen[place] = found
    rows = [
        {
            "id": secrets.token_hex(16),
            "environment": environment,
            "context_type": context_type,
            "context_value": context_value,
            "method": "imported" if row.origin == "imported" else "certificates",
            "subject_type": row.subject_type,
            "subject_value": row.subject_value,
            "health": "unchecked",
            "health_since": row.created_at,
            "revokes_superseded": False,
            "created_at": row.created_at,
            "updated_at": row.created_at,
            "version": 1,
        }
        for (environment, context_type, context_value), row in chosen.items()
    ]
    if rows:
        bind.execute(connections.insert(), rows)


def _tables() -> tuple[sa.TableClause, sa.TableClause, sa.TableClause]:
    """The columns that matter here, as they are at this revision."""
    subject = ("environment", "subject_type", "subject_value")
    context = ("context_type", "context_value")
    dates = ("valid_from", "created_at", "revoked_at")
    return (
        sa.table(
            "certificates",
            *map(sa.column, (*subject, "type", "origin")),
            *(sa.column(name, UtcDateTime) for name in dates),
        ),
        sa.table("issuances", *map(sa.column, (*subject, *context))),
        sa.table(
            "connections",
            *map(sa.column, ("id", *subject, *context, "method", "health", "version")),
            sa.column("revokes_superseded", sa.Boolean),
            *(sa.column(name, UtcDateTime) for name in ("health_since", "created_at", "updated_at")),
        ),
    )
