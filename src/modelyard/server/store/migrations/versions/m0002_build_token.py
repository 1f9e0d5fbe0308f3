"""Builds keep the author's Hugging Face token, sealed, until they end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("builds", sa.Column("sealed_token", sa.LargeBinary(), nullable=True))
