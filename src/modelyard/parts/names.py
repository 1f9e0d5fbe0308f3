"""Which names a file of a model may have: the same rule for the client that packs and the server that unpacks."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

MAX_DEPTH = 20
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024

_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BANNED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def explain_bad_path(path: str) -> str | None:
    """Say what is wrong with a relative path (`1/model.py`), None where nothing is."""
    names = path.split("/")
    if path.startswith("/"):
        return "an absolute path is not allowed"
    if len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if len(names) > MAX_DEPTH:
        return f"the path is deeper than {MAX_DEPTH} names"
    return next((problem for name in names if (problem := _explain_bad_name(name))), None)


def _explain_bad_name(name: str) -> str | None:
    if name in ("", ".", ".."):
        return "a path may not contain empty names, '.' or '..'"
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        return f"a name is longer than {MAX_NAME_BYTES} bytes"
    if "\\" in name:
        return "a name may not contain a backslash"
    if any(unicodedata.category(one) in _BANNED_CATEGORIES or one in _DIRECTION_MARKS for one in name):
        return "a name may not contain control characters or marks that change the writing direction"
    if not unicodedata.is_normalized("NFC", name):
        return "a name must be in Unicode's composed form (NFC)"
    return None


@dataclass
class PathRegister:
    """Every path seen so far, so that no two are the same on a disk that ignores case."""

    _folders: dict[str, str] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)

    def add_file(self, path: str) -> str | None:
        """Note a file and the folders above it; says what it collides with."""
        key = _fold(path)
        taken = self._files.get(key) or self._folders.get(key)
        if taken:
            return _explain_collision(path, taken)
        self._files[key] = path
        return self._add_folders(path.rpartition("/")[0])

    def add_folder(self, path: str) -> str | None:
        """Note a folder and those above it; a folder may be noted again."""
        return self._add_folders(path)

    def _add_folders(self, path: str) -> str | None:
        while path:
            key = _fold(path)
            taken = self._files.get(key) or self._folders.get(key)
            if taken == path and key in self._folders:
                return None
            if taken:
                return _explain_collision(path, taken)
            self._folders[key] = path
            path = path.rpartition("/")[0]
        return None


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _explain_collision(path: str, taken: str) -> str:
    if path == taken:
        return "it is there twice"
    return f"{path!r} and {taken!r} differ only in upper and lower case"
