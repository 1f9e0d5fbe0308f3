"""`modelyard schema`: editors that explain, complete and check config.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from modelyard.cli.output import json_option, print_json
from modelyard.config.schema_file import SCHEMA_LINE, read_schema
from modelyard.local.fix import apply_fixes, plan_schema


@click.command("schema")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@json_option
def command(folder: Path | None, *, as_json: bool) -> None:
    """Print the JSON schema of config.yaml; or give it to a model folder, so that editors use it.

    With DIR the schema is put beside DIR/config.yaml, whose first line then names it. It is not sent by an upload.
    """
    if folder is None:
        click.echo(read_schema().decode(), nl=False)
        return
    fixes = plan_schema(folder)
    apply_fixes(folder, fixes)
    written = [str(folder / fix.name) for fix in fixes]
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        click.echo(f"written: {path}")
    if not written:
        click.echo(f"{folder} has it already: {SCHEMA_LINE.removeprefix('# ')}")
