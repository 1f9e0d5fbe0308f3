"""The tables, in SQL that SQLite and PostgreSQL share. Migrations make them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware and UTC on our side, whatever the database makes of it. Microseconds are kept."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse what says no time zone: nobody could tell later which moment it was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the store keeps moments in UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back that SQLite drops."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Count = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column that is exactly INTEGER."""


def _position() -> Column[int]:
    """Creation order: rises with every row, whatever clocks do."""
    return Column("position", _Count, primary_key=True, autoincrement=True)


users = Table(
    "users",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _position(),
    Column("token_id", String, nullable=False, unique=True),
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("description", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("app_ids", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

apps = Table(
    "apps",
    metadata,
    _position(),
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("app_id", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "app_id"),
)

models = Table(
    "models",
    metadata,
    _position(),
    Column("user_id", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("model_type_id", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("last_number", Integer, nullable=False, server_default=text("0")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "app_id", "model_id"),
    ForeignKeyConstraint(["user_id", "app_id"], ["apps.user_id", "apps.app_id"], ondelete="CASCADE"),
)

versions = Table(
    "versions",
    metadata,
    _position(),
    Column("version_id", String, nullable=False, unique=True),
    Column("user_id", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("state_message", Text, nullable=False),
    Column("state_details", Text, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("code_digest", String, nullable=False),
    Column("weights_digest", String, nullable=False),
    Column("environment_digest", String, nullable=False),
    Column("manifest_digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("warm_up", String, nullable=False, server_default=text("''")),
    UniqueConstraint("user_id", "app_id", "model_id", "number"),
    ForeignKeyConstraint(
        ["user_id", "app_id", "model_id"],
        ["models.user_id", "models.app_id", "models.model_id"],
        ondelete="CASCADE",
    ),
)

builds = Table(
    "builds",
    metadata,
    _position(),
    Column("version_id", ForeignKey("versions.version_id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("state", String, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("lease_owner", String, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sealed_token", LargeBinary),
)

deployments = Table(
    "deployments",
    metadata,
    Column("version_id", ForeignKey("versions.version_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("replicas", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
)

Index(
    "ix_deployments_one_default",
    deployments.c.user_id,
    deployments.c.app_id,
    deployments.c.model_id,
    unique=True,
    sqlite_where=deployments.c.is_default,
    postgresql_where=deployments.c.is_default,
)

endpoints = Table(
    "endpoints",
    metadata,
    _position(),
    Column("user_id", String, nullable=False),
    Column("deployment_id", String, nullable=False),
    Column("app_id", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("is_own", Boolean, nullable=False),
    Column("traffic", JSON, nullable=False),
    Column("wanted", JSON, nullable=False),
    Column("previous_version_id", String, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("min_replicas", Integer, nullable=False),
    Column("max_replicas", Integer, nullable=False),
    Column("idle_s", Float, nullable=False),
    Column("follows_latest", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "deployment_id"),
    ForeignKeyConstraint(
        ["user_id", "app_id", "model_id"],
        ["models.user_id", "models.app_id", "models.model_id"],
        ondelete="CASCADE",
    ),
)

log_lines = Table(
    "log_lines",
    metadata,
    Column("version_id", ForeignKey("versions.version_id", ondelete="CASCADE"), primary_key=True),
    Column("log_type", String, primary_key=True),
    Column("sequence", _Count, primary_key=True, autoincrement=False),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
