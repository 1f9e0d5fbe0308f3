"""`modelyard run DIR --serve`: the folder behind the doors of the server, and what of it is shown in the terminal."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.cli.output import name_state, print_json
from modelyard.cli.reloads import describe_failure, describe_reload
from modelyard.cli.serving_place import place_of
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import FolderConfig
from modelyard.errors import ModelyardError
from modelyard.local import session
from modelyard.local.watch import watch_folder_async
from modelyard.parts.folder import check_folder
from modelyard.parts.sample_inputs import SAMPLES
from modelyard.parts.version_message import make_version_message
from modelyard.wire.reload import Reloaded

if TYPE_CHECKING:
    from modelyard.server.api.v2.observed import Seen
    from modelyard.server.control.folder_host import Prepared

PORT = 8080
"""Taken where `--port` names none and nobody has it; else a free one."""
DRAIN_S = 3.0
Tell = Callable[[str], None]
USER, APP = "local", "main"
METHODS = {"PostModelOutputs": "predict", "GenerateModelOutputs": "generate", "StreamModelOutputs": "stream"}


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What `--serve` may be told."""

    session: session.Options
    port: int | None = None
    """None: the known one, or a free one where that is taken."""
    is_watching: bool = False
    tell: Tell = click.echo
    """Takes each line of the build and of the model."""
    as_json: bool = False
    """One JSON object on stdout when it answers; all else goes to stderr."""


def serve(folder: Path, options: Serving) -> None:
    """Serve a folder until Ctrl-C. Raises what `serve_folder` raises."""
    # The server extra is needed by this alone.
    import uvloop

    from modelyard.server import settings as server
    from modelyard.server.compose_folder import FolderSettings, serve_folder
    from modelyard.server.control.folder_host import Prepared
    from modelyard.server.records import ModelKey

    config = check_folder(folder).config
    cache = options.session.cache
    key = ModelKey(user_id=_user_of(config), app_id=config.model.app_id or APP, model_id=config.model.id)
    screen = Screen(folder, config, options)

    def prepare(stop: threading.Event) -> Prepared:
        made = session.prepare(folder, options.session, screen.tell, stop)
        screen.show_prepared(made)
        model = made.config.model
        return Prepared(
            key=ModelKey(user_id=_user_of(made.config), app_id=model.app_id or APP, model_id=model.id),
            model_type_id=model.model_type_id,
            spec=make_version_message(made.config),
            python=made.python,
            threads=max(made.config.num_threads, 1),
            batching=made.config.batching,
        )

    settings = FolderSettings(
        server=server.Settings(
            data_dir=place_of(folder, cache),
            port=PORT if options.port is None else options.port,
            user_id=key.user_id,
            drain_s=DRAIN_S,
        ),
        second_port=0 if options.port is None else None,
        folder=folder.resolve(),
        key=key,
        model_type_id=config.model.model_type_id,
        runtime_dir=cache / "runtime",
        bytecode_dir=cache / "bytecode",
    )
    edits = (lambda: watch_folder_async(folder)) if options.is_watching else None
    uvloop.run(serve_folder(settings, prepare=prepare, edits=edits, events=screen))


def _user_of(config: FolderConfig) -> str:
    return config.model.user_id or os.environ.get("CLARIFAI_USER_ID") or USER


class Screen:
    """The terminal of who serves."""

    def __init__(self, folder: Path, config: FolderConfig, options: Serving) -> None:
        self._folder = folder
        self._config = config
        self._options = options

    def tell(self, line: str) -> None:
        """A line of the build, or of the model."""
        self._options.tell(line)

    def show_prepared(self, made: session.Prepared) -> None:
        """What the worker starts with."""
        for warning in made.warnings:
            click.echo(f"warning: {warning}", err=True)
        self.tell(f"Python {made.python_version}, ready after {made.environment_s:.1f} s")

    def on_line(self, line: str) -> None:
        self.tell(line)

    def on_request(self, seen: Seen) -> None:
        """One line a request."""
        self._say(_describe_request(seen))

    def on_edit(self, paths: frozenset[str], told: Reloaded, elapsed_s: float) -> None:
        """One line a reload."""
        if line := describe_reload(paths, told, elapsed_s):
            self._say(line)

    def on_started(self, paths: frozenset[str], elapsed_s: float) -> None:
        what = "loaded again" if paths else "loaded"
        self._say(f"{what} in {elapsed_s:.2f} s")

    def on_failed(self, error: ModelyardError, *, is_serving: bool) -> None:
        state = "the model as it was before serves on" if is_serving else "the next save is waited for"
        self._say(describe_failure(error, state))

    def on_crashed(self, message: str, details: str, pause_s: float) -> None:
        del details  # these lines were shown when the model printed them
        self._say(click.style(f"{message}; it is started again in {pause_s:g} s", fg="red"))

    def on_ready(self, address: str, token: str) -> None:
        """How to use it."""
        model, user = self._config.model, _user_of(self._config)
        place = f"{address}/v2/users/{user}/apps/{model.app_id or APP}/models/{model.id}"
        if self._options.as_json:
            print_json({
                "url": address, "token": token, "user_id": user, "app_id": model.app_id or APP, "model_id": model.id,
            })  # fmt: skip
            return
        folder = shlex.quote(str(self._folder))
        click.echo(click.style(f"{model.id} ({model.model_type_id}) serves at {address}", bold=True))
        click.echo("  In another terminal, for `modelyard` and for published clients:")
        click.echo(f'    eval "$(modelyard env {folder})"')
        click.echo(f"    modelyard predict {model.id} {_list_flags(model.model_type_id)}")
        click.echo("  Or, anywhere on this machine:")
        click.echo(f"    {make_curl(place, token, model.model_type_id)}")
        watching = "Saved edits are taken at once. " if self._options.is_watching else ""
        click.echo(f"  {watching}Ctrl-C stops it.")

    def _say(self, line: str) -> None:
        click.echo(f"{time.strftime('%H:%M:%S')}  {line}", err=True)


def _describe_request(seen: Seen) -> str:
    name = METHODS.get(seen.method, seen.method)
    times = f"{seen.latency_s * 1000:.1f} ms"
    if name in ("generate", "stream") and seen.first_s is not None and seen.is_fine:
        answers = "1 answer" if seen.answers == 1 else f"{seen.answers} answers"
        times = f"{answers}, the first after {seen.first_s * 1000:.1f} ms, the end after {times}"
    if seen.is_fine:
        return f"{name}  {times}"
    if not seen.status.code:
        return f"{name}  the caller left after {times}"
    details = _first_line(seen.status.details)
    told = " ".join(one for one in (seen.status.description, details) if one and not one.startswith("Traceback "))
    return click.style(f"{name}  failed after {times}: {name_state(seen.status.code)}: {told}", fg="red")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _field_of(model_type_id: str) -> str:
    """What a request for this type has: the first of text, image, audio and video that it takes."""
    known = MODEL_TYPES.get(model_type_id)
    fields = known.input_fields if known else ("text",)
    return next((one for one in ("text", "image", "audio", "video") if one in fields), "text")


def _list_flags(model_type_id: str) -> str:
    field = _field_of(model_type_id)
    return "--text hello" if field == "text" else f"--{field} {_find_sample(field)}"


def make_curl(place: str, token: str, model_type_id: str) -> str:
    """A command that works as it is pasted, for what a model of this type takes."""
    field = _field_of(model_type_id)
    tail = f"curl -s {place}/outputs -H 'Authorization: Key {token}' -H 'Content-Type: application/json' -d"
    if field == "text":
        return f"""{tail} '{{"inputs": [{{"data": {{"text": {{"raw": "hello"}}}}}}]}}'"""
    body = f'{{"inputs": [{{"data": {{"{field}": {{"base64": "%s"}}}}}}]}}'
    return f"""printf '{body}' "$(base64 < {_find_sample(field)} | tr -d '\\n')" | {tail} @-"""


def _find_sample(field: str) -> str:
    found: Mapping[str, Path] = {path.stem: path for path in SAMPLES.iterdir()}
    return shlex.quote(str(found[field])) if field in found else "FILE"
