"""Takes an author's edits in the running process: the loaded model stays wherever it can be known that it may.

read the files anew ── the same ────────────────────────────────► same
        │           ── no Python ───────────────────────────────► failed
        ├── loading reaches a change, or it cannot be made here ► restart
        └── wait until requests are through, exchange the code ─► kept
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

from modelyard.sdk.runner import ModelRunner, implemented_methods
from modelyard.wire.reload import FAILED, KEPT, RESTART, SAME, Reloaded
from modelyard.worker.edits.changes import Changes, find_changes
from modelyard.worker.edits.patch import CannotPatch, Patch
from modelyard.worker.edits.reach import Key
from modelyard.worker.edits.reads import Reads
from modelyard.worker.edits.sources import Sources, read_source
from modelyard.worker.edits.units import ModuleUnits, read_units
from modelyard.worker.traces import tell

Pause = Callable[[], AbstractContextManager[int]]
"""While it is entered no request runs the author's code, but for as many as it says."""


class Reloader:
    """Knows what the running modules were made of. One reload at a time."""

    def __init__(self, folder: Path, sources: Sources, reads: Reads, runner: ModelRunner, entry: str) -> None:
        self._folder = folder
        self._sources = sources
        self._reads = reads
        self._runner = runner
        self._entry = entry

    def reload(self, paths: Sequence[str], pause: Pause) -> Reloaded:
        """Take the edits. Where it does not come to KEPT, nothing has changed in this process.

        Args:
            paths: The files that changed, relative to the folder.
            pause: Keeps requests away while code is exchanged.
        """
        if reason := next(self._list_data_changes(paths), ""):
            return self._answer(RESTART, reason)
        running = self._sources.list_modules()
        try:
            texts = {name: text for name, (module, _) in running.items() if (text := read_source(module)) is not None}
            old = {name: self._units(module, text) for name, (module, text) in running.items()}
            new = {name: self._units(running[name][0], text) for name, text in texts.items()}
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            trouble = tell(error, self._folder)
            place = f"{trouble.place}: " if trouble.place else ""
            return self._answer(FAILED, f"{place}{trouble.what}", trouble.details)
        if all(texts.get(name) == text for name, (_, text) in running.items()):
            return self._answer(SAME)
        changes = find_changes(old, new, self._list_runners(old))
        if changes.reason:
            return self._answer(RESTART, changes.reason)
        modules = {name: module for name, (module, _) in running.items()}
        return self._exchange(Patch(modules, old, new, texts, self._entry), changes, texts, pause)

    def _exchange(self, patch: Patch, changes: Changes, texts: dict[str, bytes], pause: Pause) -> Reloaded:
        try:
            patch.prepare(changes)
        except CannotPatch as reason:
            return self._answer(RESTART, str(reason))
        except BaseException as error:  # noqa: BLE001 - the author's new definitions ran: a new process tells it in full
            return self._answer(RESTART, f"new definitions did not run: {tell(error, self._folder).what}")
        with pause() as in_flight:
            patch.apply()
        for name, text in texts.items():
            self._sources.remember(name, text)
        return Reloaded(
            outcome=KEPT,
            changed=changes.names,
            methods=implemented_methods(type(self._runner)),
            in_flight=in_flight,
        )

    def _list_data_changes(self, paths: Sequence[str]) -> Iterator[str]:
        for path in paths:
            if path.endswith(".py") or self._reads.was_written(path):
                continue
            if self._reads.has_changed(path):
                yield f"loading read {path}, which changed"
            elif self._reads.is_new_weight(path):
                yield f"{path} is new among the weights"

    def _units(self, module: ModuleType, text: bytes) -> ModuleUnits:
        file = str(module.__file__)
        units = read_units(module.__name__, text, file, is_package=hasattr(module, "__path__"))
        return units.with_file(_shorten(file, self._folder))

    def _list_runners(self, modules: dict[str, ModuleUnits]) -> list[Key]:
        mro = type(self._runner).__mro__
        return [(one.__module__, one.__qualname__) for one in mro if one.__module__ in modules]

    def _answer(self, outcome: str, message: str = "", details: str = "") -> Reloaded:
        methods = implemented_methods(type(self._runner))
        return Reloaded(outcome=outcome, message=message, details=details, methods=methods)


def _shorten(file: str, folder: Path) -> str:
    try:
        return Path(file).resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return file
