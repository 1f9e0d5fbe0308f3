"""Remembers the source that each module of the model folder was made from, to tell later what of it has changed.

Only a worker that is told to `--watch` has this. Its modules are compiled from their sources and from no cache: a cache
knows a source by its second and its size, and an author may save twice in a second.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType

NOT_THE_MODEL = frozenset({".venv", "venv", "site-packages", ".git", "__pycache__"})
"""Folders in the author's folder that hold code of others."""


class Sources:
    """The modules that were imported from one folder, and their sources as they were at that moment."""

    def __init__(self, folder: Path) -> None:
        self._top = os.path.realpath(folder)
        self._texts: dict[str, bytes] = {}

    def install(self) -> None:
        """From now on imports from the folder are remembered."""
        sys.path_hooks.insert(0, self._find)
        for place in [place for place in sys.path_importer_cache if self.is_inside(place)]:
            del sys.path_importer_cache[place]

    def make_spec(self, name: str, path: Path) -> ModuleSpec | None:
        """How to import this file under this name."""
        return importlib.util.spec_from_file_location(name, path, loader=self._make_loader(name, str(path)))

    def is_inside(self, place: str) -> bool:
        """Is this file or folder the author's?"""
        path = Path(os.path.realpath(place))
        return path.is_relative_to(self._top) and NOT_THE_MODEL.isdisjoint(path.relative_to(self._top).parts)

    def remember(self, name: str, text: bytes) -> None:
        """This module is now what this source says."""
        self._texts[name] = text

    def list_modules(self) -> dict[str, tuple[ModuleType, bytes]]:
        """The folder's modules that are imported now, by name, and their sources."""
        found = {}
        for name, text in self._texts.items():
            module = sys.modules.get(name)
            if isinstance(module, ModuleType) and getattr(module, "__file__", None):
                found[name] = (module, text)
        return found

    def _find(self, place: str) -> FileFinder:
        """A path hook: the finder of one of the author's folders."""
        if not os.path.isdir(place or ".") or not self.is_inside(place or "."):  # noqa: PTH112 - as the import system does
            raise ImportError
        return FileFinder(
            place,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (self._make_loader, SOURCE_SUFFIXES),  # type: ignore[arg-type]  # the finder only calls it
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    def _make_loader(self, fullname: str, path: str) -> _Loader:
        return _Loader(self, fullname, path)


class _Loader(SourceFileLoader):
    """Reads a source once, compiles what it read, and remembers it."""

    def __init__(self, sources: Sources, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._sources = sources

    def get_code(self, fullname: str) -> CodeType | None:
        text = self.get_data(self.path)
        code: CodeType = self.source_to_code(text, self.path)
        self._sources.remember(fullname, text)
        return code


def read_source(module: ModuleType) -> bytes | None:
    """The module's file as it is now; None where it is gone."""
    try:
        return Path(str(module.__file__)).read_bytes()
    except OSError:
        return None
