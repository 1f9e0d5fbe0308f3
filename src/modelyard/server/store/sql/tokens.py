"""Personal access tokens, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError

from modelyard.errors import UserNotFound
from modelyard.server.records import Page, Token
from modelyard.server.store.sql.database import Database, whole
from modelyard.server.store.tables import tokens


class SqlTokens:
    """Implements `TokenStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @whole
    async def add(self, token: Token) -> None:
        try:
            async with self._database.write() as connection:
                await connection.execute(tokens.insert().values(**_to_values(token)))
        except IntegrityError as error:
            raise UserNotFound(f"user {token.user_id!r} does not exist") from error

    async def get(self, token_id: str) -> Token | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(tokens).where(tokens.c.token_id == token_id))).one_or_none()
        return _to_token(row) if row else None

    async def list(self, user_id: str, page: Page) -> Sequence[Token]:
        query = (
            select(tokens)
            .where(tokens.c.user_id == user_id, tokens.c.revoked_at.is_(None))
            .order_by(tokens.c.position)
            .limit(page.size)
            .offset(page.offset)
        )
        async with self._database.read() as connection:
            return [_to_token(row) for row in await connection.execute(query)]

    @whole
    async def update(self, token: Token) -> bool:
        values = _to_values(token)
        change = (
            update(tokens)
            .where(tokens.c.user_id == token.user_id, tokens.c.token_id == token.token_id)
            .where(tokens.c.revoked_at.is_(None))
            .values({name: values[name] for name in ("description", "scopes", "app_ids")})
        )
        async with self._database.write() as connection:
            return (await connection.execute(change)).rowcount == 1

    @whole
    async def revoke(self, user_id: str, token_id: str, at: datetime) -> bool:
        change = (
            update(tokens)
            .where(tokens.c.user_id == user_id, tokens.c.token_id == token_id, tokens.c.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        async with self._database.write() as connection:
            return (await connection.execute(change)).rowcount == 1


def _to_values(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "user_id": token.user_id,
        "description": token.description,
        "digest": token.digest,
        "scopes": sorted(token.scopes),
        "app_ids": sorted(token.app_ids),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }


def _to_token(row: Row[Any]) -> Token:
    return Token(
        token_id=row.token_id,
        user_id=row.user_id,
        description=row.description,
        digest=row.digest,
        scopes=frozenset(row.scopes),
        app_ids=frozenset(row.app_ids),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
