"""The first tables: users, tokens, apps, models, versions, builds, deployments and logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them, parents first."""
    make_users()
    make_models()
    make_versions()
    make_jobs()


def make_users() -> None:
    """Users and their tokens."""
    op.create_table(
        "users",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
    )
    op.create_table(
        "tokens",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("app_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_tokens_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("position", name="pk_tokens"),
        sa.UniqueConstraint("token_id", name="uq_tokens_token_id"),
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])


def make_models() -> None:
    """Apps and their models."""
    op.create_table(
        "apps",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_apps_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("position", name="pk_apps"),
        sa.UniqueConstraint("user_id", "app_id", name="uq_apps_user_id_app_id"),
    )
    op.create_table(
        "models",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("model_type_id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("last_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "app_id"], ["apps.user_id", "apps.app_id"], name="fk_models_apps", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("position", name="pk_models"),
        sa.UniqueConstraint("user_id", "app_id", "model_id", name="uq_models_user_id_app_id_model_id"),
    )


def make_versions() -> None:
    """Versions of models."""
    op.create_table(
        "versions",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_message", sa.Text(), nullable=False),
        sa.Column("state_details", sa.Text(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("code_digest", sa.String(), nullable=False),
        sa.Column("weights_digest", sa.String(), nullable=False),
        sa.Column("environment_digest", sa.String(), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["user_id", "app_id", "model_id"],
            ["models.user_id", "models.app_id", "models.model_id"],
            name="fk_versions_models",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("position", name="pk_versions"),
        sa.UniqueConstraint("version_id", name="uq_versions_version_id"),
        sa.UniqueConstraint(
            "user_id", "app_id", "model_id", "number", name="uq_versions_user_id_app_id_model_id_number"
        ),
    )
    op.create_index("ix_versions_state", "versions", ["state"])


def make_jobs() -> None:
    """What hangs on a version: its build, its deployment, its logs."""
    op.create_table(
        "builds",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=False),
        sa.Column("lease_until", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name="fk_builds_versions", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("position", name="pk_builds"),
        sa.UniqueConstraint("version_id", name="uq_builds_version_id"),
    )
    op.create_index("ix_builds_state", "builds", ["state"])
    op.create_table(
        "deployments",
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("replicas", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.version_id"], name="fk_deployments_versions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name="pk_deployments"),
    )
    op.create_index(
        "ix_deployments_one_default",
        "deployments",
        ["user_id", "app_id", "model_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "log_lines",
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("log_type", sa.String(), nullable=False),
        sa.Column("sequence", COUNT, autoincrement=False, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.version_id"], name="fk_log_lines_versions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "log_type", "sequence", name="pk_log_lines"),
    )
