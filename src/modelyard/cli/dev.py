"""`modelyard dev`: a model of its own on the server, kept current on every save."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click

from modelyard.cli.connect import connect
from modelyard.cli.output import print_json
from modelyard.client.models import Models
from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.upload import Observer, choose_name, upload_folder
from modelyard.client.versions import Versions
from modelyard.errors import Conflict, ModelyardError, NotFound
from modelyard.local.watch import watch_folder
from modelyard.parts.folder import check_folder

SUFFIX = "-dev"
KEPT_VERSIONS = 2
"""The one that serves and the one before; older ones of a development model are deleted."""


@click.command("dev")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--model-id", default="", help="Instead of the id of config.yaml with '-dev' after it.")
@click.option("--app-id", default="", help="Instead of model.app_id; 'main' where neither is given.")
@click.option("--delete", "is_deleted", is_flag=True, help="Delete the development model when this ends.")
@click.option("--verbose", "-v", is_flag=True, help="Show the build log of every version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a save.")
def command(folder: Path, model_id: str, app_id: str, *, is_deleted: bool, verbose: bool, as_json: bool) -> None:
    """Upload DIR to a model of its own, and again on every save, until Ctrl-C.

    A save becomes a version; it takes the requests once it has loaded and answered. Where it does not, the version
    before serves on, and what is wrong is told here. The model that others use is not touched.
    """
    name = choose_name(check_folder(folder), ModelName(model_id=model_id, app_id=app_id))
    name = name if model_id else replace(name, model_id=f"{name.model_id}{SUFFIX}")
    with connect() as transport, _listen(folder) as saves:
        development = _Development(transport, folder, name, is_verbose=verbose, as_json=as_json)
        try:
            development.upload(frozenset())
            for paths in saves:
                development.upload(paths)
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            if is_deleted:
                development.delete()
            else:
                click.echo(f"{name} serves on. To delete it: modelyard delete {name.app_id}/{name.model_id}", err=True)


class _Development:
    """One folder and its model."""

    def __init__(self, transport: Transport, folder: Path, name: ModelName, *, is_verbose: bool, as_json: bool) -> None:
        self._transport = transport
        self._folder = folder
        self._name = name
        self._is_verbose = is_verbose
        self._as_json = as_json

    def upload(self, paths: frozenset[str]) -> None:
        """Make what is saved the version that serves, or say what stands in the way."""
        began = time.monotonic()
        try:
            name, _ = upload_folder(self._transport, self._folder, asked=self._name, observer=self._observe())
        except ModelyardError as error:
            self._tell_failure(error, paths)
            return
        taken_s = time.monotonic() - began
        if self._as_json:
            told = {"model": str(self._name), "version_id": name.version, "saved": sorted(paths)}
            print_json({**told, "taken_s": round(taken_s, 3)})
        else:
            click.echo(f"{_describe(paths)}{self._name} serves it ({taken_s:.2f} s)", err=True)
        self._clear()

    def delete(self) -> None:
        """The model goes, with all of its versions."""
        with suppress(NotFound):
            Models(self._transport).delete(replace(self._name, version=""))
            click.echo(f"{self._name} is deleted", err=True)

    def _observe(self) -> Observer:
        if not self._is_verbose:
            return Observer(on_warning=lambda line: click.echo(f"warning: {line}", err=True))
        return Observer(on_line=lambda line: click.echo(f"  {line}", err=True))

    def _tell_failure(self, error: ModelyardError, paths: frozenset[str]) -> None:
        if self._as_json:
            told = {"type": type(error).__name__, "message": error.message, "details": error.details}
            print_json({"model": str(self._name), "saved": sorted(paths), "error": told})
            return
        click.echo(f"{_describe(paths)}{click.style('error:', fg='red')} {error.message}", err=True)
        for line in error.details.splitlines():
            click.echo(f"  {line}", err=True)
        if error.hint:
            click.echo(f"  next: {error.hint}", err=True)
        click.echo("  the next save is waited for", err=True)

    def _clear(self) -> None:
        """Versions of a development model are as many as there were saves: the old ones go."""
        versions = Versions(self._transport)
        for one in list(versions.list(self._name))[KEPT_VERSIONS:]:
            with suppress(Conflict, NotFound):
                versions.delete(replace(self._name, version=one.id))


def _describe(paths: frozenset[str]) -> str:
    """What was saved, in front of what became of it."""
    return f"{', '.join(sorted(paths)[:3])}{' ...' if len(paths) > 3 else ''}: " if paths else ""


@contextmanager
def _listen(folder: Path) -> Iterator[Iterator[frozenset[str]]]:
    """Saves from now on: those during an upload are given out together after it."""
    stop = threading.Event()
    waiting: set[str] = set()
    arrived = threading.Condition()

    def watch() -> None:
        for paths in watch_folder(folder, stop):
            with arrived:
                waiting.update(paths)
                arrived.notify()

    def give_out() -> Iterator[frozenset[str]]:
        while True:
            with arrived:
                while not waiting:
                    arrived.wait(timeout=0.5)  # so that Ctrl-C is heard
                paths = frozenset(waiting)
                waiting.clear()
            yield paths

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    try:
        yield give_out()
    finally:
        stop.set()
        watcher.join(timeout=5)
