"""A model folder up and running on this machine: checked, its environment and weights in place, its worker loaded."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelyard.client.weights import fetch_checkpoint
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import FolderConfig
from modelyard.errors import ModelLoadFailed, NotImplementedByModel
from modelyard.local.in_place import find_unmet
from modelyard.local.link import LocalLink
from modelyard.local.machine import list_shortages
from modelyard.local.worker import LocalWorker, start_worker
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.parts.concepts import infer_concepts
from modelyard.parts.environment import Environments
from modelyard.parts.folder import CheckedFolder, check_folder
from modelyard.parts.launch import stage_runtime
from modelyard.parts.weights import CHECKPOINTS_FOLDER, Checkpoint, Progress
from modelyard.wire.handshake import FAILED, State
from modelyard.wire.messages import Input, MethodSignature
from modelyard.wire.signatures import decode_signatures

TIMEOUT_S = 600.0
LABELS_FILE = f"{CHECKPOINTS_FOLDER}/config.json"
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run on this machine may be told."""

    inputs: Sequence[Input] = ()
    """Empty: samples that fit the model's type."""
    cache_dir: Path | None = None
    timeout_s: float = TIMEOUT_S
    """How long the model may say nothing."""
    is_in_place: bool = False
    """Run in the Python that runs Modelyard, without an environment of its own."""
    takes_edits: bool = False
    """May the session's worker be asked to reload?"""
    on_download: Progress | None = field(default=None, repr=False)
    """Told of a checkpoint's bytes as they come."""

    @property
    def cache(self) -> Path:
        """Where environments, checkpoints and compiled code are kept."""
        return (self.cache_dir or default_cache_dir()).absolute()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A folder with everything that its worker needs."""

    folder: Path
    config: FolderConfig
    """Of config.yaml; with the checkpoint's concepts where it has none."""
    warnings: tuple[str, ...]
    python: Path
    python_version: str
    is_environment_new: bool
    environment_s: float
    checkpoint: Checkpoint | None
    checkpoint_s: float


@dataclass(frozen=True, kw_only=True)
class Session:
    """A loaded model that can be asked."""

    prepared: Prepared
    link: LocalLink
    process_id: int
    """Of the worker; what it starts is in the process group of the same number."""
    methods: frozenset[str]
    load_s: float
    """From the start of the process until the model was loaded."""
    signatures: tuple[MethodSignature, ...] = ()
    """Of typed methods."""

    @property
    def config(self) -> FolderConfig:
        """See `Prepared.config`."""
        return self.prepared.config


def prepare(folder: Path, options: Options, tell: Tell, stop: threading.Event | None = None) -> Prepared:
    """Check a folder, install its environment and fetch its checkpoint; what is there already is not made again.

    Set from another thread, `stop` ends it.

    Raises:
        InvalidConfig, InvalidFolder: the folder cannot be built; all problems at once.
        BuildFailed: its requirements cannot be installed.
        CheckpointsFailed: its checkpoint cannot be had, or has no labels although the model's type needs them.
        Cancelled: `stop` was set.
    """
    checked = check_folder(folder)
    began = time.monotonic()
    python, python_version, is_new, unmet = _find_python(folder, checked, options, tell, stop)
    environment_s = time.monotonic() - began
    began = time.monotonic()
    checkpoint = None
    if checked.config.checkpoints is not None:
        checkpoint = fetch_checkpoint(folder, checked.config.checkpoints, tell, options.on_download, stop)
    return Prepared(
        folder=folder,
        config=_complete_concepts(folder, checked.config),
        warnings=(*checked.warnings, *unmet, *list_shortages(checked.config.compute)),
        python=python,
        python_version=python_version,
        is_environment_new=is_new,
        environment_s=environment_s,
        checkpoint=checkpoint,
        checkpoint_s=time.monotonic() - began,
    )


@contextmanager
def open_session(folder: Path, options: Options, *, tell_build: Tell, tell_line: Tell) -> Iterator[Session]:
    """Prepare a folder and load its model, for the time of the block.

    Args:
        folder: The model folder.
        options: Cache, patience, environment.
        tell_build: Takes each line about the environment and the checkpoint.
        tell_line: Takes each line that the model prints.

    Raises:
        What `prepare` raises.
        ModelLoadFailed: importing the model, or its load_model, raised.
        NotImplementedByModel: the class has none of the three methods.
        WorkerCrashed: the process died.
        DeadlineExceeded: it said nothing for longer than the options allow.
    """
    prepared = prepare(folder, options, tell_build)
    with start_session(prepared, options, tell_line) as session:
        yield session


@contextmanager
def start_session(prepared: Prepared, options: Options, tell_line: Tell) -> Iterator[Session]:
    """Load a prepared folder's model in a process of its own. See `open_session`."""
    began = time.monotonic()
    with start_worker(
        python=prepared.python,
        runtime=stage_runtime(options.cache / "runtime"),
        folder=prepared.folder.absolute(),
        bytecode=options.cache / "bytecode",
        threads=max(prepared.config.num_threads, 1),
        timeout_s=options.timeout_s,
        log=tell_line,
        takes_edits=options.takes_edits,
        batching=prepared.config.batching,
    ) as worker:
        state = _wait_loaded(worker)
        yield Session(
            prepared=prepared,
            link=worker.link,
            process_id=worker.process_id,
            methods=state.methods,
            signatures=tuple(decode_signatures(state.signatures)),
            load_s=time.monotonic() - began,
        )


def _find_python(
    folder: Path, checked: CheckedFolder, options: Options, tell: Tell, stop: threading.Event | None
) -> tuple[Path, str, bool, tuple[str, ...]]:
    """The interpreter, its version, whether its environment is new, and what the author should know of it."""
    text = (folder / "requirements.txt").read_text(encoding="utf-8-sig")
    if options.is_in_place:
        version = ".".join(map(str, sys.version_info[:3]))
        return Path(sys.executable), version, False, find_unmet(text, checked.config.python_version)
    environments = Environments(options.cache / "environments")
    lock = environments.lock(text, checked.config.python_version, tell, stop=stop)
    environment = environments.install(lock, tell, stop=stop)
    return environment.python, lock.python_version, environment.is_new, ()


def _complete_concepts(folder: Path, config: FolderConfig) -> FolderConfig:
    """The guide's rule: a model that outputs concepts has them from its config, else from its checkpoint."""
    known = MODEL_TYPES.get(config.model.model_type_id)
    if config.concepts or config.checkpoints is None or known is None or not known.needs_concepts:
        return config
    try:
        content = (folder / LABELS_FILE).read_bytes()
    except OSError:
        content = b"{}"
    return replace(config, concepts=infer_concepts(content))


def _wait_loaded(worker: LocalWorker) -> State:
    state = worker.link.wait_loaded()
    if state.state == FAILED:
        raise ModelLoadFailed(state.message, details=state.details)
    if not state.methods:
        raise NotImplementedByModel("the class implements neither predict, generate nor stream")
    return state
