"""Which files of a repository are wanted. docs/adr/0012-checkpoints.md says why the rule is what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeGuard

from modelyard.parts.names import PathRegister, explain_bad_path

MAX_FILES = 10_000
SHOWN_FILES = 5
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_HOUSEKEEPING = (".gitattributes", ".gitignore")
_COPIES = {
    "model": ("pytorch_model", "tf_model", "flax_model", "openvino_model", "consolidated"),
    "diffusion_pytorch_model": ("diffusion_pytorch_model", "diffusion_flax_model", "openvino_model"),
    "adapter_model": ("adapter_model",),
    "pytorch_lora_weights": ("pytorch_lora_weights",),
    "open_clip_model": ("open_clip_pytorch_model",),
}
"""The same weights in other files: by the name of their safetensors."""
_WEIGHTS = re.compile(
    r"(\w+?)((?:[.-][\w-]+)*?)\.(safetensors|bin|h5|msgpack|pth|pt|xml)(?:\.index(?:\.(\w+))?\.json)?"
)
"""`model-00001-of-00002.fp16.safetensors`, `consolidated.00.pth`, `pytorch_model.bin.index.json`."""
_NUMBERS = re.compile(r"[.-]\d+(?:-of-\d+)?(?![\w])")
_OTHER_RUNTIMES = (".onnx", ".onnx_data", ".tflite", ".mlmodel", ".ot", ".gguf")
_OTHER_FOLDERS = ("original", "onnx", "openvino", "coreml", "metal")


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a commit, as the hub lists it."""

    path: str
    size_bytes: int
    blob_id: str
    """Git's sha1 of the file, or of the pointer that stands for a large one."""
    sha256: str = ""
    """Of a large file (git-lfs); empty for one that lies in git itself."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The wanted files, sorted by path, and those that the default rule leaves out."""

    files: tuple[HubFile, ...]
    left_out: tuple[HubFile, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def choose(files: Iterable[HubFile], *, allow: tuple[str, ...], ignore: tuple[str, ...]) -> Choice:
    """Apply the author's patterns, which match as huggingface_hub's do: `*` also stands for `/`.

    Without `allow`, a repository that has its weights as safetensors comes without their copies in other formats.
    """
    listed = sorted(files, key=lambda file: file.path)
    wanted = [file for file in listed if _matches(file.path, allow or ("*",)) and not _matches(file.path, ignore)]
    if allow:
        return Choice(files=tuple(wanted))
    copies = set(_find_copies([file.path for file in wanted]))
    return Choice(
        files=tuple(file for file in wanted if file.path not in copies and file.path not in _HOUSEKEEPING),
        left_out=tuple(file for file in wanted if file.path in copies),
    )


def is_blob_id(value: object) -> TypeGuard[str]:
    """Is it git's sha1 of a file, or of a commit?"""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}", value) is not None


def explain_bad_names(files: Iterable[HubFile]) -> list[str]:
    """Names that cannot be put on a disk safely, one line each."""
    register = PathRegister()
    found = ((file.path, explain_bad_path(file.path) or register.add_file(file.path)) for file in files)
    return [f"{path!a}: {problem}" for path, problem in found if problem]


def list_pickles(choice: Choice) -> tuple[str, ...]:
    """Files that run code when they are loaded, where there are no safetensors in their stead."""
    if any(file.path.endswith(".safetensors") for file in choice.files):
        return ()
    return tuple(file.path for file in choice.files if file.path.endswith(PICKLES))


def join_paths(paths: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    given = list(paths)
    more = len(given) - SHOWN_FILES
    return ", ".join(map(_show, given[:SHOWN_FILES])) + (f" and {more} more" if more > 0 else "")


def _show(path: str) -> str:
    return path if path.isprintable() else ascii(path)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def _find_copies(paths: list[str]) -> Iterator[str]:
    """Files beside safetensors which hold the same weights in the same variant (fp16), or are for other runtimes."""
    names = {path: _read_name(path) for path in paths}
    copies: dict[str, set[tuple[str, str]]] = {}
    for path, (stem, variant, kind) in names.items():
        if kind == "safetensors" and stem in _COPIES:
            copies.setdefault(_folder_of(path), set()).update((copy, variant) for copy in _COPIES[stem])
    for path, (stem, variant, kind) in names.items():
        beside = copies.get(_folder_of(path), set())
        is_original = kind == "safetensors" and stem in _COPIES
        is_elsewhere = "" in copies and "/" in path and path.partition("/")[0] in _OTHER_FOLDERS
        is_foreign = bool(beside) and path.endswith(_OTHER_RUNTIMES)
        if is_elsewhere or is_foreign or ((stem, variant) in beside and not is_original):
            yield path


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _read_name(path: str) -> tuple[str, str, str]:
    """Stem, variant and format of a file of weights; all empty for another one."""
    found = _WEIGHTS.fullmatch(path.rpartition("/")[2])
    if found is None:
        return "", "", ""
    variant = _NUMBERS.sub("", found[2]).strip(".-")
    return found[1], found[4] or variant, found[3]
