"""What commands that talk to a server share."""

from __future__ import annotations

import click

from modelyard.client.auth import find_context
from modelyard.client.names import parse_model_name
from modelyard.client.transport import Transport

model_argument = click.argument("model", type=parse_model_name, metavar="MODEL")


def connect() -> Transport:
    """A connection to the server of the environment, or of this machine."""
    return Transport(find_context())
