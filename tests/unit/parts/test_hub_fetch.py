from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import Cancelled, CheckpointsFailed
from modelyard.parts.hub.process import make_environment
from support.checkpoints import REPO, Cache, make_weights
from support.hub import serve_hub

WEIGHTS = make_weights(900_000)
FILES = {"config.json": b'{"a": 1}', "tokenizer/vocab.txt": b"a b c", "model.safetensors": WEIGHTS}


def test_a_repository_is_fetched_at_the_commit_of_its_branch(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, has_cdn=True) as hub:
        cache = Cache(tmp_path, hub.url)
        checkpoint = cache.fetch()
        assert checkpoint.revision == hub.head(REPO)
        assert [entry.path for entry in checkpoint.part.files] == [
            "1/checkpoints/config.json", "1/checkpoints/model.safetensors", "1/checkpoints/tokenizer/vocab.txt",
        ]  # fmt: skip
        assert cache.contents(checkpoint) == FILES
        assert cache.checkpoints.read(checkpoint, "1/checkpoints/config.json") == FILES["config.json"]
        assert cache.checkpoints.read(checkpoint.part, "1/checkpoints/config.json") == FILES["config.json"]
        assert f"main is commit {hub.head(REPO)}, 3 files, 900 kB, 900 kB to download" in cache.text


def test_a_branch_is_looked_up_again_and_nothing_is_downloaded_twice(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        first = Cache(tmp_path, hub.url).fetch()
        hub.forget()
        cache = Cache(tmp_path, hub.url)
        assert cache.fetch() == first
        assert [(one.method, one.path) for one in hub.requests] == [("GET", f"/api/models/{REPO}/revision/main")]
        assert "all of it is here" in cache.text


def test_a_commit_that_is_here_needs_no_hub(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        first = Cache(tmp_path, hub.url).fetch()
        hub.forget()
        assert Cache(tmp_path, hub.url).fetch(revision=first.revision) == first
        assert hub.requests == []
    assert Cache(tmp_path, hub.url).fetch(revision=first.revision) == first


def test_a_branch_that_moved_brings_its_new_files_only(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        cache = Cache(tmp_path, hub.url)
        first = cache.fetch()
        commit = hub.commit(REPO, {**FILES, "config.json": b'{"a": 2}'})
        hub.forget()
        second = cache.fetch()
        assert (second.revision, second == first) == (commit, False)
        assert hub.sent_bytes() == len(b'{"a": 2}')
        assert cache.fetch(revision=first.revision) == first


def test_two_models_share_their_files(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES, "other/copy": {**FILES, "README.md": b"mine"}}) as hub:
        cache = Cache(tmp_path, hub.url)
        cache.fetch()
        hub.forget()
        copy = cache.fetch("other/copy")
        assert hub.sent_bytes() == len(b"mine")
        assert cache.contents(copy) == {**FILES, "README.md": b"mine"}


def test_one_content_under_two_names_comes_once(tmp_path: Path) -> None:
    with serve_hub({REPO: {"a.safetensors": WEIGHTS, "b/c.safetensors": WEIGHTS}}) as hub:
        checkpoint = Cache(tmp_path, hub.url).fetch()
        assert len(checkpoint.part.files) == 2
        assert hub.sent_bytes() == len(WEIGHTS)


def test_a_cut_connection_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, has_cdn=True) as hub:
        hub.cut("model.safetensors", after_bytes=300_000)
        hub.cut("model.safetensors", after_bytes=200_000)
        cache = Cache(tmp_path, hub.url)
        assert cache.contents(cache.fetch()) == FILES
        ranges = [one.byte_range for one in hub.downloads("model.safetensors") if one.is_cdn]
        assert ranges == ["", "bytes=300000-", "bytes=500000-"]
        assert hub.sent_bytes("model.safetensors") == len(WEIGHTS)


def test_a_mirror_that_cannot_go_on_begins_anew(tmp_path: Path) -> None:
    told: list[int] = []
    with serve_hub({REPO: FILES}) as hub:
        hub.has_ranges = False
        hub.cut("model.safetensors", after_bytes=300_000)
        cache = Cache(tmp_path, hub.url)
        assert cache.contents(cache.fetch(progress=lambda done, _total, _file: told.append(done))) == FILES
        assert hub.sent_bytes("model.safetensors") == 300_000 + len(WEIGHTS)
    assert told[-1] == sum(map(len, FILES.values()))


def test_a_killed_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        held = hub.hold("model.safetensors", after_bytes=500_000)
        cache = Cache(tmp_path, hub.url)
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(cache.fetch)
            assert held.reached.wait(20)
            unfinished = _wait_for_bytes(tmp_path, 400_000)
            os.kill(_find_child(), signal.SIGKILL)
            with pytest.raises(CheckpointsFailed, match="was killed by signal 9"):
                fetching.result(20)
        held.release.set()
        hub.forget()
        assert cache.contents(cache.fetch()) == FILES
        assert hub.sent_bytes("model.safetensors") == len(WEIGHTS) - unfinished


def test_a_stopped_download_ends_and_goes_on_later(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        held = hub.hold("model.safetensors", after_bytes=500_000)
        cache = Cache(tmp_path, hub.url)
        stop = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(cache.fetch, stop=stop)
            assert held.reached.wait(20)
            _wait_for_bytes(tmp_path, 400_000)
            stop.set()
            with pytest.raises(Cancelled, match="what has come is kept"):
                fetching.result(20)
        held.release.set()
        hub.forget()
        assert cache.contents(cache.fetch()) == FILES
        assert hub.sent_bytes("model.safetensors") < len(WEIGHTS)


def test_files_come_several_at_once(tmp_path: Path) -> None:
    files = {f"part-{number}.safetensors": make_weights(5_000, number) for number in range(4)}
    with serve_hub({REPO: files}) as hub:
        held = [hub.hold(path, after_bytes=2_000) for path in files]
        cache = Cache(tmp_path, hub.url)
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(cache.fetch)
            assert all(one.reached.wait(20) for one in held)
            for one in held:
                one.release.set()
            assert cache.contents(fetching.result(20)) == files


def test_two_processes_fetch_the_same_file_once(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        held = hub.hold("model.safetensors", after_bytes=500_000)
        first, second = Cache(tmp_path, hub.url), Cache(tmp_path, hub.url)
        with ThreadPoolExecutor(2) as pool:
            fetching = [pool.submit(first.fetch)]
            assert held.reached.wait(20)
            waiting = threading.Event()
            second.lines = _Watched("Waiting for another download of model.safetensors", waiting)
            fetching.append(pool.submit(second.fetch))
            assert waiting.wait(20)
            held.release.set()
            assert len({one.result(20) for one in fetching}) == 1
        assert hub.sent_bytes("model.safetensors") == len(WEIGHTS)


def test_corrupt_content_is_fetched_once_more(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        hub.corrupt("model.safetensors")
        hub.corrupt("config.json")
        cache = Cache(tmp_path, hub.url)
        assert cache.contents(cache.fetch()) == FILES
        assert "Warning: model.safetensors arrived with other content than the hub lists; once more" in cache.lines
        assert "Warning: config.json arrived with other content than the hub lists; once more" in cache.lines


def test_a_file_that_was_changed_in_the_depot_is_fetched_anew(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        cache = Cache(tmp_path, hub.url)
        first = cache.fetch()
        damaged = cache.depot.path_of(first.part.files[1].digest)
        damaged.chmod(0o644)
        damaged.write_bytes(b"\0" + WEIGHTS[1:])
        hub.forget()
        assert cache.contents(cache.fetch()) == FILES
        assert hub.sent_bytes() == len(WEIGHTS)


def test_progress_grows_to_the_whole(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    with serve_hub({REPO: FILES}) as hub:
        hub.cut("model.safetensors", after_bytes=100_000)
        Cache(tmp_path, hub.url).fetch(progress=lambda done, total, file: told.append((done, total, file)))
    size = sum(map(len, FILES.values()))
    assert told[0] == (0, size, "")
    assert told[-1][:2] == (size, size)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {file for _, _, file in told[1:]} <= set(FILES)


def test_patterns_choose_the_files(tmp_path: Path) -> None:
    with serve_hub({REPO: {**FILES, "pytorch_model.bin": b"old"}}) as hub:
        cache = Cache(tmp_path, hub.url)
        assert set(cache.contents(cache.fetch(allow=("*.bin", "*.json")))) == {"config.json", "pytorch_model.bin"}
        assert set(cache.contents(cache.fetch(ignore=("tokenizer/",)))) == {"config.json", "model.safetensors"}
        assert (
            "Left out, because the repository has its weights as safetensors (3 bytes): pytorch_model.bin" in cache.text
        )


def test_pickled_weights_are_warned_about(tmp_path: Path) -> None:
    with serve_hub({REPO: {"config.json": b"{}", "pytorch_model.bin": b"old"}}) as hub:
        cache = Cache(tmp_path, hub.url)
        cache.fetch()
        assert "Warning: owner/name has no safetensors, only pickled weights (pytorch_model.bin)" in cache.text


def test_a_branch_works_without_a_network_once_its_commit_is_here(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        first = Cache(tmp_path, hub.url).fetch()
    cache = Cache(tmp_path, hub.url)
    assert cache.fetch() == first
    assert f"Warning: checkpoints: {hub.url} cannot be reached (asked for owner/name (revision main))" in cache.lines[0]
    assert cache.lines[1].startswith("Warning: going on with the last known commit of main. Checkpoints of owner/name")
    with pytest.raises(CheckpointsFailed, match="cannot be reached"):
        cache.fetch(revision="dev")


def test_offline_mode_asks_nobody(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        first = Cache(tmp_path, hub.url).fetch()
        hub.forget()
        cache = Cache(tmp_path, hub.url, HF_HUB_OFFLINE="1")
        assert cache.fetch() == first
        assert cache.fetch(revision=first.revision) == first
        with pytest.raises(CheckpointsFailed, match="HF_HUB_OFFLINE is set"):
            cache.fetch("owner/other")
        assert hub.requests == []


def test_a_renamed_repository_is_followed_and_told(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        hub.moved["old/name"] = REPO
        cache = Cache(tmp_path, hub.url)
        assert cache.contents(cache.fetch("old/name")) == FILES
        assert "The hub says that old/name is called owner/name now" in cache.text


def test_the_download_ends_with_who_started_it(tmp_path: Path) -> None:
    """Its standard input closes when its parent dies."""
    with serve_hub({REPO: FILES}) as hub:
        held = hub.hold("model.safetensors", after_bytes=500_000)
        cache = Cache(tmp_path, hub.url)
        child = subprocess.Popen(
            [sys.executable, "-m", "modelyard.parts.hub.download"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=make_environment(cache.environ, tmp_path / "home"),
        )
        with child:
            assert child.stdin is not None
            child.stdin.write(cache.make_order().to_line().encode() + b"\n")
            child.stdin.flush()
            assert held.reached.wait(20)
            child.stdin.close()
            assert child.wait(20) == 1


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub:
        cache = Cache(tmp_path, hub.url)
        (tmp_path / "work" / "records").rename(tmp_path / "away")
        with pytest.raises(CheckpointsFailed, match="owner/name cannot be kept on this machine: No such file"):
            cache.fetch()


def test_who_asks_does_not_import_the_hubs_library() -> None:
    code = "import sys, modelyard.parts.weights; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Watched(list[str]):
    """Lines of a log; says when one of them is there."""

    def __init__(self, line: str, seen: threading.Event) -> None:
        super().__init__()
        self._line = line
        self._seen = seen

    def append(self, line: str) -> None:
        super().append(line)
        if line == self._line:
            self._seen.set()


def _wait_for_bytes(folder: Path, count: int) -> int:
    """Wait until an unfinished file has so many bytes; returns how many it has when it grows no more."""
    pause = threading.Event()
    last = -1
    for _ in range(2000):
        sizes = [path.stat().st_size for path in (folder / "work" / "unfinished").iterdir()]
        if sizes and max(sizes) >= count and max(sizes) == last:
            return last
        last = max(sizes, default=0)
        pause.wait(0.02)
    raise AssertionError("the download does not grow")


def _find_child() -> int:
    for path in Path("/proc").iterdir():
        try:
            arguments = (path / "cmdline").read_bytes() if path.name.isdigit() else b""
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1] if arguments else ""
        except OSError:
            continue
        if b"modelyard.parts.hub.download" in arguments and int(parent) == os.getpid():
            return int(path.name)
    raise AssertionError("there is no download process")
