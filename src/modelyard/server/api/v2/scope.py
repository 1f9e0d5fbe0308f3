"""Which user and app a request message names: `user_app_id`, or the one in an upload's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from modelyard.server.api.access import OWN_ALIASES
from modelyard.wire.messages import Message

FIELD = "user_app_id"
CONFIG_FIELD = "upload_config"


@dataclass(frozen=True)
class AppNames:
    """The user and app that a stream began with."""

    user_id: str
    app_id: str

    def includes(self, later: tuple[str, str]) -> bool:
        """May a later message say this? It may repeat the names, or leave them out."""
        user_id, app_id = later
        return (user_id in OWN_ALIASES or user_id == self.user_id) and app_id in ("", self.app_id)

    def __str__(self) -> str:
        return f"{self.user_id}/{self.app_id}"


def names_of(message: Message) -> tuple[str, str]:
    """(user_id, app_id) as the message says; empty where it does not."""
    path = _path_of(message.DESCRIPTOR)
    if path is None:
        return "", ""
    place: Any = message
    for name in path:
        place = getattr(place, name)
    return cast("str", place.user_id), cast("str", place.app_id)


@cache
def _path_of(descriptor: Any) -> tuple[str, ...] | None:
    fields = descriptor.fields_by_name
    if FIELD in fields:
        return (FIELD,)
    if CONFIG_FIELD in fields and FIELD in fields[CONFIG_FIELD].message_type.fields_by_name:
        return (CONFIG_FIELD, FIELD)
    return None
