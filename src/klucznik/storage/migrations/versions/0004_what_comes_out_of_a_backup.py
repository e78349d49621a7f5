"""Subjects that were restored from a backup are marked until they have been compared with KSeF."""

import sqlalchemy as sa
from alembic import op

from klucznik.storage.columns import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restored_subjects",
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("subject_type", sa.String(length=16), nullable=False),
        sa.Column("subject_value", sa.String(length=64), nullable=False),
        sa.Column("backup_made_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("environment", "subject_type", "subject_value", name=op.f("pk_restored_subjects")),
    )
