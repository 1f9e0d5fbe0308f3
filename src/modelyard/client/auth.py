"""Where the server is and whose token is used: the environment, else the data directory of a server on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.errors import Unauthenticated, Unavailable

BASE, TOKEN, USER = "CLARIFAI_API_BASE", "CLARIFAI_PAT", "CLARIFAI_USER_ID"


@dataclass(frozen=True, kw_only=True)
class Context:
    """A server, and who asks it."""

    base: str
    """`http://127.0.0.1:8080`."""
    token: str = field(repr=False)
    user_id: str = ""
    """Empty: whoever the token belongs to."""

    @property
    def user(self) -> str:
        """The user as requests name it."""
        return self.user_id or "me"


def default_data_dir() -> Path:
    """`MODELYARD_DATA_DIR`, else `modelyard` in the user's data folder (XDG base directory specification)."""
    given = os.environ.get("MODELYARD_DATA_DIR")
    if given:
        return Path(given).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "modelyard"


def find_context(environ: Mapping[str, str] | None = None) -> Context:
    """The server to talk to.

    Raises:
        Unauthenticated: the environment names a server, and no token for it.
        Unavailable: the environment names none, and none was started on this machine.
    """
    variables = os.environ if environ is None else environ
    base = variables.get(BASE, "")
    if not base:
        return read_data_dir(default_data_dir())
    token = variables.get(TOKEN, "")
    if not token:
        raise Unauthenticated(f"{BASE} is {base}, and {TOKEN} is not set", hint='eval "$(modelyard env)"')
    return Context(base=base, token=token, user_id=variables.get(USER, ""))


def read_data_dir(data_dir: Path) -> Context:
    """The server that was started with this data directory. Raises Unavailable where there was none."""
    try:
        server = json.loads((data_dir / "server.json").read_text())
        token = (data_dir / "secrets" / "token").read_text().strip()
    except FileNotFoundError:
        raise Unavailable(
            f"no server was started with the data directory {data_dir}",
            hint=f"modelyard up, or set {BASE} and {TOKEN} to those of another server",
        ) from None
    return Context(base=server["url"], token=token, user_id=server["user_id"])
