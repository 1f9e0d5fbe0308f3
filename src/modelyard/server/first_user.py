"""Who owns a data directory: decided by the first start, read by every later one."""

from __future__ import annotations

import json
import os
from pathlib import Path

from modelyard.errors import Conflict

DEFAULT_USER = "local"


def choose_user(data_dir: Path, asked: str | None) -> str:
    """The user of the server: the directory's, else the one asked for, else `CLARIFAI_USER_ID`, else `local`.

    Raises Conflict where the directory belongs to another user than the one asked for.
    """
    try:
        owner = str(json.loads((data_dir / "server.json").read_text())["user_id"])
    except FileNotFoundError:
        return asked or os.environ.get("CLARIFAI_USER_ID") or DEFAULT_USER
    except (ValueError, KeyError, TypeError) as error:
        raise Conflict(
            f"{data_dir / 'server.json'} does not say whose the data directory is: {error!r}",
            hint='restore it, or write {"user_id": "..."} with the id of its user',
        ) from error
    if asked is not None and asked != owner:
        raise Conflict(
            f"--user-id {asked!r}: the data directory {data_dir} belongs to user {owner!r}",
            hint="leave --user-id out, or give this user another --data-dir",
        )
    return owner
