"""Loads the author's class: the folder on the path, `1/model.py` imported, its one runner made, `load_model` called."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from modelyard.errors import ModelLoadFailed, ModelyardError
from modelyard.sdk.finder import find_runner_class
from modelyard.sdk.runner import ModelRunner, implemented_methods
from modelyard.worker.advice import advise
from modelyard.worker.coroutines import finish_coroutine
from modelyard.worker.front import Front, make_front
from modelyard.worker.traces import tell

MODEL_FILE = Path("1") / "model.py"
MODULE_NAME = "model"
"""What the file is imported as; `1/` is on the path, so that pickles of its classes find it again."""
MakeSpec = Callable[[str, Path], ModuleSpec | None]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """The author's object, ready for requests."""

    runner: ModelRunner
    methods: frozenset[str]

    @cached_property
    def front(self) -> Front:
        """What takes requests for it."""
        return make_front(self.runner)


def load_model(folder: Path, make_spec: MakeSpec = importlib.util.spec_from_file_location) -> LoadedModel:
    """Load the model of a folder.

    Args:
        folder: The model folder.
        make_spec: Says how to import the file of this name.

    Raises:
        ModelLoadFailed: Whatever the author's code raised, `SystemExit` too; the message has file and line, the details
            the traceback of their frames.
    """
    try:
        runner_class = find_runner_class(_import_model(folder, make_spec))
        runner = runner_class()
        finish_coroutine(runner.load_model())  # type: ignore[func-returns-value]
        model = LoadedModel(runner=runner, methods=implemented_methods(runner_class))
        model.front  # noqa: B018 - made here, where what is wrong with it is told as a failure to load
        return model
    except ModelyardError as error:
        raise _keep_or_tell(error, folder) from error
    except BaseException as error:  # the boundary to the author's code: SystemExit is told, not obeyed
        raise _tell_failure(error, folder) from error


def _import_model(folder: Path, make_spec: MakeSpec) -> ModuleType:
    path = folder / MODEL_FILE
    if not path.is_file():
        raise ModelLoadFailed(f"{MODEL_FILE} does not exist", hint="write the class of the model in it")
    sys.path[:0] = [str(path.parent), str(folder)]
    spec = make_spec(MODULE_NAME, path)
    if spec is None or spec.loader is None:
        raise ModelLoadFailed(f"{MODEL_FILE} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    spec.loader.exec_module(module)
    return module


def _keep_or_tell(error: ModelyardError, folder: Path) -> ModelLoadFailed:
    """Our own finding stays as it is; one of our errors that the author's code let through is told with its line."""
    return error if isinstance(error, ModelLoadFailed) else _tell_failure(error, folder)


def _tell_failure(error: BaseException, folder: Path) -> ModelLoadFailed:
    trouble = tell(error, folder)
    place = trouble.place or str(MODEL_FILE)
    return ModelLoadFailed(f"{place}: {trouble.what}", hint=advise(error), details=trouble.details)
