"""`modelyard rollback`: back to the version before."""

from __future__ import annotations

import time

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option
from modelyard.cli.traffic_report import tell
from modelyard.client.deployments import Deployments
from modelyard.client.names import ModelName


@click.command("rollback")
@model_argument
@click.argument("version", default="")
@json_option
def command(model: ModelName, version: str, *, as_json: bool) -> None:
    """Send all requests of MODEL to the newest version before the one that serves, or to VERSION.

    The version before stays warm for a while, so that this takes no longer than a request; else it is started first,
    and until it answers the requests go where they went.
    """
    began = time.monotonic()
    with connect() as transport:
        deployment = Deployments(transport).roll_back(model, version)
    tell(model, deployment, as_json=as_json, taken_s=time.monotonic() - began)
