"""`modelyard promote`: all requests go to one version."""

from __future__ import annotations

import time

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option
from modelyard.cli.traffic_report import tell
from modelyard.client.deployments import Deployments
from modelyard.client.names import ModelName


@click.command("promote")
@model_argument
@click.argument("version")
@json_option
def command(model: ModelName, version: str, *, as_json: bool) -> None:
    """Send all requests of MODEL to VERSION (its number or its id), and wait until they go there.

    The version is started first where it does not run; until it answers, the requests go where they went.
    """
    began = time.monotonic()
    with connect() as transport:
        deployment = Deployments(transport).promote(model, version)
    tell(model, deployment, as_json=as_json, taken_s=time.monotonic() - began)
