"""How a worker is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.parts.launch import Launch, make_launch, stage_runtime

OPERATOR = {
    "CLARIFAI_PAT": "secret",
    "HF_TOKEN": "secret",
    "CUDA_VISIBLE_DEVICES": "1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "LD_LIBRARY_PATH": "/cuda/lib",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/operator",
}


def launch(tmp_path: Path, python: Path = Path("/env/bin/python")) -> Launch:
    (tmp_path / "run").mkdir(exist_ok=True)
    return make_launch(
        python=python,
        runtime=tmp_path / "runtime",
        folder=tmp_path / "model",
        socket=tmp_path / "run" / "s.sock",
        threads=3,
        replica_id="r1",
        environ=OPERATOR,
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage_runtime(tmp_path_factory.mktemp("staged"))


def test_only_the_rooms_that_travel_are_staged(runtime: Path) -> None:
    assert sorted(path.name for path in runtime.iterdir()) == ["clarifai", "modelyard"]
    rooms = {path.name for path in (runtime / "modelyard").iterdir()}
    assert rooms == {"__init__.py", "py.typed", "errors.py", "data", "sdk", "wire", "worker"}
    assert not list(runtime.rglob("__pycache__"))


def test_staging_again_finds_the_same_folder(runtime: Path) -> None:
    inode = runtime.stat().st_ino
    assert stage_runtime(runtime.parent) == runtime
    assert runtime.stat().st_ino == inode
    assert [path.name for path in runtime.parent.iterdir()] == [runtime.name]


def test_staged_code_imports_alone(runtime: Path) -> None:
    code = "import modelyard, clarifai; print(modelyard.__file__); print(clarifai.__file__)"
    env = {"PYTHONPATH": str(runtime), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert all(line.startswith(str(runtime)) for line in done.stdout.splitlines())


def test_arguments_name_what_the_worker_needs(tmp_path: Path) -> None:
    made = launch(tmp_path)
    assert made.argv == [
        "/env/bin/python", "-X", "faulthandler", "-m", "modelyard.worker",
        "--socket", str(tmp_path / "run" / "s.sock"), "--folder", str(tmp_path / "model"),
        "--threads", "3", "--replica", "r1",
    ]  # fmt: skip
    assert made.cwd == tmp_path / "model"


def test_files_of_the_model_do_not_shadow_modules_where_python_can_prevent_it(tmp_path: Path) -> None:
    for version, has_option in (("3.10.13", False), ("3.11.7", True), ("3.13.0", True)):
        (tmp_path / "pyvenv.cfg").write_text(f"home = /x\nversion_info = {version}\n")
        assert ("-P" in launch(tmp_path, tmp_path / "bin" / "python").argv) is has_option


def test_variables_are_few_and_without_secrets(tmp_path: Path) -> None:
    env = launch(tmp_path).env
    assert "secret" not in env.values()
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["PYTHONPATH"] == str(tmp_path / "runtime")
    assert env["PATH"].startswith("/env/bin:")
    assert (env["CUDA_VISIBLE_DEVICES"], env["NVIDIA_VISIBLE_DEVICES"]) == ("1", "all")
    assert (env["LD_LIBRARY_PATH"], env["PYTHONUNBUFFERED"]) == ("/cuda/lib", "1")
    assert env["MALLOC_MMAP_THRESHOLD_"] == "268435456"


def test_home_is_a_private_scratch_folder(tmp_path: Path) -> None:
    home = Path(launch(tmp_path).env["HOME"])
    assert home.parent == tmp_path / "run"
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("accelerators", "seen"),
    [(None, "3"), ((), ""), (("GPU-1", "GPU-2"), "GPU-1,GPU-2")],
    ids=["as-we-do", "none", "two"],
)
def test_a_replica_sees_the_accelerators_that_are_its_own(
    tmp_path: Path, accelerators: tuple[str, ...] | None, seen: str
) -> None:
    launch = make_launch(
        python=Path("python"),
        runtime=tmp_path,
        folder=tmp_path,
        socket=tmp_path / "link",
        threads=1,
        replica_id="r1",
        accelerators=accelerators,
        environ={"CUDA_VISIBLE_DEVICES": "3", "HIP_VISIBLE_DEVICES": "0"},
    )
    assert launch.env["CUDA_VISIBLE_DEVICES"] == seen
    assert launch.env["HIP_VISIBLE_DEVICES"] == ("" if accelerators == () else "0")
