"""Runs the download process: the order in, events out, ended at any moment without a loss."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from modelyard.errors import Cancelled
from modelyard.parts.hub.messages import Advanced, Event, Failed, Fetched, Order, Said, Unchanged, read_event
from modelyard.parts.hub.tokens import hide_token

POLL_S = 0.1
TAIL_BYTES = 4000
Outcome = Unchanged | Fetched | Failed
_KEPT = frozenset({
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HF_ENDPOINT", "HF_HUB_ETAG_TIMEOUT",
    "HF_HUB_DOWNLOAD_TIMEOUT", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY",
    "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip


def run_download(
    order: Order,
    *,
    environ: Mapping[str, str],
    tell: Callable[[Said | Advanced], None],
    stop: threading.Event | None = None,
) -> Outcome:
    """Carry out an order in a process of its own; blocking. What it tells on the way comes from this thread.

    Raises:
        Cancelled: `stop` was set. What was downloaded stays for the next time.
    """
    work = Path(order.work)
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        tempfile.TemporaryFile(dir=work) as complaints,
        subprocess.Popen(
            [sys.executable, "-m", "modelyard.parts.hub.download"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd="/",
            env=make_environment(environ, work / "home"),
            start_new_session=True,
        ) as process,
    ):
        try:
            _send(process, order)
            outcome = _follow(process, _Redactor(order.token, tell), stop)
        except BaseException:
            _kill_group(process)
            raise
        return outcome or _explain_end(process, complaints, order)


def make_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """What the process gets: where the hub is and how to reach it, and a home folder without anybody's token."""
    kept = {name: value for name, value in environ.items() if name in _KEPT and value}
    return kept | {
        "HOME": str(home),
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUTF8": "1",
    }


class _Redactor:
    """Takes the token out of all that comes back, before anybody sees it."""

    def __init__(self, token: str, tell: Callable[[Said | Advanced], None]) -> None:
        self._token = token
        self._tell = tell

    def take(self, event: Event) -> Outcome | None:
        """Pass on what is told on the way; returns what ends it."""
        match event:
            case Said():
                self._tell(replace(event, line=self.clean(event.line)))
            case Advanced():
                self._tell(event)
            case Failed():
                return replace(
                    event,
                    message=self.clean(event.message),
                    hint=self.clean(event.hint),
                    details=self.clean(event.details),
                )
            case Fetched() | Unchanged():
                return event
        return None

    def clean(self, text: str) -> str:
        return hide_token(text, self._token)


def _send(process: subprocess.Popen[bytes], order: Order) -> None:
    """Hand over the order. The pipe stays open: when it closes, because we ended, the process ends, too."""
    assert process.stdin is not None
    try:
        process.stdin.write(order.to_line().encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return


def _follow(process: subprocess.Popen[bytes], redactor: _Redactor, stop: threading.Event | None) -> Outcome | None:
    assert process.stdout is not None
    rest, outcome = b"", None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if stop is not None and stop.is_set():
                raise Cancelled("the download of the checkpoints was stopped; what has come is kept")
            if not selector.select(POLL_S):
                continue
            block = os.read(process.stdout.fileno(), 65536)
            if not block:
                return outcome
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                outcome = redactor.take(read_event(line)) or outcome


def _explain_end(process: subprocess.Popen[bytes], complaints: IO[bytes], order: Order) -> Failed:
    """It ended without a result: killed, or by a fault of ours."""
    code = process.wait()
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, size - TAIL_BYTES))
    details = hide_token(complaints.read().decode(errors="replace").strip(), order.token)
    how = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    return Failed(
        message=f"checkpoints: the download of {order.repo_id} (revision {order.revision}) {how}",
        hint="try again: what was downloaded is kept"
        + ("; the machine may have too little memory" if code == -signal.SIGKILL else ""),
        details=details,
    )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
