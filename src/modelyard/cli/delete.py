"""`modelyard delete`: a model, or one version of it."""

from __future__ import annotations

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option, print_json
from modelyard.client.models import Models
from modelyard.client.names import ModelName
from modelyard.client.versions import Versions


@click.command("delete")
@model_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def command(model: ModelName, *, yes: bool, as_json: bool) -> None:
    """Delete MODEL with all of its versions, or only MODEL@VERSION. There is no way back.

    A version that requests go to is not deleted: promote another one first.
    """
    what = f"version {model}" if model.version else f"model {model} with all of its versions"
    with connect() as transport:
        if model.version:
            Versions(transport).get(model)
        else:
            Models(transport).get(model)
        if not yes:
            click.confirm(f"Delete {what}?", abort=True, err=True)
        if model.version:
            Versions(transport).delete(model)
        else:
            Models(transport).delete(model)
    if as_json:
        print_json({"deleted": str(model)})
    else:
        click.echo(f"deleted {what}")
