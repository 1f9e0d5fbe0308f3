"""`modelyard run`: test a folder on this machine, without a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.cli.inputs import read_input, read_media, read_text
from modelyard.cli.output import json_option, print_json
from modelyard.cli.progress import watch_download
from modelyard.client.inputs import make_file_input
from modelyard.local.run import Report, run_folder
from modelyard.local.session import TIMEOUT_S, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.wire.messages import Input

Many = tuple[str, ...]
Tell = Callable[[str], None]


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--input", "given", multiple=True, metavar="FILE|URL|TEXT", help="An input of yours instead of a sample.")
@click.option("--text", "texts", multiple=True, help="A text instead of the sample; '-' reads it from stdin.")
@click.option("--image", "images", multiple=True, metavar="FILE", help="An image instead of the sample; or '-'.")
@click.option("--audio", "audios", multiple=True, metavar="FILE", help="A recording instead of the sample; or '-'.")
@click.option("--video", "videos", multiple=True, metavar="FILE", help="A video; or '-'.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Anything; its ending says what it is.")
@click.option("--strict", "is_strict", is_flag=True, help="Send what production will, and say what it survives.")
@click.option("--only", "only", multiple=True, metavar="PROBE", help="Of --strict, this probe alone. May be repeated.")
@click.option("--in-place", "is_in_place", is_flag=True, help="Use this Python, without an environment of its own.")
@click.option("--save", "save_dir", type=click.Path(path_type=Path), metavar="DIR", help="For drawn boxes and media.")
@click.option("--timeout", "timeout_s", default=TIMEOUT_S, show_default=True, help="Seconds the model may say nothing.")
@click.option("--quiet", "-q", "is_quiet", is_flag=True, help="Leave out what the build and the model print.")
@click.option("--serve", "is_serving", is_flag=True, help="Keep the model up behind the doors of the server.")
@click.option("--port", type=click.IntRange(0, 65535), help="For --serve.  [default: 8080, or a free one; 0: free]")
@click.option("--watch", "is_watching", is_flag=True, help="Take edits as they are saved; weights stay where they may.")
@json_option
def command(
    folder: Path,
    given: Many,
    texts: Many,
    images: Many,
    audios: Many,
    videos: Many,
    files: Many,
    save_dir: Path | None,
    timeout_s: float,
    port: int | None,
    only: Many,
    *,
    is_strict: bool,
    is_in_place: bool,
    is_quiet: bool,
    is_serving: bool,
    is_watching: bool,
    as_json: bool,
) -> None:
    """Test a model folder: install its environment, fetch its checkpoint, load it, and send one request to each method.

    Without an input of your own a small sample is sent that fits the model's type. What comes back is checked against
    what the model's type and its concepts promise. With --strict it also gets what production will send: empty, huge,
    wrong and broken inputs, callers that leave, eight at once, SIGTERM under load.

    With --serve nothing is sent: gRPC, REST and the published clients reach the model until Ctrl-C. With --watch a
    saved edit is taken at once, and without --serve the requests are sent again.
    """
    inputs: list[Input] = [
        *(read_input(one) for one in given),
        *(read_text(one) for one in texts),
        *(read_media("image", one) for one in images),
        *(read_media("audio", one) for one in audios),
        *(read_media("video", one) for one in videos),
        *(make_file_input(one) for one in files),
    ]
    _check_modes(inputs, port, only, is_serving=is_serving, is_watching=is_watching, is_strict=is_strict)
    with _watch(is_quiet=is_quiet or (as_json and not is_serving)) as (tell, progress):
        options = Options(
            inputs=inputs,
            timeout_s=timeout_s,
            is_in_place=is_in_place,
            takes_edits=is_watching,
            on_download=progress,
        )
        if is_serving:
            # The server, which a test run does without.
            from modelyard.cli.serving import Serving, serve

            serve(folder, Serving(session=options, port=port, is_watching=is_watching, tell=tell, as_json=as_json))
            return
        if is_watching:
            # The watcher, as above.
            from modelyard.cli.watching import watch

            watch(folder, options, tell, partial(show_report, save_dir=save_dir, as_json=as_json))
            return
        report = run_folder(folder, options, tell_build=tell, tell_line=tell)
        if report.error or not (is_strict and as_json):  # else the conformance run's document has it
            show_report(report, save_dir, as_json=as_json)
        if report.error:
            raise report.error
        if is_strict:
            # Probes make large inputs, and other runs do without.
            from modelyard.cli.strict import run_strict

            run_strict(report, options, only, tell, as_json=as_json)


def _check_modes(
    inputs: list[Input], port: int | None, only: Many, *, is_serving: bool, is_watching: bool, is_strict: bool
) -> None:
    if is_strict and (is_serving or is_watching):
        raise click.UsageError("--strict goes without --serve and --watch")
    if only and not is_strict:
        raise click.UsageError("--only is for --strict")
    if is_serving and inputs:
        raise click.UsageError("--serve sends nothing: leave the inputs out, and send them with modelyard predict")
    if port is not None and not is_serving:
        raise click.UsageError("--port is for --serve")


@contextmanager
def _watch(*, is_quiet: bool) -> Iterator[tuple[Tell, Callable[[int, int, str], None] | None]]:
    """Who takes the lines of the build and the model, and the bytes of a download."""
    if is_quiet:
        yield (lambda _line: None), None
        return
    with watch_download() as watching:
        yield (lambda line: watching.tell(f"  {line}")), watching.progress


def show_report(report: Report, save_dir: Path | None, *, as_json: bool) -> None:
    """Print what a test run found, and write what can be looked at."""
    # Pages of text: imported when there is something to show.
    from modelyard.cli.run_report import as_document, print_report, save_previews

    saved = save_previews(report, save_dir)
    if as_json:
        print_json(as_document(report, saved))
    else:
        print_report(report, saved)
