"""The house keeps its own rules: sizes, sentences, what may travel, and what may not stand in a tracked file."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard import errors
from modelyard.parts.folder import check_folder
from modelyard.server.api import v2
from modelyard.wire import status
from modelyard.wire.methods import MethodKind, load_methods

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "src" / "modelyard" / "local" / "templates"
SOURCES = sorted(path for path in (ROOT / "src" / "modelyard").rglob("*.py") if not path.is_relative_to(TEMPLATES))
TRAVELLING = [ROOT / "src" / "modelyard" / "errors.py"] + [
    path
    for path in SOURCES
    if path.relative_to(ROOT / "src" / "modelyard").parts[0] in ("data", "sdk", "wire", "worker")
]
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
# Written in pieces, so that this file may be tracked.
HOSTS = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org"]
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm|root)/[a-z]")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_file_reads_like_a_page() -> None:
    sizes = {name_of(path): count_lines(path) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
    assert statistics.median(sizes.values()) <= 120


def test_modules_are_named_by_nouns_that_say_something() -> None:
    assert [name_of(path) for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


def missing_sentences(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    missing = [] if ast.get_docstring(tree) or not tree.body else [name_of(path)]
    for node in tree.body:
        is_named = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if is_named and not node.name.startswith("_") and not ast.get_docstring(node):
            missing.append(f"{name_of(path)}: {node.name}")
    return missing


def test_what_is_public_has_a_sentence() -> None:
    assert [one for path in SOURCES for one in missing_sentences(path)] == []


def test_every_error_has_its_codes() -> None:
    ours = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ModelyardError)}
    assert ours - set(status.TABLE) == set()


@pytest.mark.parametrize("path", TRAVELLING, ids=name_of)
def test_what_travels_reads_on_python_3_10_and_needs_little(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 10))
    allowed = set(sys.stdlib_module_names) | {"modelyard", "clarifai_grpc", "google", "yaml"}
    if path.parts[-2:] == ("sdk", "images.py"):
        allowed.add("PIL")  # for authors who require it, imported when they convert an image
    if path.parts[-2:] == ("sdk", "arrays.py"):
        allowed.add("numpy")  # as above, for arrays
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        assert {name.partition(".")[0] for name in names} <= allowed


def test_nothing_inside_imports_the_compat_distribution() -> None:
    found = [
        name_of(path) for path in SOURCES if re.search(r"^\s*(from|import) clarifai\b", path.read_text(), re.MULTILINE)
    ]
    assert found == []


def test_no_registry_and_no_path_of_a_machine_stands_in_a_tracked_file() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        if any(host in text for host in HOSTS) or any(MACHINE_PATH.search(line) for line in text.splitlines()):
            found.append(name_of(path))
    assert found == []


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*/config.yaml")), ids=lambda path: path.parent.name
)
def test_examples_are_right(example: Path) -> None:
    assert check_folder(example.parent).config.model.id == example.parent.name


def broken_links(document: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    return [
        f"{name_of(document)}: {one}" for one in targets if "://" not in one and not (document.parent / one).exists()
    ]


def test_links_between_documents_lead_somewhere() -> None:
    documents = [path for path in tracked_files() if path.suffix == ".md" and path.exists()]
    assert [link for document in documents for link in broken_links(document)] == []


@pytest.mark.parametrize(
    "script", ["script/setup", "script/demo", "script/test", "script/lint", "script/bench", "script/fuzz", ".ci/run"]
)
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


def collect_handlers() -> dict[str, object]:
    """What every noun of `api/v2` answers. Nouns only keep their services at construction, so none is needed."""
    found: dict[str, object] = {}
    for module in pkgutil.iter_modules(v2.__path__, "modelyard.server.api.v2."):
        for name, noun in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(noun) and name.endswith("V2") and hasattr(noun, "handlers"):
                found |= noun(*[None] * len(inspect.signature(noun).parameters)).handlers()
    return found


def test_every_handler_is_a_method_of_the_contract_of_the_right_kind() -> None:
    methods = load_methods()
    handlers = collect_handlers()
    assert {"PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs", "PostModelVersionsUpload"} <= set(
        handlers
    )
    for name, handler in handlers.items():
        is_unary = methods[name].kind is MethodKind.UNARY_UNARY
        assert inspect.iscoroutinefunction(handler) == is_unary, name
