"""Environments, for real: uv resolves and installs one tiny package (these need the package index)."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import BuildFailed, Cancelled
from modelyard.parts.builder import Builder, BuilderSettings
from modelyard.parts.environment import Environment, Environments
from modelyard.parts.lock import Lock
from modelyard.parts.pythons import Python, choose_python, list_pythons
from modelyard.parts.requirements import parse_requirements

SIX = "# tiny\nsix==1.17.0\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def environments(root: Path) -> Environments:
    return Environments(root)


@pytest.fixture(scope="module")
def lock(environments: Environments) -> Lock:
    return environments.lock(SIX, "", lambda _: None)


@pytest.fixture(scope="module")
def installed(environments: Environments, lock: Lock) -> Environment:
    return environments.install(lock, lambda _: None)


def test_lock_pins_everything_with_hashes(lock: Lock) -> None:
    assert "six==1.17.0 " in lock.text
    assert "clarifai-grpc==" in lock.text
    assert "pyyaml==" in lock.text
    assert lock.is_hashed
    assert len(lock.digest) == 64


def test_unchanged_requirements_are_not_resolved_again(root: Path, lock: Lock) -> None:
    lines: list[str] = []
    broken = BuilderSettings(environ={**os.environ, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(root / "empty")})
    again = Environments(root, settings=broken).lock("six==1.17.0  # as before\n", lock.python_version, lines.append)
    assert again.digest == lock.digest
    assert "unchanged" in lines[0]


def test_installed_environment_works_and_is_found(environments: Environments, installed: Environment) -> None:
    code = "import six, yaml, clarifai_grpc; print(six.__version__)"
    done = subprocess.run([installed.python, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1.17.0"
    assert environments.get(installed.digest) == installed


def test_shared_files_cannot_be_written(installed: Environment) -> None:
    modules = list(installed.python.parent.parent.glob("lib/*/site-packages/six.py"))
    assert [path.stat().st_mode & 0o222 for path in modules] == [0]


def test_what_a_killed_installation_left_is_replaced(
    environments: Environments, installed: Environment, lock: Lock
) -> None:
    folder = installed.python.parent.parent
    (folder / ".complete").unlink()
    (folder / "half").write_text("written")
    assert environments.get(lock.digest) is None
    assert environments.install(lock, lambda _: None) == installed
    assert not (folder / "half").exists()


def test_two_at_once_install_once(environments: Environments, installed: Environment, lock: Lock) -> None:
    shutil.rmtree(installed.python.parent.parent)
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(environments.install, lock, lines.append) for _ in range(2)]
        assert {task.result() for task in tasks} == {installed}
    assert len([line for line in lines if line.startswith(" + six")]) == 1


def test_package_that_does_not_exist_is_blamed_on_its_line(environments: Environments) -> None:
    with pytest.raises(BuildFailed) as caught:
        environments.lock("six\n\nsix==99.9\n", "", lambda _: None)
    assert "requirements.txt line 3: 'six==99.9'" in caught.value.message
    assert "unsatisfiable" in caught.value.details


def test_missing_python_is_named_with_those_that_are_there(environments: Environments, lock: Lock) -> None:
    with pytest.raises(BuildFailed, match=rf"Python 3\.99 is not on this machine; there are: .*{lock.python_version}"):
        environments.lock(SIX, "3.99", lambda _: None)


def test_refused_requirements_fail_the_build(environments: Environments) -> None:
    with pytest.raises(BuildFailed, match=r"requirements\.txt line 1: --requirement"):
        environments.lock("-r x\n", "", lambda _: None)


def test_stop_ends_an_installation_and_leaves_nothing(environments: Environments, lock: Lock, root: Path) -> None:
    stop = threading.Event()
    stop.set()
    other = Lock(text=lock.text + "# other\n", python_version=lock.python_version, requirements=lock.requirements)
    with pytest.raises(Cancelled):
        environments.install(other, lambda _: None, stop=stop)
    assert not (root / other.digest).exists()


def test_damaged_hash_is_refused(environments: Environments, lock: Lock) -> None:
    start = lock.text.index("six==")
    text = lock.text[:start] + lock.text[start:].replace("sha256:", "sha256:0000", 1)
    text = (
        "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"
        if text == lock.text
        else "six==1.17.0 \\\n    --hash=sha256:" + "0" * 64
    )
    other = Lock(text=text, python_version=lock.python_version, requirements=lock.requirements)
    with pytest.raises(BuildFailed, match=r"requirements\.txt line 2: 'six==1\.17\.0' could not be installed"):
        environments.install(other, lambda _: None)
    assert environments.get(other.digest) is None


def test_lock_with_a_repository_needs_no_hashes() -> None:
    requirements = parse_requirements("x @ git+https://host/x.git")
    text = "six==1.0 \\\n    --hash=sha256:aa\nx @ git+https://host/x.git@abc\n"
    assert not Lock(text=text, python_version="3.11.7", requirements=requirements).is_hashed


def test_environment_names_are_digests(environments: Environments) -> None:
    assert environments.get("../..") is None


def test_pythons_of_the_machine_are_found(tmp_path: Path) -> None:
    pythons = list_pythons(Builder(BuilderSettings(), tmp_path))
    assert all(python.path.exists() for python in pythons)
    assert pythons


def test_newest_python_that_fits_is_chosen() -> None:
    there = [Python(version=version, path=Path(version)) for version in ("3.11.2", "3.12.1", "3.11.10", "3.1.0")]
    assert choose_python("3.11", there).version == "3.11.10"
    assert choose_python("3.11.2", there).version == "3.11.2"
