"""The tutorial, which is the published guide: every command run and every file written, in order, as a user would.

In an environment of its own, from wheels, with the newest published `clarifai` beside ours; against a real server, with
checkpoints from the local hub. Where the guide itself is at hand, nothing of it may be missing in the tutorial.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.examples import EXAMPLES, RUN_CACHE
from support.hub import Hub
from support.server import CACHE

ROOT = Path(__file__).parents[3]
TUTORIAL = ROOT / "docs" / "tutorial" / "model-upload.md"
GUIDE = ROOT.parent / "shared" / "guide" / "model-upload.md"
REPO = "meta-llama/Meta-Llama-3-8B-Instruct"
HUB_TOKEN = "hf_oFtHeGuIdE"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 170
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its marks (`exit=1`, `file=...`, `terminal=server`), its text."""

    language: str
    marks: dict[str, str]
    text: str


def read_blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text())
    return [Block(language, dict(re.findall(r"(\w+)=(\S+)", marks)), text) for language, marks, text in found]


@dataclass
class Reader:
    """Somebody who follows the tutorial in an empty folder, with two terminals."""

    folder: Path
    environ: dict[str, str]
    servers: list[subprocess.Popen[str]] = field(default_factory=list)
    written: set[str] = field(default_factory=set)

    def follow(self, block: Block) -> None:
        text = block.text
        if name := block.marks.get("file"):
            self._write(name, text, is_more=block.language == "yaml")
        elif block.marks.get("terminal"):
            self._start(text)
        elif block.language == "bash":
            self._run(text, wanted=int(block.marks.get("exit", "0")))
        else:
            assert block.language == "text", f"what should be done with a {block.language} block?"
            self.expect(text)

    def expect(self, text: str) -> None:
        """The page shows what the last command printed."""
        for line in text.splitlines():
            assert line in self.printed, f"{line!r} was not printed:\n{self.printed}"

    def _write(self, name: str, text: str, *, is_more: bool) -> None:
        path = self.folder / name
        before = path.read_text() + "\n" if is_more and name in self.written else ""
        path.write_text(before + text.replace("your_hf_token", HUB_TOKEN))
        self.written.add(name)

    def _start(self, command: str) -> None:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command.strip()} --port 0"],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready ")

    def _run(self, command: str, *, wanted: int) -> None:
        """In a shell that has the variables and the place of the last one."""
        keep = self.folder / ".shell"
        known = f". {keep}\n" if keep.exists() else ""
        token = self._read_token()
        script = f"set -e\n{known}{command.replace('YOUR_PERSONAL_ACCESS_TOKEN_HERE', token)}\nexport -p > {keep}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S * 2,
        )
        self.printed = done.stdout
        assert done.returncode == wanted, f"{command}\nexit code {done.returncode}, not {wanted}:\n{done.stdout}"

    def _read_token(self) -> str:
        path = Path(self.environ["MODELYARD_DATA_DIR"]) / "secrets" / "token"
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def reader(tmp_path: Path, hub: Hub) -> Iterator[Reader]:
    """With a new virtual environment, and a registry of packages that has this tree's wheels, too."""
    uv = Path(sys.executable).with_name("uv")
    wheels = tmp_path / "wheels"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLARIFAI_", "HF_", "PYTHON"))}
    environ |= {"UV_CACHE_DIR": str(CACHE / "uv")}
    for source in (ROOT, ROOT / "compat" / "clarifai"):
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", wheels, source], env=environ, check=True)
    subprocess.run(
        [uv, "venv", "--quiet", "--seed", "--python", sys.executable, tmp_path / "venv"], env=environ, check=True
    )
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
    hub.commit(REPO, {"config.json": b'{"architectures": ["LlamaForCausalLM"]}', "model.safetensors": b"tiny"})
    hub.tokens |= {HUB_TOKEN}
    hub.repos[REPO].accepted = frozenset({HUB_TOKEN})
    environ |= {
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "HOME": str(tmp_path),
        "HF_ENDPOINT": hub.url,
        "PIP_FIND_LINKS": f"{wheels} {environ.get('PIP_FIND_LINKS', '')}".strip(),
        "PIP_CACHE_DIR": str(CACHE / "pip"),
        "MODELYARD_DATA_DIR": str(tmp_path / "data"),
        "MODELYARD_CACHE_DIR": str(RUN_CACHE),
    }
    reader = Reader(tmp_path, environ)
    try:
        yield reader
    finally:
        for server in reader.servers:
            server.terminate()
            server.communicate(timeout=60)


def test_every_command_and_every_file_of_the_guide_works_in_order(reader: Reader) -> None:
    for block in read_blocks(TUTORIAL):
        reader.follow(block)


def read_guide() -> list[str]:
    """Blocks of the guide, without those that show its site's own markup, or a tree of files."""
    guide = GUIDE.read_text()
    commands = re.findall(r"^`(git clone [^`]*)`$", guide, re.MULTILINE)
    blocks = [block.text.strip() for block in read_blocks(GUIDE)]
    return [text for text in blocks if text not in commands and "├──" not in text]


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not at hand")
def test_nothing_of_the_guide_is_missing_in_the_tutorial() -> None:
    tutorial = "\n".join(block.text for block in read_blocks(TUTORIAL))
    wanted = [text.replace("<model_directory_path>", "your_model_directory") for text in read_guide()]
    assert len(wanted) > 6
    missing = [text for text in wanted if " ".join(text.split()) not in " ".join(tutorial.split())]
    assert missing == []
