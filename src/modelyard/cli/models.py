"""`modelyard models`: what is there."""

from __future__ import annotations

import click

from modelyard.cli.connect import connect
from modelyard.cli.output import as_dict, json_option, name_state, print_json, print_table
from modelyard.client.models import Models
from modelyard.wire.messages import Model


@click.command("models")
@click.option("--app", "app_id", default="", help="Only the models of this app.")
@json_option
def command(app_id: str, *, as_json: bool) -> None:
    """List models, with the version that answers and its state."""
    with connect() as transport:
        found = list(Models(transport).list(app_id))
    if as_json:
        print_json([as_dict(one) for one in found])
    elif not found:
        click.echo("There are no models yet. Next: modelyard upload DIR", err=True)
    else:
        print_table(("MODEL", "TYPE", "VERSION", "STATE"), [_describe(one) for one in found])


def _describe(model: Model) -> tuple[str, str, str, str]:
    version = model.model_version
    state = name_state(version.status.code) if version.id else "no version"
    return f"{model.app_id}/{model.id}", model.model_type_id, version.id[:12], state
