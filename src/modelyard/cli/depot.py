"""`modelyard depot`: what a server keeps, for its operator; beside the running server, or without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from modelyard.cli.output import json_option, print_json, print_table
from modelyard.client.auth import default_data_dir
from modelyard.errors import InternalError, Unavailable
from modelyard.parts.hub.sizes import show_files, show_size

if TYPE_CHECKING:
    from modelyard.server.control.caretaker import Caretaker

_T = TypeVar("_T")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's.  [default: $MODELYARD_DATA_DIR or ~/.local/share/modelyard]",
)


@click.group("depot")
def command() -> None:
    """Look after the files that a server keeps. Works on its data directory, whether it runs or not."""


@command.command("usage")
@data_dir_option
@json_option
def usage(data_dir: Path | None, *, as_json: bool) -> None:
    """Show how much the depot has, who has it, and what nobody uses."""
    found = _run(data_dir, lambda caretaker: caretaker.measure())
    if as_json:
        print_json(asdict(found))
        return
    print_table(
        ["USER", "VERSIONS", "SIZE"],
        [[one.user_id, str(one.versions), show_size(one.size_bytes)] for one in found.users],
    )
    click.echo(f"depot: {show_files(found.files)}, {show_size(found.size_bytes)}")
    click.echo(f"unused: {show_files(found.unused_files)}, {show_size(found.unused_bytes)}")
    click.echo(f"disk: {show_size(found.disk_free_bytes)} of {show_size(found.disk_bytes)} free")
    if found.unused_files:
        click.echo("  next: modelyard depot gc")


@command.command("gc")
@data_dir_option
@click.option(
    "--min-age", type=click.IntRange(0), default=3600, show_default=True, metavar="SECONDS", help="Leave younger files."
)
@json_option
def collect(data_dir: Path | None, min_age: int, *, as_json: bool) -> None:
    """Remove files and environments that no version uses. The server does so by itself, every hour.

    An environment is noted when it is found unused, and removed by a later collection.

    Nothing is removed that a version, an upload, a build or a running replica needs.
    """
    swept = _run(data_dir, lambda caretaker: caretaker.collect(min_age=timedelta(seconds=min_age)))
    if as_json:
        print_json(asdict(swept))
    else:
        noun = "environment" if swept.environments == 1 else "environments"
        click.echo(f"removed {show_files(swept.files)}, {show_size(swept.size_bytes)}; {swept.environments} {noun}")


@command.command("scrub")
@data_dir_option
@json_option
def scrub(data_dir: Path | None, *, as_json: bool) -> None:
    """Read every file through and compare it with its digest. The server does so by itself, every week.

    A damaged file is put aside: the next upload of the same content brings it again. Exits with 70 where there is one.
    """
    found = _run(data_dir, lambda caretaker: caretaker.scrub())
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(f"read {show_files(found.files)}, {show_size(found.size_bytes)}; damaged: {len(found.damaged)}")
    if found.damaged:
        raise InternalError(
            f"damaged on disk, and put aside: {', '.join(f'sha256:{digest}' for digest in found.damaged)}",
            hint="upload the models that use them again; look after the disk",
        )


def _run(data_dir: Path | None, work: Callable[[Caretaker], Awaitable[_T]]) -> _T:
    """Do it over the data directory's store and depot."""
    # The server extra is imported only by commands that need it.
    from modelyard.server.compose import open_caretaker
    from modelyard.server.settings import Settings

    directory = (data_dir or default_data_dir()).absolute()
    if not (directory / "modelyard.db").is_file():
        raise Unavailable(
            f"no server was started with the data directory {directory}", hint="name another one with --data-dir"
        )

    async def run() -> _T:
        async with open_caretaker(Settings(data_dir=directory)) as caretaker:
            return await work(caretaker)

    return asyncio.run(run())
