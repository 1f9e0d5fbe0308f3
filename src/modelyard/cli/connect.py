"""What commands that talk to a server share."""

from __future__ import annotations

from typing import Any

import click

from modelyard.client.auth import find_context
from modelyard.client.names import FORMS, ModelName, parse_model_name
from modelyard.client.transport import Transport


class ModelArgument(click.ParamType[ModelName]):
    """A model's name."""

    name = "MODEL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ModelName:
        """Read it; raises InvalidRequest that lists the forms."""
        del param, ctx
        return value if isinstance(value, ModelName) else parse_model_name(value)


model_argument = click.argument("model", type=ModelArgument(), metavar="MODEL")
MODEL_HELP = f"MODEL is {FORMS}."


def connect() -> Transport:
    """A connection to the server of the environment, or of this machine."""
    return Transport(find_context())
