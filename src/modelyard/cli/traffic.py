"""`modelyard traffic`: which versions get the requests."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option
from modelyard.cli.traffic_report import tell
from modelyard.client.deployments import Deployments, Rule
from modelyard.client.names import ModelName
from modelyard.errors import InvalidRequest


@click.command("traffic")
@model_argument
@click.argument("shares", nargs=-1, metavar="[VERSION=WEIGHT]...")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE:VERSION",
    help="Send requests with this header to VERSION, whatever the weights say. May be repeated; replaces the rules "
    "there were.",
)
@click.option("--no-headers", is_flag=True, help="Drop all header rules.")
@json_option
def command(
    model: ModelName, shares: Sequence[str], headers: Sequence[str], *, no_headers: bool, as_json: bool
) -> None:
    """Share the requests of MODEL out by weight, such as v1=90 v2=10, or say how they are shared.

    Versions are named by number or by id. Those that do not run are started first; the requests move once they answer.
    Every request may choose by itself, too: with its version_id, or with the header x-modelyard-version.
    """
    if headers and no_headers:
        raise click.UsageError("--header and --no-headers contradict each other")
    weights = _read_shares(shares)
    rules = [_read_rule(one) for one in headers]
    began = time.monotonic()
    with connect() as transport:
        deployments = Deployments(transport)
        if rules or no_headers:
            deployments.set_rules(model, rules)
        deployment = deployments.split(model, weights) if weights else deployments.get(model)
    tell(model, deployment, as_json=as_json, taken_s=time.monotonic() - began if weights else None)


def _read_shares(shares: Sequence[str]) -> dict[str, int]:
    weights: dict[str, int] = {}
    for one in shares:
        version, _, weight = one.partition("=")
        if not version or not weight.isdecimal():
            raise InvalidRequest(f"{one!r} is not VERSION=WEIGHT with a whole number", hint="such as v1=90 v2=10")
        if version in weights:
            raise InvalidRequest(f"version {version} is named twice")
        weights[version] = int(weight)
    return weights


def _read_rule(text: str) -> Rule:
    header, _, rest = text.partition("=")
    value, _, version = rest.rpartition(":")
    if not (header and value and version):
        raise InvalidRequest(f"--header {text!r} is not NAME=VALUE:VERSION", hint="such as --header x-group=beta:v2")
    return Rule(header=header, value=value, version=version)
