"""A worker that takes edits (`--watch`): remembers how its model was made, and answers RELOAD."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.wire.frames import LAST, Frame, Kind
from modelyard.wire.reload import RESTART, SAME, Reloaded, decode_paths
from modelyard.worker.crew import Crew
from modelyard.worker.edits.reads import Reads
from modelyard.worker.edits.reload import Reloader
from modelyard.worker.edits.sources import Sources, read_source
from modelyard.worker.invoke import Invoker
from modelyard.worker.link import Link
from modelyard.worker.load import MODULE_NAME, LoadedModel
from modelyard.worker.output import say

PAUSE_S = 2.0
"""How long an edit waits for requests in flight. Longer ones finish in the functions that they are in."""


class Watch:
    """To be made before anything of the folder is imported."""

    def __init__(self, folder: Path, link: Link) -> None:
        self._sources = Sources(folder)
        self._reads = Reads(folder)
        self._folder = folder
        self._link = link
        self._turn = threading.Lock()
        self._reloader: Reloader | None = None
        self._invoker: Invoker | None = None
        self._crew: Crew | None = None
        self._sources.install()
        self._reads.install()

    def make_spec(self, name: str, path: Path) -> ModuleSpec | None:
        """Import a file so that its source is remembered."""
        return self._sources.make_spec(name, path)

    def begin(self, model: LoadedModel, invoker: Invoker, crew: Crew) -> None:
        """The model is loaded."""
        self._reads.end_loading()
        self._invoker = invoker
        self._crew = crew
        self._reloader = Reloader(self._folder, self._sources, self._reads, model.runner, MODULE_NAME)

    def take(self, frame: Frame) -> None:
        """Answer a RELOAD, in a thread of its own: whoever reads frames goes on."""
        threading.Thread(target=self._answer, args=(frame,), name="reload", daemon=True).start()

    def _answer(self, frame: Frame) -> None:
        with self._turn:
            try:
                told = self._reload(decode_paths(frame.payload))
            except ModelyardError as error:
                told = Reloaded(outcome=RESTART, message=error.message)
            except Exception as error:  # noqa: BLE001 - the boundary: a fault of ours costs a new start, not the worker
                say(f"the edits could not be taken in this process: {error!r}")
                told = Reloaded(outcome=RESTART, message=repr(error))
        self._link.send(Kind.ITEM, frame.request_id, told.encode(), LAST)

    def _reload(self, paths: Sequence[str]) -> Reloaded:
        if self._reloader is None or self._invoker is None:
            return self._compare_while_loading(paths)
        told = self._reloader.reload(paths, self._pause)
        self._invoker.replace_methods(told.methods)
        return told

    def _compare_while_loading(self, paths: Sequence[str]) -> Reloaded:
        """Has something changed that was read already? What is read later is read as it is now."""
        is_other = any(read_source(module) != text for module, text in self._sources.list_modules().values())
        if is_other or any(self._reads.has_changed(path) and not self._reads.was_written(path) for path in paths):
            return Reloaded(outcome=RESTART, message="what was read while loading has changed")
        return Reloaded(outcome=SAME)

    def _pause(self) -> AbstractContextManager[int]:
        assert self._crew is not None
        return self._crew.pause(PAUSE_S)
