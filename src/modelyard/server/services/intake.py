"""From files on disk to parts in the depot: an archive unpacked under limits, or files that came one by one; checked by
the same rules, taken in. Blocking, for a thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelyard.errors import InvalidFolder
from modelyard.parts.code import IGNORE_FILE, IgnoreRules, explain_dropped, split_parts
from modelyard.parts.depot import Depot, hash_file
from modelyard.parts.extractor import extract_in_child
from modelyard.parts.files import FileEntry
from modelyard.parts.folder import CONFIG, MODEL, REQUIREMENTS, CheckedFolder, check_folder
from modelyard.parts.hub_token import strip_hub_token
from modelyard.parts.version_message import make_version_message
from modelyard.server import failpoints
from modelyard.wire.messages import ModelVersion

DECIDING = (CONFIG, REQUIREMENTS, MODEL, IGNORE_FILE)
"""The files that are looked into."""
MAX_IGNORE_BYTES = 1024 * 1024
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What an upload became."""

    code_digest: str
    weights_digest: str
    size_bytes: int
    checked: CheckedFolder
    hub_token: str = field(default="", repr=False)
    """The Hugging Face token of its config.yaml, which is kept without it."""


def take_in(
    archive: Path, staging: Path, depot: Depot, check: Callable[[Sequence[FileEntry]], None], say: Say
) -> TakenIn:
    """Unpack, check (by `check`, too: is there room for these files?), and move every file into the depot.

    Raises:
        InvalidArchive: the strict reader refuses it.
        InvalidConfig, InvalidFolder: the folder in it cannot be built; all problems at once.
    """
    entries = extract_in_child(archive, staging)
    failpoints.hit("upload.after_extract")

    def adopt(files: Sequence[FileEntry]) -> None:
        check(files)
        depot.adopt_all((staging / entry.path, entry.digest) for entry in files)

    taken = take_files(entries, staging, depot, adopt, say)
    shutil.rmtree(staging)
    failpoints.hit("upload.after_adopt")
    return taken


def take_files(
    entries: Sequence[FileEntry],
    staging: Path,
    depot: Depot,
    adopt: Callable[[Sequence[FileEntry]], None],
    say: Say,
) -> TakenIn:
    """Check a folder by the files that decide about it, and keep its parts.

    Args:
        entries: All files that were sent.
        staging: Has at least those of `DECIDING` that are among them.
        depot: Takes the parts.
        adopt: Puts these files into the depot; a config.yaml without its token comes from `staging`.
        say: Takes lines for the author.

    Raises:
        InvalidConfig, InvalidFolder: it cannot be built; all problems at once.
    """
    checked = check_folder(staging)
    _check_ignore_file(staging)
    entries, hub_token = _take_token(staging, entries)
    rules = IgnoreRules.of_folder(staging)
    for line in (*checked.warnings, *explain_dropped(entries, rules)):
        say(line)
    code, weights = split_parts(entries, rules)
    adopt([*code.files, *(weights.files if weights else ())])
    return TakenIn(
        code_digest=depot.add_part(code),
        weights_digest=depot.add_part(weights) if weights else "",
        size_bytes=code.size_bytes + (weights.size_bytes if weights else 0),
        checked=checked,
        hub_token=hub_token,
    )


def _check_ignore_file(staging: Path) -> None:
    """It is read whole, and must not be as large as an upload may be."""
    path = staging / IGNORE_FILE
    size = path.stat().st_size if path.is_file() else 0
    if size > MAX_IGNORE_BYTES:
        raise InvalidFolder(f"{IGNORE_FILE} has {size} bytes; at most {MAX_IGNORE_BYTES} are allowed")


def _take_token(staging: Path, entries: Sequence[FileEntry]) -> tuple[tuple[FileEntry, ...], str]:
    """Take the token out of config.yaml before the depot sees the file: the code of a version is shown to its model."""
    path = staging / CONFIG
    stripped, token = strip_hub_token(path.read_bytes().decode("utf-8-sig"))
    if not token:
        return tuple(entries), ""
    path.unlink()  # it may be a link to a file that others have
    path.write_text(stripped, encoding="utf-8")
    kept = (entry for entry in entries if entry.path != CONFIG)
    config = next(entry for entry in entries if entry.path == CONFIG)
    return (*kept, replace(config, digest=hash_file(path), size_bytes=path.stat().st_size)), token


def complete_spec(given: ModelVersion, checked: CheckedFolder) -> ModelVersion:
    """What the client said about the version; what it left out, from the folder's config."""
    spec = ModelVersion()
    spec.CopyFrom(given)
    folder = make_version_message(checked.config)
    if not spec.HasField("inference_compute_info"):
        spec.inference_compute_info.CopyFrom(folder.inference_compute_info)
    if not spec.output_info.data.concepts:
        spec.output_info.data.concepts.extend(folder.output_info.data.concepts)
    spec.num_threads = spec.num_threads or folder.num_threads
    return spec
