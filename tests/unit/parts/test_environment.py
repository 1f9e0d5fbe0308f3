"""Environments, for real: uv resolves and installs one tiny package (these need the package index)."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.errors import BuildFailed, Cancelled
from modelyard.parts import environment
from modelyard.parts.builder import Builder, BuilderSettings
from modelyard.parts.environment import Environment, Environments
from modelyard.parts.guess import Guess
from modelyard.parts.lock import Lock
from modelyard.parts.pythons import Python, choose_python, list_pythons
from modelyard.parts.requirements import parse_requirements

SIX = "# tiny\nsix==1.17.0\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def cache(root: Path) -> Path:
    """uv's."""
    return root / "uv"


@pytest.fixture(scope="module")
def environments(root: Path, cache: Path) -> Environments:
    return make_environments(root, cache)


def make_environments(root: Path, cache: Path) -> Environments:
    return Environments(root, settings=BuilderSettings(environ={**os.environ, "UV_CACHE_DIR": str(cache)}))


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


class Guessed:
    """An environment of what the cache of others holds, resolved while a guess runs."""

    def __init__(self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, text: str | None = None) -> None:
        real, install = environment.resolve, Environments._install
        has_guessed = threading.Event()
        self.environments = make_environments(root, cache)
        self.lines: list[str] = []

        def resolve(*told, is_guess: bool = False, **more) -> Lock:
            found = real(*told, is_guess=is_guess, **more)
            assert is_guess or has_guessed.wait(60)
            return replace(found, text=text.format(found.text)) if is_guess and text else found

        def note(*told, is_guess: bool = False) -> Environment:
            if is_guess:
                has_guessed.set()
            return install(*told, is_guess=is_guess)

        monkeypatch.setattr(environment, "resolve", resolve)
        monkeypatch.setattr(Environments, "_install", note)
        self.lock = self.environments.lock(SIX, "", self.lines.append)


def test_what_the_cache_holds_is_installed_while_the_index_is_asked(
    tmp_path: Path, cache: Path, installed: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    guessed = Guessed(tmp_path, cache, monkeypatch)
    assert guessed.lock.digest == installed.digest
    assert guessed.lock.guess is not None
    guessed.lock.guess.finish(None)
    assert guessed.environments.get(installed.digest) is not None
    made = guessed.environments.install(guessed.lock, guessed.lines.append)
    assert made.is_new
    assert len([line for line in guessed.lines if line.startswith(" + six")]) == 1
    assert "is installed already" not in guessed.lines[-1]
    assert not guessed.environments.install(guessed.environments.lock(SIX, "", lambda _: None), lambda _: None).is_new


@pytest.mark.usefixtures("installed")
def test_guess_that_was_wrong_changes_nothing(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guessed = Guessed(tmp_path, cache, monkeypatch, "{}# older\n")
    assert guessed.lock.guess is None
    made = guessed.environments.install(guessed.lock, guessed.lines.append)
    assert made.is_new
    assert len([line for line in guessed.lines if line.startswith(" + six")]) == 1


@pytest.mark.usefixtures("installed")
def test_guess_that_cannot_be_installed_is_made_up_for(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Environments._fill

    def fill(self, *told, is_guess: bool) -> None:
        if is_guess:
            raise BuildFailed("the disk is full")
        real(self, *told, is_guess=is_guess)

    monkeypatch.setattr(Environments, "_fill", fill)
    guessed = Guessed(tmp_path, cache, monkeypatch)
    assert guessed.environments.install(guessed.lock, guessed.lines.append).is_new
    assert "is installed already" not in guessed.lines[-1]
    assert guessed.environments.lock(SIX, "", guessed.lines.append).digest == guessed.lock.digest
    assert "unchanged" in guessed.lines[-1]


def test_stop_ends_a_guess() -> None:
    stop = threading.Event()
    began = threading.Event()

    def work(guess: Guess) -> None:
        began.set()
        assert guess.stop.wait(30)
        raise Cancelled("the build was stopped")

    guess = Guess(work)
    assert began.wait(30)
    stop.set()
    with pytest.raises(Cancelled):
        guess.finish(stop)
    assert not guess.has_installed


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


@pytest.mark.parametrize(
    ("own", "wanted", "chosen"),
    [
        ("3.11.2", "3.11", "3.11.2"),
        ("3.11.2", "", "3.11.2"),
        ("3.11.2", "3.11.10", "3.11.10"),
        ("3.11.2", "3.12", "3.12.1"),
        ("3.13.0", "3.11", "3.11.10"),
        ("3.13.0", "", "3.12.1"),
    ],
)
def test_own_python_is_chosen_where_it_fits_else_the_newest_that_does(
    monkeypatch: pytest.MonkeyPatch, own: str, wanted: str, chosen: str
) -> None:
    monkeypatch.setattr("modelyard.parts.pythons.own_python", lambda: Python(version=own, path=Path(own)))
    there = [Python(version=version, path=Path(version)) for version in ("3.11.2", "3.12.1", "3.11.10", "3.1.0")]
    assert choose_python(wanted, there).version == chosen
