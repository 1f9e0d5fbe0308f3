"""`modelyard versions`: the versions of a model."""

from __future__ import annotations

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import as_dict, json_option, name_state, print_json, print_table
from modelyard.client.names import ModelName
from modelyard.client.versions import Versions
from modelyard.wire.messages import ModelVersion, StatusCode


@click.command("versions")
@model_argument
@json_option
def command(model: ModelName, *, as_json: bool) -> None:
    """List the versions of a model, the newest first. Their numbers can be used as MODEL@NUMBER."""
    with connect() as transport:
        found = list(Versions(transport).list(model))
    if as_json:
        print_json([as_dict(one) for one in found])
    elif not found:
        click.echo(f"{model} has no versions yet. Next: modelyard upload DIR", err=True)
    else:
        numbered = zip(range(len(found), 0, -1), found, strict=True)
        print_table(("NUMBER", "VERSION", "CREATED", "STATE"), [_describe(number, one) for number, one in numbered])


def _describe(number: int, version: ModelVersion) -> tuple[str, str, str, str]:
    status = version.status
    state = name_state(status.code)
    if status.code != StatusCode.MODEL_TRAINED and status.description:
        state += f": {status.description.splitlines()[0][:80]}"
    return str(number), version.id, version.created_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"), state
