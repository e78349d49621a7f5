"""Issuances wait in their rows, and keep the login they go on with."""

import sqlalchemy as sa
from alembic import op

from klucznik.storage.columns import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("issuances", sa.Column("wait_kind", sa.String(length=24), nullable=True))
    op.add_column("issuances", sa.Column("wait_since", UtcDateTime(timezone=True), nullable=True))
    op.add_column("issuances", sa.Column("wait_looks", sa.Integer(), nullable=True))
    op.add_column("issuances", sa.Column("wait_reason", sa.String(length=64), nullable=True))
    op.add_column("issuances", sa.Column("wake_at", UtcDateTime(timezone=True), nullable=True))
    op.add_column("issuances", sa.Column("limits_until", UtcDateTime(timezone=True), nullable=True))
    op.add_column("issuances", sa.Column("cancelled_at", UtcDateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_issuances_environment_wake_at"), "issuances", ["environment", "wake_at"], unique=False)
    # Whatever was interrupted before is due at once.
    names = ("wake_at", "updated_at", "state")
    issuances = sa.table("issuances", *(sa.column(name) for name in names))
    running = issuances.c.state.in_(("planned", "underway"))
    op.execute(issuances.update().where(running).values(wake_at=issuances.c.updated_at))
    op.create_table(
        "logins",
        sa.Column("issuance_id", sa.String(length=32), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("data_key_id", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["data_key_id"], ["data_keys.id"], name=op.f("fk_logins_data_key_id")),
        sa.ForeignKeyConstraint(["issuance_id"], ["issuances.id"], name=op.f("fk_logins_issuance_id")),
        sa.PrimaryKeyConstraint("issuance_id", name=op.f("pk_logins")),
    )
