"""`modelyard logs`: what a build said, and what a model's workers say."""

from __future__ import annotations

from dataclasses import replace

import click

from modelyard.cli.connect import connect, model_argument
from modelyard.cli.output import json_option, print_json
from modelyard.client.logs import Logs
from modelyard.client.names import ModelName
from modelyard.client.versions import Versions


@click.command("logs")
@model_argument
@click.option("--type", "log_type", type=click.Choice(["build", "run"]), default="run", show_default=True)
@click.option("--follow", "-f", "is_followed", is_flag=True, help="Go on as lines come; Ctrl-C ends it.")
@json_option
def command(model: ModelName, log_type: str, *, is_followed: bool, as_json: bool) -> None:
    """Show the log of the version that answers, or of MODEL@VERSION; with --json one line an entry."""
    with connect() as transport:
        named = replace(model, version=Versions(transport).get(model).id)
        for line in Logs(transport).read(named, log_type, is_followed=is_followed):
            if as_json:
                print_json({"message": line})
            else:
                click.echo(line)
