"""From an archive on disk to parts in the depot: unpacked under limits, checked, taken in. Blocking, for a thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelyard.parts.code import IgnoreRules, explain_dropped, split_parts
from modelyard.parts.depot import Depot, hash_file
from modelyard.parts.extractor import extract_in_child
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.folder import CONFIG, CheckedFolder, check_folder
from modelyard.parts.hub_token import strip_hub_token
from modelyard.parts.version_message import make_version_message
from modelyard.server import failpoints
from modelyard.wire.messages import ModelVersion


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What an archive became."""

    code_digest: str
    weights_digest: str
    size_bytes: int
    checked: CheckedFolder
    hub_token: str = field(default="", repr=False)
    """The Hugging Face token of its config.yaml, which is kept without it."""


def take_in(archive: Path, staging: Path, depot: Depot, say: Callable[[str], None]) -> TakenIn:
    """Unpack, check, and move every file into the depot.

    Raises:
        InvalidArchive: the strict reader refuses it.
        InvalidConfig, InvalidFolder: the folder in it cannot be built; all problems at once.
    """
    entries = extract_in_child(archive, staging)
    failpoints.hit("upload.after_extract")
    checked = check_folder(staging)
    entries, hub_token = _take_token(staging, entries)
    rules = IgnoreRules.of_folder(staging)
    for line in (*checked.warnings, *explain_dropped(entries, rules)):
        say(line)
    code, weights = split_parts(entries, rules)
    for part in (code, weights or Part()):
        for entry in part.files:
            depot.adopt(staging / entry.path, entry.digest)
    taken = TakenIn(
        code_digest=depot.add_part(code),
        weights_digest=depot.add_part(weights) if weights else "",
        size_bytes=code.size_bytes + (weights.size_bytes if weights else 0),
        checked=checked,
        hub_token=hub_token,
    )
    shutil.rmtree(staging)
    failpoints.hit("upload.after_adopt")
    return taken


def _take_token(staging: Path, entries: tuple[FileEntry, ...]) -> tuple[tuple[FileEntry, ...], str]:
    """Take the token out of config.yaml before the depot sees the file: the code of a version is shown to its model."""
    path = staging / CONFIG
    stripped, token = strip_hub_token(path.read_bytes().decode("utf-8-sig"))
    if not token:
        return entries, ""
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
