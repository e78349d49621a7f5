"""Users, invitations, onboardings, imports; events, webhooks and mails; API keys. And issuances that stay signed in.

The board and the page of a company: by what connections are sorted, and of which company a row of the audit log tells.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

from klucznik.storage.columns import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915  a list of tables
    op.create_index(op.f("ix_audit_log_at_chain_number"), "audit_log", ["at", "chain", "number"], unique=False)
    op.create_index("ix_audit_log_event_at", "audit_log", ["event", "at", "chain", "number"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("context_value", sa.String(length=64), nullable=True),
        sa.Column("issuance_id", sa.String(length=32), nullable=True),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_environment_at"), ["environment", "at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_events_environment_context_value_number"),
            ["environment", "context_value", "number"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_events_environment_number"), ["environment", "number"], unique=True)

    op.create_table(
        "failed_sign_ins",
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("about", name=op.f("pk_failed_sign_ins")),
    )
    with op.batch_alter_table("failed_sign_ins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_failed_sign_ins_first_at"), ["first_at"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("made", sa.String(length=64), nullable=True),
        sa.Column("algorithm", sa.String(length=16), nullable=True),
        sa.Column("data_key_id", sa.String(length=64), nullable=True),
        sa.Column("nonce", sa.LargeBinary(), nullable=True),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["data_key_id"], ["data_keys.id"], name=op.f("fk_idempotency_keys_data_key_id")),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "imports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("carried_out_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_imports_environment_created_at_id"), ["environment", "created_at", "id"], unique=False
        )

    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("context_type", sa.String(length=16), nullable=False),
        sa.Column("context_value", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("link_expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("link_used_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("opened_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("done_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invitations_environment_context_type_context_value"),
            ["environment", "context_type", "context_value"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_invitations_environment_created_at_id"), ["environment", "created_at", "id"], unique=False
        )

    op.create_table(
        "mails",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("about", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("about", name=op.f("uq_mails_about")),
    )
    with op.batch_alter_table("mails", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mails_due_at"), ["due_at"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("totp_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=16), nullable=False),
        sa.Column("disabled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("nip", sa.String(length=10), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("disabled_because", sa.String(length=40), nullable=True),
        sa.Column("failing_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("rests_until", UtcDateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "account_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_links_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_account_links")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("shown", sa.String(length=16), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("nip", sa.String(length=10), nullable=True),
        sa.Column("created_by", sa.String(length=32), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_api_keys_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_api_key_secrets_key_id")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_api_key_secrets")),
    )
    op.create_index(op.f("ix_api_key_secrets_key_id"), "api_key_secrets", ["key_id"], unique=False)
    op.create_table(
        "import_lines",
        sa.Column("import_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("nip", sa.String(length=10), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=True),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_import_lines_import_id")),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_import_lines")),
    )
    op.create_table(
        "onboardings",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("context_type", sa.String(length=16), nullable=False),
        sa.Column("context_value", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("begun_by", sa.String(length=64), nullable=False),
        sa.Column("invitation_id", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("signer", sa.String(length=24), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=True),
        sa.Column("subject_type", sa.String(length=16), nullable=True),
        sa.Column("subject_value", sa.String(length=64), nullable=True),
        sa.Column("signature_request_id", sa.String(length=32), nullable=True),
        sa.Column("checking_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("under_way", sa.String(length=16), nullable=True),
        sa.Column("under_way_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("under_way_operator", sa.String(length=10), nullable=True),
        sa.Column("limits", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("limits_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("issuance_id", sa.String(length=32), nullable=True),
        sa.Column("refusal", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("replaces", sa.String(length=160), nullable=True),
        sa.Column("setback", sa.String(length=24), nullable=True),
        sa.Column("refused_code", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["invitation_id"], ["invitations.id"], name=op.f("fk_onboardings_invitation_id")),
        sa.ForeignKeyConstraint(["issuance_id"], ["issuances.id"], name=op.f("fk_onboardings_issuance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_onboardings")),
    )
    with op.batch_alter_table("onboardings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_onboardings_environment_context_type_context_value"),
            ["environment", "context_type", "context_value"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_onboardings_environment_state_updated_at"),
            ["environment", "state", "updated_at"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_onboardings_invitation_id"), ["invitation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_onboardings_issuance_id"), ["issuance_id"], unique=False)

    op.create_table(
        "passkeys",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passkeys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
    )
    with op.batch_alter_table("passkeys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkeys_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sealed_secrets",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("data_key_id", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["data_key_id"], ["data_keys.id"], name=op.f("fk_sealed_secrets_data_key_id")),
        sa.PrimaryKeyConstraint("kind", "owner_id", name=op.f("pk_sealed_secrets")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id")),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("invitation_id", sa.String(length=32), nullable=True),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("complete_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("proved_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["invitation_id"], ["invitations.id"], name=op.f("fk_web_sessions_invitation_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_web_sessions_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_sessions")),
    )
    with op.batch_alter_table("web_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_web_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_web_sessions_invitation_id"), ["invitation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_web_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("asked_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_webhook_deliveries_event_id")),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webhook_deliveries_event_id_webhook_id"), ["event_id", "webhook_id"], unique=True
        )
        batch_op.create_index(
            batch_op.f("ix_webhook_deliveries_webhook_id_created_at_id"),
            ["webhook_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_webhook_deliveries_webhook_id_due_at"), ["webhook_id", "due_at"], unique=False
        )

    with op.batch_alter_table("issuances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stays_signed_in", sa.Boolean(), server_default=sa.false(), nullable=False))
    _what_pages_look_for()


def _what_pages_look_for() -> None:
    _columns_of_the_board()
    _companies_of_the_audit_log()


_BOARD = ("search_name", "severity", "act_at", "ends_at", "attention_from")


def _columns_of_the_board() -> None:
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.add_column(sa.Column("search_name", sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column("severity", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("act_at", UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("ends_at", UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("attention_from", UtcDateTime(timezone=True), nullable=True))
    _fill_the_board()
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.alter_column("search_name", existing_type=sa.String(length=120), nullable=False)
        batch_op.alter_column("severity", existing_type=sa.Integer(), nullable=False)
        for name in ("act_at", "ends_at", "attention_from"):
            batch_op.alter_column(name, existing_type=UtcDateTime(timezone=True), nullable=False)
    for names in (
        ["attention_from"],
        ["search_name"],
        ["act_at"],
        ["severity"],
        ["ends_at"],
        ["method"],
        ["method", "attention_from"],
        ["method", "search_name"],
        ["method", "act_at"],
        ["method", "severity"],
        ["severity", "attention_from"],
        ["severity", "search_name"],
        ["severity", "act_at"],
    ):
        columns = ["environment", *names, "context_type", "context_value"]
        op.create_index(f"ix_connections_{'_'.join(names)}_place", "connections", columns, unique=False)


# As the rules stood when this release was made (`domain.dates`, `domain.board`): a migration never changes.
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
_TOKENS_END = datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
_LEAD = timedelta(days=60)
_WORST_FIRST = (
    *("blocked", "permission_lost", "certificate_invalid", "token_invalid", "awaiting_grant"),
    *("unchecked", "healthy"),
)


def _fill_the_board() -> None:
    bind = op.get_bind()
    meta = sa.MetaData()
    connections = sa.Table("connections", meta, autoload_with=bind)
    certificates = sa.Table("certificates", meta, autoload_with=bind)
    for table, names in ((connections, (*_BOARD[2:], "health_since")), (certificates, ("valid_from", "valid_to"))):
        for name in names:
            table.c[name].type = UtcDateTime()
    for row in bind.execute(sa.select(connections)).all():
        held: Sequence[sa.Row[Any]] = ()
        if row.subject_type is not None and row.method in ("certificates", "imported"):
            held = bind.execute(
                sa.select(certificates).where(
                    certificates.c.environment == row.environment,
                    certificates.c.subject_type == row.subject_type,
                    certificates.c.subject_value == row.subject_value,
                    certificates.c.revoked_at.is_(None),
                    certificates.c.verified_at.is_not(None) | (certificates.c.origin == "imported"),
                )
            ).all()
        acts, ends = _dates(row, held)
        place = _WORST_FIRST.index(row.health) if row.health in _WORST_FIRST else len(_WORST_FIRST)
        bind.execute(
            connections.update()
            .where(connections.c.id == row.id)
            .values(
                search_name=_folded(row.name or "")[:120] or row.context_value,
                severity=place,
                act_at=acts,
                ends_at=ends,
                attention_from=row.health_since if place < _WORST_FIRST.index("unchecked") else acts,
            )
        )


def _dates(row: sa.Row[Any], held: Iterable[sa.Row[Any]]) -> tuple[datetime, datetime]:
    if row.method == "token":
        return _TOKENS_END - _LEAD, _TOKENS_END
    longest: dict[str, sa.Row[Any]] = {}
    for one in held:
        if one.type not in longest or one.valid_to > longest[one.type].valid_to:
            longest[one.type] = one
    newest = max((one.valid_from for one in longest.values()), default=_NEVER)
    serving = [one for one in longest.values() if one.valid_to > newest]
    if not serving:
        return _NEVER, _NEVER
    return min(map(_due, serving)), min(one.valid_to for one in serving)


def _due(one: sa.Row[Any]) -> datetime:
    digest = sha256(f"{one.subject_type}:{one.subject_value}".encode()).digest()
    place = int.from_bytes(digest[:4], "big") / 2**32
    lead = min((one.valid_to - one.valid_from) / 3, _LEAD)
    due: datetime = one.valid_to - lead - lead * (1 / 12) * place
    return due


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).translate(str.maketrans("łŁøØđĐ", "lLoOdD"))
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    return " ".join("".join(letter if letter.isalnum() else " " for letter in "".join(letters).casefold()).split())


def _companies_of_the_audit_log() -> None:
    op.add_column("audit_log", sa.Column("company", sa.String(length=81), nullable=True))
    bind = op.get_bind()
    for statement in _LOCKS[bind.dialect.name][0]:
        op.execute(statement)
    op.execute(
        "UPDATE audit_log SET company = (SELECT environment || ':' || context_value FROM issuances"
        " WHERE issuances.id = audit_log.issuance_id) WHERE issuance_id IS NOT NULL"
    )
    log = sa.table("audit_log", *(sa.column(name) for name in ("chain", "number", "facts", "company")))
    told = sa.select(log.c.chain, log.c.number, log.c.facts).where(
        log.c.company.is_(None), log.c.facts.like('%"context":"%'), log.c.chain.like("%:%")
    )
    for row in bind.execute(told).all():
        company = f"{row.chain.partition(':')[0]}:{json.loads(row.facts)['context']}"
        bind.execute(
            log.update().where(log.c.chain == row.chain, log.c.number == row.number).values(company=company[:81])
        )
    for statement in _LOCKS[bind.dialect.name][1]:
        op.execute(statement)
    op.create_index("ix_audit_log_company_at", "audit_log", ["company", "at", "chain", "number"], unique=False)


# What keeps rows from being changed, taken away and put back.
_LOCKS = {
    "sqlite": (
        ("DROP TRIGGER audit_log_no_update",),
        (
            "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log"
            " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        ),
    ),
    "postgresql": (
        ("ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only",),
        ("ALTER TABLE audit_log ENABLE TRIGGER audit_log_append_only",),
    ),
}
