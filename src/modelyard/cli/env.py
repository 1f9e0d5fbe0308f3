"""`modelyard env`: shell exports that point any client of the V2 API at the local server."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from modelyard.cli.serving_place import read_serving
from modelyard.client.auth import Context, default_data_dir, read_data_dir


@click.command("env")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's data directory.  [default: $MODELYARD_DATA_DIR or ~/.local/share/modelyard]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of shell exports.")
def command(folder: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Print exports for the shell: `eval "$(modelyard env)"`.

    CLARIFAI_API_BASE and CLARIFAI_UI are the server's address, CLARIFAI_PAT its first user's token, CLARIFAI_USER_ID
    that user. Published clients and `modelyard` itself read them.

    With DIR it is not the server of `modelyard up` that they point at, but the one of `modelyard run DIR --serve`.
    """
    values = _list_values(read_serving(folder)) if folder else read_environment(data_dir)
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def read_environment(data_dir: Path | None) -> dict[str, str]:
    """The variables for a data directory. Raises Unavailable where no server has ever been started in it."""
    return _list_values(read_data_dir((data_dir or default_data_dir()).absolute()))


def _list_values(context: Context) -> dict[str, str]:
    return {
        "CLARIFAI_API_BASE": context.base,
        "CLARIFAI_PAT": context.token,
        "CLARIFAI_USER_ID": context.user_id,
        "CLARIFAI_UI": context.base,
    }
