"""Endpoints: where the traffic of a model goes, and between how many replicas. Versions know how their warm-up went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and give each model that has a default version its own endpoint."""
    op.add_column("versions", sa.Column("warm_up", sa.String(), server_default=sa.text("''"), nullable=False))
    endpoints = op.create_table(
        "endpoints",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("deployment_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("traffic", sa.JSON(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("previous_version_id", sa.String(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("min_replicas", sa.Integer(), nullable=False),
        sa.Column("max_replicas", sa.Integer(), nullable=False),
        sa.Column("idle_s", sa.Float(), nullable=False),
        sa.Column("follows_latest", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "app_id", "model_id"],
            ["models.user_id", "models.app_id", "models.model_id"],
            name="fk_endpoints_models",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("position", name="pk_endpoints"),
        sa.UniqueConstraint("user_id", "deployment_id", name="uq_endpoints_user_id_deployment_id"),
    )
    give_own(endpoints)


def give_own(endpoints: sa.Table) -> None:
    """The default version of each model has all of its traffic."""
    names = ("version_id", "user_id", "app_id", "model_id", "is_default", "modified_at")
    deployments = sa.table("deployments", *(sa.column(name) for name in names))
    deployments.c.modified_at.type = MOMENT
    deployments.c.is_default.type = sa.Boolean()
    for row in op.get_bind().execute(sa.select(deployments).where(deployments.c.is_default)).all():
        op.get_bind().execute(
            endpoints.insert().values(
                user_id=row.user_id,
                deployment_id=f"{row.app_id}~{row.model_id}",
                app_id=row.app_id,
                model_id=row.model_id,
                is_own=True,
                traffic=[[row.version_id, 100]],
                wanted=[],
                previous_version_id="",
                rules=[],
                min_replicas=1,
                max_replicas=1,
                idle_s=300.0,
                follows_latest=True,
                message="",
                description="",
                metadata={},
                created_at=row.modified_at,
                modified_at=row.modified_at,
            )
        )
