"""`modelyard versions`: the versions of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import as_dict, json_option, name_state, print_json, print_table
from modelyard.client.names import ModelName
from modelyard.client.versions import Versions, read_commit_of, read_number
from modelyard.wire.messages import ModelVersion, StatusCode

HEADER = ("NUMBER", "VERSION", "CREATED", "TRAFFIC", "REPLICAS", "DIGEST", "COMMIT", "STATE", "NOTES")
DIGITS = 12


@click.command("versions")
@model_argument
@json_option
def command(model: ModelName, *, as_json: bool) -> None:
    """List the versions of a model, the newest first. Their numbers can be used as MODEL@NUMBER.

    TRAFFIC is the part of the requests that name no version, REPLICAS those that answer and those that are wanted.
    """
    with connect() as transport:
        found = list(Versions(transport).list(model))
    if as_json:
        print_json([as_dict(one) for one in found])
    elif not found:
        click.echo(f"{model} has no versions yet. Next: modelyard upload DIR", err=True)
    else:
        fallback = range(len(found), 0, -1)
        print_table(HEADER, [_describe(one, number) for one, number in zip(found, fallback, strict=True)])


def _describe(version: ModelVersion, position: int) -> tuple[str, ...]:
    metadata: Any = as_dict(version).get("metadata", {})
    ours: Mapping[str, Any] = metadata.get("modelyard", {})
    status = version.status
    state = name_state(status.code)
    if status.code != StatusCode.MODEL_TRAINED and status.description:
        state += f": {status.description.splitlines()[0][:80]}"
    return (
        str(read_number(version) or position),
        version.id,
        version.created_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
        f"{ours['traffic']:g}%" if ours.get("traffic") else "-",
        f"{ours['replicas']:g}/{ours['desired_replicas']:g}" if ours.get("desired_replicas") else "-",
        str(ours.get("digest", ""))[:DIGITS] or "-",
        read_commit_of(version)[:DIGITS] or "-",
        state,
        version.description.replace("\n", " ")[:60],
    )
