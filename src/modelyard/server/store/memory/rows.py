"""All rows of a store in memory. Its methods run between two waits of the event loop: each is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from modelyard.errors import InternalError
from modelyard.server.records import (
    App,
    AppKey,
    Build,
    Deployment,
    Endpoint,
    LogLine,
    LogType,
    Model,
    ModelKey,
    Page,
    Token,
    User,
    Version,
)
from modelyard.server.store.changes import Changes

Row = TypeVar("Row")


@dataclass
class Rows:
    """Dicts keep the order in which their rows were added: what is replaced keeps its place."""

    changes: Changes = field(default_factory=Changes)
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    apps: dict[AppKey, App] = field(default_factory=dict)
    models: dict[ModelKey, Model] = field(default_factory=dict)
    last_numbers: dict[ModelKey, int] = field(default_factory=dict)
    """The highest number that a version of the model ever had."""
    versions: dict[str, Version] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    """By user and deployment id."""
    lines: dict[tuple[str, LogType], list[LogLine]] = field(default_factory=dict)

    def delete_models(self, is_gone: Callable[[ModelKey], bool]) -> None:
        """Delete models with all that hangs on them."""
        for key in [key for key in self.models if is_gone(key)]:
            del self.models[key]
            self.last_numbers.pop(key, None)
        for name in [name for name, one in self.endpoints.items() if is_gone(one.key)]:
            del self.endpoints[name]
        self.delete_versions(lambda version: is_gone(version.key))

    def delete_versions(self, is_gone: Callable[[Version], bool]) -> None:
        """Delete versions with their builds, deployments and logs."""
        for version_id in [one.version_id for one in self.versions.values() if is_gone(one)]:
            del self.versions[version_id]
            self.builds.pop(version_id, None)
            self.deployments.pop(version_id, None)
            for key in [key for key in self.lines if key[0] == version_id]:
                del self.lines[key]


def cut(rows: Iterable[Row], page: Page) -> list[Row]:
    """The rows of a page."""
    return [*rows][page.offset : page.offset + page.size]


def check_moments(row: Row) -> Row:
    """The row itself; raises InternalError for a moment that does not say in which zone."""
    for name, value in vars(row).items():
        if isinstance(value, datetime) and value.tzinfo is None:
            raise InternalError(f"{name} has no time zone: {value!r}")
    return row
