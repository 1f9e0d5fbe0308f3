"""`modelyard upload`: a folder becomes a version that serves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from modelyard.cli.connect import connect
from modelyard.cli.output import as_dict, is_watched, json_option, print_json
from modelyard.client.names import ModelName
from modelyard.client.upload import Observer, upload_folder


@click.command("upload")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--model-id", default="", help="Instead of model.id of config.yaml.")
@click.option("--app-id", default="", help="Instead of model.app_id; 'main' where neither is given.")
@click.option("--user-id", default="", help="Instead of model.user_id; the token's user where neither is given.")
@click.option(
    "--send-checkpoints", is_flag=True, help="Fetch the checkpoint here and send it, whatever its `when` says."
)
@click.option("--notes", default="", help="What this version is about; `modelyard versions` shows it.")
@click.option("--no-wait", is_flag=True, help="Return when the upload is accepted, before it is built.")
@click.option("--quiet", "-q", is_flag=True, help="Leave out the build log.")
@json_option
def command(
    folder: Path,
    model_id: str,
    app_id: str,
    user_id: str,
    *,
    notes: str,
    send_checkpoints: bool,
    no_wait: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Upload a model folder as a new version, and wait until it serves.

    The folder is checked first; nothing is sent where it cannot be built. The model is created where it does not exist.
    The version before serves until the new one has loaded and answered; where that fails, it serves on. The git commit
    of DIR is kept with the version.
    """
    began = time.monotonic()
    asked = ModelName(model_id=model_id, app_id=app_id, user_id=user_id)
    with connect() as transport, _observe(is_quiet=quiet or as_json) as observer:
        name, version = upload_folder(
            transport,
            folder,
            asked=asked,
            observer=observer,
            is_waiting=not no_wait,
            sends_checkpoints=send_checkpoints,
            notes=notes,
        )
    if as_json:
        print_json({"model": str(name), "version_id": name.version, "version": as_dict(version) if version else None})
        return
    taken_s = time.monotonic() - began
    click.echo(f"{name} {'is accepted' if no_wait else 'is serving'} ({taken_s:.1f} s)")
    click.echo(f"  next: modelyard {'logs -f' if no_wait else 'predict'} {name.app_id}/{name.model_id}")


@contextmanager
def _observe(*, is_quiet: bool) -> Iterator[Observer]:
    """Tell on stderr: a bar and the build log for a person, plain lines for a file."""

    def warn(line: str) -> None:
        click.echo(f"warning: {line}", err=True)

    if is_quiet:
        yield Observer(on_warning=warn)
    elif not is_watched():
        yield Observer(on_warning=warn, on_line=lambda line: click.echo(f"  {line}", err=True))
    else:
        with _watch() as observer:
            yield observer


@contextmanager
def _watch() -> Iterator[Observer]:
    # rich is slow to import and draws on terminals only.
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from modelyard.cli.progress import DownloadBar

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Uploading", total=None)

        def tell_progress(sent: int, total: int) -> None:
            is_sent = sent >= total
            progress.update(task, completed=sent, total=total, description="Building" if is_sent else "Uploading")

        yield Observer(
            on_warning=lambda line: console.print(f"[yellow]warning:[/] {escape(line)}"),
            on_progress=tell_progress,
            on_download=DownloadBar(progress).advance,
            on_line=lambda line: console.print(f"  [dim]{escape(line)}[/]", highlight=False),
        )
