"""Makes the parts of an uploaded version: its environment and its weights, side by side.

Blocking, for a thread. Both are idempotent: whoever takes the job after a crash begins again and finds what is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from modelyard.config.load import load_config
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import ConceptInfo, FolderConfig
from modelyard.errors import BuildFailed, Cancelled, InvalidConfig
from modelyard.parts.concepts import ADVICE, RULE, infer_concepts
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environment, Environments
from modelyard.parts.manifest import Manifest
from modelyard.parts.weights import CHECKPOINTS_FOLDER, Checkpoint, Checkpoints
from modelyard.server import failpoints
from modelyard.server.records import Version
from modelyard.wire.messages import ModelVersion

LABELS_FILE = f"{CHECKPOINTS_FOLDER}/config.json"
Write = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a version is made of now."""

    manifest: Manifest
    checkpoint: Checkpoint | None
    """What was fetched; None where the upload had its weights, or needs none."""
    concepts: tuple[ConceptInfo, ...]
    """The labels of the checkpoint, for a version that has none of its own."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one version needs, read from its code."""

    version: Version
    config: FolderConfig
    requirements: str
    hub_token: str
    write: Write
    stop: threading.Event


class Maker:
    """Makes parts, with what the server has for it."""

    def __init__(self, depot: Depot, environments: Environments, checkpoints: Checkpoints) -> None:
        self._depot = depot
        self._environments = environments
        self._checkpoints = checkpoints

    def make(self, version: Version, hub_token: str, write: Write, stop: threading.Event) -> Made:
        """Make what is not there yet.

        Args:
            version: Uploaded: its code is in the depot.
            hub_token: For the hub; may be empty.
            write: Takes each line of the build log, from several threads.
            stop: Set from another thread, it ends the work. Set here where one part fails, to end the other.

        Raises:
            BuildFailed: The packages cannot be installed, the checkpoints cannot be had, or have no labels.
            Cancelled: `stop` was set.
        """
        order = self._read_order(version, hub_token, write, stop)
        with ThreadPoolExecutor(2, thread_name_prefix="build") as pool:
            installing = pool.submit(self._install, order)
            fetching = pool.submit(self._fetch, order)
            running: tuple[Future[Any], ...] = (installing, fetching)
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            if any(one.exception() for one in done):
                stop.set()
        _raise_cause(running)
        environment, python_version = installing.result()
        checkpoint = fetching.result()
        weights = self._depot.add_part(checkpoint.part) if checkpoint else version.weights_digest
        manifest = Manifest(
            code=version.code_digest,
            weights=weights,
            environment=environment.digest,
            model_type_id=order.config.model.model_type_id,
            python_version=python_version,
        )
        return Made(manifest=manifest, checkpoint=checkpoint, concepts=self._find_concepts(order, weights))

    def _read_order(self, version: Version, hub_token: str, write: Write, stop: threading.Event) -> Order:
        files = {entry.path: entry.digest for entry in self._depot.get_part(version.code_digest).files}
        return Order(
            version=version,
            config=load_config(self._depot.read(files["config.yaml"]).decode()).config,
            requirements=self._depot.read(files["requirements.txt"]).decode(),
            hub_token=hub_token,
            write=write,
            stop=stop,
        )

    def _install(self, order: Order) -> tuple[Environment, str]:
        """The environment, and which Python it has."""
        lock = self._environments.lock(order.requirements, order.config.python_version, order.write, stop=order.stop)
        failpoints.hit("build.locked")
        environment = self._environments.install(lock, order.write, stop=order.stop)
        failpoints.hit("build.installed")
        return environment, lock.python_version

    def _fetch(self, order: Order) -> Checkpoint | None:
        """The checkpoint, where the config names one and the upload did not bring it."""
        if order.config.checkpoints is None or order.version.weights_digest:
            return None
        checkpoint = self._checkpoints.fetch(
            order.config.checkpoints, token=order.hub_token, log=order.write, stop=order.stop
        )
        failpoints.hit("build.fetched")
        return checkpoint

    def _find_concepts(self, order: Order, weights: str) -> tuple[ConceptInfo, ...]:
        """The guide's rule: a model that answers concepts has them from its config, else from its checkpoint."""
        known = MODEL_TYPES.get(order.config.model.model_type_id)
        if known is None or not known.needs_concepts or _has_concepts(order.version):
            return ()
        files = {entry.path: entry.digest for entry in self._depot.get_part(weights).files} if weights else {}
        if LABELS_FILE not in files:
            raise BuildFailed(f"concepts: {known.id} has no {LABELS_FILE}; {RULE}", hint=ADVICE)
        try:
            return infer_concepts(self._depot.read(files[LABELS_FILE]))
        except InvalidConfig as error:
            raise BuildFailed(error.message, hint=error.hint) from error


def _has_concepts(version: Version) -> bool:
    return bool(ModelVersion.FromString(version.spec).output_info.data.concepts)


def _raise_cause(ended: tuple[Future[Any], ...]) -> None:
    """Raise what went wrong first: what was cancelled for its sake comes second."""
    errors = [error for one in ended if (error := one.exception())]
    for error in sorted(errors, key=lambda one: isinstance(one, Cancelled)):
        raise error
