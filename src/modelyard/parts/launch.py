"""How a worker is started: with which code of ours, which arguments and which variables."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import InternalError

ROOMS = ("__init__.py", "py.typed", "errors.py", "data", "sdk", "wire", "worker")
"""What of `modelyard` travels into a model's environment."""
STAY_HOME = frozenset({"runners/models/model_run_locally.py", "runners/models/model_upload.py", "runners/server.py"})
"""Commands for the author's shell: they need the rooms that stay here. In a worker a published SDK may have its own."""
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_TOP_PAD_": "67108864",
}
"""The cost of large payloads is page faults: the allocator keeps its memory."""
_PASSED = frozenset({
    "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_DEVICE_ORDER",
    "OMP_NUM_THREADS", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY",
})  # fmt: skip
_PASSED_PREFIXES = ("NVIDIA_", "ROCR_", "HIP_")
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A process to start."""

    argv: list[str]
    env: dict[str, str]
    """All of its variables: none is inherited."""
    cwd: Path

    def with_memory(self, file: int) -> Launch:
        """The same, with a descriptor of memory that is shared: it has to be passed to the process."""
        return replace(self, argv=[*self.argv, "--memory", str(file)])

    def for_author(self, *, bytecode: Path, takes_edits: bool) -> Launch:
        """The same in an author's own folder, which stays as it is: what Python compiles is kept at `bytecode`. Edits
        are taken where asked for."""
        return replace(
            self,
            argv=[*self.argv, *(["--watch"] if takes_edits else [])],
            env=self.env | {"PYTHONPYCACHEPREFIX": str(bytecode)},
        )


def stage_runtime(root: Path) -> Path:
    """Copy what travels into a folder named by its content; returns it, ready for PYTHONPATH. Blocking.

    Idempotent and atomic. A running worker keeps the folder that it was started with.

    Raises:
        InternalError: This installation lacks the `clarifai` package that models import.
    """
    sources = sorted(_list_sources())
    digest = _hash_sources(sources)
    dest = root.absolute() / digest
    if dest.is_dir():
        return dest
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = dest.parent / f".{uuid.uuid4().hex}"
    try:
        for name, path in sources:
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _appear(temporary, dest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return dest


def make_launch(
    *,
    python: Path,
    runtime: Path,
    folder: Path,
    socket: Path,
    threads: int,
    replica_id: str,
    batching: BatchingInfo = NO_BATCHING,
    accelerators: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Launch:
    """Say how to start one replica. Makes its scratch home folder, beside the socket.

    Args:
        python: The environment's interpreter.
        runtime: What `stage_runtime` returned.
        folder: The assembled model folder, the worker's working directory.
        socket: Where the gateway listens.
        threads: How many requests the author's class takes at once.
        replica_id: Names the replica in logs and on the link.
        batching: Which requests it answers together.
        accelerators: The devices that it may see, as CUDA calls them; none hides them all. None: those that we see.
        environ: The operator's variables; of them only the device and locale settings, certificates and proxies go on.
    """
    home = socket.parent / f"{replica_id}.home"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = [
        *(str(python), "-X", "faulthandler", *_keep_folder_off_path(python), "-m", "modelyard.worker"),
        *("--socket", str(socket), "--folder", str(folder), "--threads", str(threads), "--replica", replica_id),
        *_describe_batching(batching),
    ]
    env = _pass_on(os.environ if environ is None else environ) | {
        "PATH": os.pathsep.join([str(python.parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "PYTHONPATH": str(runtime),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "VIRTUAL_ENV": str(python.parent.parent),
        **ALLOCATOR,
    }
    env.setdefault("LANG", "C.UTF-8")
    if accelerators is not None:
        env |= _show_devices(accelerators)
    return Launch(argv=argv, env=env, cwd=folder)


def _show_devices(accelerators: Sequence[str]) -> dict[str, str]:
    """CUDA's own variable, and for a replica that has none those of AMD's drivers: an empty list hides every device."""
    shown = {"CUDA_VISIBLE_DEVICES": ",".join(accelerators), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return shown if accelerators else {**shown, "HIP_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}


def _describe_batching(batching: BatchingInfo) -> list[str]:
    if batching.max_size <= 1:
        return []
    return ["--batch-size", str(batching.max_size), "--batch-wait-ms", str(batching.max_wait_ms)]


def _pass_on(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)}


def _keep_folder_off_path(python: Path) -> list[str]:
    """A file of the model named like a module of ours or of Python's must not be imported before the worker is up.

    The option came with Python 3.11; the worker itself puts the folder on the path when it loads the model.
    """
    try:
        text = (python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return []
    found = re.search(r"^version(?:_info)?\s*=\s*3\.(\d+)", text, re.MULTILINE)
    return ["-P"] if found and int(found[1]) >= 11 else []


def _list_sources() -> Iterator[tuple[str, Path]]:
    """Where each file goes in the runtime folder, and where it comes from."""
    for room in ROOMS:
        place = _PACKAGE / room
        for path in [place] if place.is_file() else _list_package(place):
            yield f"modelyard/{path.relative_to(_PACKAGE).as_posix()}", path
    compat = _find_compat()
    for path in _list_package(compat):
        name = path.relative_to(compat).as_posix()
        if name not in STAY_HOME:
            yield f"clarifai/{name}", path


def _list_package(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _find_compat() -> Path:
    """In an installed wheel, or in a checkout."""
    for place in (_PACKAGE / "_compat" / "clarifai", _PACKAGE.parents[1] / "compat" / "clarifai" / "src" / "clarifai"):
        if (place / "__init__.py").is_file():
            return place
    raise InternalError(
        "this installation of Modelyard lacks the `clarifai` package for models", hint="install it again"
    )


def _hash_sources(sources: list[tuple[str, Path]]) -> str:
    running = hashlib.sha256()
    for name, path in sources:
        content = path.read_bytes()
        running.update(f"{name}\0{len(content)}\0".encode() + content)
    return running.hexdigest()


def _appear(temporary: Path, dest: Path) -> None:
    try:
        temporary.rename(dest)
    except OSError:
        if not dest.is_dir():
            raise
