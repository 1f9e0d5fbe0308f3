"""What the Python inside Envoy imports: pyvoy takes an application by its name, so the rest is in the environment."""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.server.carriers.relay.front import NUMBER_VARIABLE, SOCKET_VARIABLE, FrontApp


def _keep_serving() -> None:
    """The house drains Envoy by its administration, not by a word to this."""


app = FrontApp(Path(os.environ[SOCKET_VARIABLE]), int(os.environ[NUMBER_VARIABLE]), on_stop=_keep_serving)
