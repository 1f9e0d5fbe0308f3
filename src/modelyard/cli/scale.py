"""`modelyard scale`: how many replicas a model may have."""

from __future__ import annotations

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option
from modelyard.cli.traffic_report import tell_replicas
from modelyard.client.deployments import Deployments
from modelyard.client.names import ModelName


@click.command("scale")
@model_argument
@click.option("--min", "least", type=click.IntRange(0, 64), help="Replicas that are always there; 0 lets it rest.")
@click.option("--max", "most", type=click.IntRange(1, 64), help="Replicas that load may bring.")
@click.option(
    "--idle", "idle_s", type=click.IntRange(1), metavar="SECONDS", help="With --min 0: rest after so long alone."
)
@json_option
def command(model: ModelName, least: int | None, most: int | None, idle_s: int | None, *, as_json: bool) -> None:
    """Set between how many replicas each version of MODEL has, or say how many it has.

    More come while requests wait, up to --max, and go when they have not been needed for a minute. A model that rests
    is started by its next request, which waits for it. A replica that holds a request is never stopped.
    """
    with connect() as transport:
        deployments = Deployments(transport)
        is_change = (least, most, idle_s) != (None, None, None)
        if is_change:
            deployment = deployments.scale(model, least=least, most=most, idle_s=idle_s)
        else:
            deployment = deployments.get(model)
    tell_replicas(model, deployment, as_json=as_json)
