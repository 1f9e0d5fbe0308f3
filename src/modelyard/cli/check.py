"""`modelyard check`: is the folder right?"""

from __future__ import annotations

from pathlib import Path

import click

from modelyard.cli.output import json_option, print_json
from modelyard.parts.folder import check_folder


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@json_option
def command(folder: Path, *, as_json: bool) -> None:
    """Check a model folder without running any of it: all problems at once, each with its file and line."""
    checked = check_folder(folder)
    if as_json:
        model = checked.config.model
        print_json({"model_id": model.id, "model_type_id": model.model_type_id, "warnings": checked.warnings})
        return
    for warning in checked.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{folder}: {checked.config.model.id} ({checked.config.model.model_type_id}) is fine")
