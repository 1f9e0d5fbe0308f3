"""`python -m modelyard.worker --socket PATH --folder DIR --threads N --replica ID ...`, the token on stdin.

connect ── HELLO ── load (main thread) ──┬── STATE ready ── author threads ──┬── STOP ─────────────── drain, exit 0
                                         │                                   └── SIGTERM ── STATE leaving ──┘
                                         └── STATE failed, exit 1
reader thread: frames in; the gateway gone: end at once
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from modelyard.errors import ModelLoadFailed, ModelyardError
from modelyard.wire.frames import LAST, OF_REQUESTS, Frame, Kind
from modelyard.wire.handshake import FAILED, LEAVING, LOADING, READY, Hello, State
from modelyard.wire.shared import SharedMemory
from modelyard.worker.batching import Batcher, BatchRule
from modelyard.worker.crew import Batches, Crew
from modelyard.worker.edits.watch import Watch
from modelyard.worker.guard import close_stdin, leave_now, leave_with_children
from modelyard.worker.invoke import Invoker
from modelyard.worker.link import Link
from modelyard.worker.load import LoadedModel, load_model
from modelyard.worker.output import flush_output, print_lines_at_once, say
from modelyard.worker.shifts import Shifts
from modelyard.worker.tally import Tally
from modelyard.worker.together import Together

MAX_TOKEN_BYTES = 4096
QUIET_S = 1.0
"""A worker that is leaving goes when no request has come for so long."""


def main(arguments: list[str] | None = None) -> int:
    """Serve one replica until told to stop; returns the exit code."""
    options = _parse_options(arguments)
    token = _read_token()
    os.chdir(options.folder)
    print_lines_at_once()
    let_others_finish()
    link = Link.connect(options.socket)
    memory = _share_memory(options.memory)
    if memory is not None:
        link.share(memory)
    hello = Hello(token=token, replica_id=options.replica, shares=memory is not None)
    link.send(Kind.HELLO, payload=hello.encode())
    watch = Watch(options.folder, link) if options.watch else None
    rule = BatchRule(max_size=options.batch_size, max_wait_s=options.batch_wait_ms / 1000)
    return _Worker(link, options.folder, options.threads, rule, watch).run()


def let_others_finish() -> None:
    """Do not take the core from the gateway in the middle of its turn, where both are on one: it passes on what else
    came, and one waking of this process serves many requests. Where a core is free, nothing changes."""
    with suppress(OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Worker:
    """One replica: its link, its model once loaded, and its threads."""

    def __init__(self, link: Link, folder: Path, threads: int, rule: BatchRule, watch: Watch | None) -> None:
        self._link = link
        self._folder = folder
        self._threads = threads
        self._rule = rule
        self._watch = watch
        self._crew: Crew | None = None
        self._tally = Tally()
        self._shifts = Shifts(self._receive)
        self._stops: SimpleQueue[bool] = SimpleQueue()
        """Is it the gateway that asks?"""
        self._is_stopping = False

    def run(self) -> int:
        """Load, serve, drain."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._link.send(Kind.STATE, payload=State(state=LOADING).encode())
        threading.Thread(target=self._shifts.run, name="reader", daemon=True).start()
        try:
            model = load_model(self._folder, self._watch.make_spec) if self._watch else load_model(self._folder)
        except ModelLoadFailed as error:
            flush_output()
            failed = State(state=FAILED, message=str(error), details=error.details)
            self._link.send(Kind.STATE, payload=failed.encode())
            leave_now(1)
        return self._serve(model)

    def _serve(self, model: LoadedModel) -> int:
        invoker = Invoker(model, self._folder, self._link, self._tally)
        crew = Crew(invoker.run, self._link, self._shifts, self._make_batches(invoker))
        crew.start(self._threads)
        if self._watch:
            self._watch.begin(model, invoker, crew)
        self._crew = crew
        ready = State(state=READY, methods=model.methods, signatures=model.front.signatures)
        self._link.send(Kind.STATE, payload=ready.encode())
        is_asked = self._stops.get()
        self._is_stopping = True
        if not is_asked:
            self._take_leave(crew)
        crew.drain()
        flush_output()
        return 0

    def _take_leave(self, crew: Crew) -> None:
        """Tell the gateway, which sends no more from then on; what is under way still counts."""
        self._link.send(Kind.STATE, payload=State(state=LEAVING).encode())
        last = None
        while last != crew.last_begun:
            last = crew.last_begun
            with suppress(Empty):
                self._stops.get(timeout=QUIET_S)
                return

    def _make_batches(self, invoker: Invoker) -> Batches | None:
        if self._rule.max_size <= 1:
            return None
        together = Together(invoker)
        together.start()
        return Batches(batcher=Batcher(self._rule), run=together.run)

    def _receive(self) -> int:
        """Wait for frames and take them; how many requests wait for an author thread because of them. Does not return
        where the gateway is gone."""
        waiting = 0
        try:
            frames = self._link.receive()
            if frames is None:
                leave_with_children()
            for frame in frames:
                if frame.kind in OF_REQUESTS:
                    waiting += self._crew is not None and self._crew.take(frame)
                else:
                    self._take(frame)
        except (OSError, ModelyardError) as error:
            say(f"the connection to the gateway broke: {error}")
            leave_with_children()
        except BaseException:  # noqa: BLE001 - nobody would read on: the thread's boundary
            say(f"the connection to the gateway broke\n{traceback.format_exc()}")
            leave_with_children()
        return waiting

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.STOP:
            self._stop(is_asked=True)
        elif frame.kind is Kind.PING:
            self._link.send(Kind.PONG, frame.request_id, frame.payload)
        elif frame.kind is Kind.STATS:
            self._link.send(Kind.ITEM, frame.request_id, self._tally.encode(), LAST)
        elif frame.kind is Kind.TAKEN:
            self._link.free(frame.payload)
        elif frame.kind is Kind.RELOAD and self._watch:
            self._watch.take(frame)

    def _stop(self, *, is_asked: bool) -> None:
        if self._crew is None:
            leave_now(0)
        self._stops.put(is_asked)

    def _on_sigterm(self, signum: int, frame: object) -> None:
        """The first asks to finish what is in hand, the second not to. Runs in the main thread between any two of its
        steps, so it takes no lock (`SimpleQueue.put` may be called anywhere)."""
        del signum, frame
        if self._is_stopping:
            leave_now(1)
        self._stop(is_asked=False)


def _parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelyard.worker", description="Serve one replica of a model.")
    parser.add_argument("--socket", required=True, help="the gateway's unix socket")
    parser.add_argument("--folder", required=True, type=lambda text: Path(text).resolve(), help="the model folder")
    parser.add_argument("--threads", type=int, default=1, help="requests taken at once")
    parser.add_argument("--batch-size", type=int, default=1, help="inputs of requests that are answered together")
    parser.add_argument("--batch-wait-ms", type=int, default=0, help="how long a batch that is not full waits for more")
    parser.add_argument("--replica", default="", help="name of this replica")
    parser.add_argument("--memory", type=int, help="descriptor of the memory that is shared with the gateway")
    parser.add_argument("--watch", action="store_true", help="take edits of the folder when asked to")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error(f"--threads is {options.threads}; it has to be 1 or more")
    if options.batch_size < 1 or options.batch_wait_ms < 0:
        parser.error("--batch-size has to be 1 or more, --batch-wait-ms 0 or more")
    return options


def _share_memory(file: int | None) -> SharedMemory | None:
    """What the gateway gave to this process; None where it gave none, or where it cannot be had here."""
    if file is None:
        return None
    try:
        return SharedMemory(file, is_gateway=False)
    except (OSError, ValueError) as error:
        say(f"large payloads go through the socket: {error}")
        return None
    finally:
        with suppress(OSError):
            os.close(file)


def _read_token() -> str:
    """The first line of stdin; then stdin is empty for the author's code."""
    text = b""
    while b"\n" not in text and len(text) < MAX_TOKEN_BYTES:
        piece = os.read(0, MAX_TOKEN_BYTES)
        if not piece:
            break
        text += piece
    close_stdin()
    return text.partition(b"\n")[0].decode("ascii", "replace").strip()


if __name__ == "__main__":
    sys.exit(main())
