"""What is said when it does not work. The real huggingface_hub asks a local hub, in this process."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from modelyard.parts.depot import Depot
from modelyard.parts.hub import transfer
from modelyard.parts.hub.errand import run_errand
from modelyard.parts.hub.failures import Place, clean_reason, explain
from modelyard.parts.hub.messages import Failed, Fetched, Order
from modelyard.parts.hub.sizes import show_size
from support.checkpoints import REPO, Cache, make_weights
from support.hub import Hub, serve_hub

FILES = {"config.json": b"{}", "model.safetensors": make_weights(50_000)}


@pytest.fixture(autouse=True)
def _no_connection_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    yield
    huggingface_hub.close_session()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub({REPO: FILES}, gated={}, tokens=("hf_account",)) as hub:
        yield hub


def run(folder: Path, hub: Hub, repo_id: str = REPO, **changes: object) -> Fetched | Failed:
    order = replace(Cache(folder, hub.url).make_order(repo_id), **changes)  # type: ignore[arg-type]
    return run_errand(order, hub.url, lambda _event: None)


def fail(folder: Path, hub: Hub, repo_id: str = REPO, **changes: object) -> Failed:
    outcome = run(folder, hub, repo_id, **changes)
    assert isinstance(outcome, Failed)
    return outcome


def test_a_missing_repository_may_be_a_private_one(tmp_path: Path, hub: Hub) -> None:
    failed = fail(tmp_path, hub, "owner/nope")
    assert failed.message == (
        f"checkpoints: there is no repository owner/nope at {hub.url}, or it is private and no token was given"
    )
    assert failed.hint.startswith("check repo_id in config.yaml; a private repository needs a token that may read it")
    failed = fail(tmp_path, hub, "owner/nope", token="hf_account")
    assert failed.message.endswith("or it is private and the account of the given token may not see it")


def test_a_gated_repository_says_whose_turn_it_is(tmp_path: Path, hub: Hub) -> None:
    hub.repos[REPO].accepted = frozenset()
    failed = fail(tmp_path, hub)
    assert failed.message == (
        "checkpoints: the repository owner/name (revision main) is gated, and no token was given: its files are for "
        "accounts that accepted its conditions"
    )
    assert f"accept the conditions at {hub.url}/owner/name, then give a token" in failed.hint
    failed = fail(tmp_path, hub, token="hf_account")
    assert "is gated, and the account of the given token may not have its files" in failed.message
    assert f"with that account accept the conditions at {hub.url}/owner/name" in failed.hint
    assert hub.sent_bytes() == 0


def test_a_bad_token_is_told_even_for_a_public_repository(tmp_path: Path, hub: Hub) -> None:
    failed = fail(tmp_path, hub, token="hf_expired")
    assert failed.message.startswith(f"checkpoints: {hub.url} refuses the given token (asked for owner/name")
    assert f"{hub.url}/settings/tokens" in failed.hint
    assert "hf_expired" not in repr(failed)


def test_an_unknown_revision_is_told_with_those_that_there_are(tmp_path: Path, hub: Hub) -> None:
    hub.commit(REPO, FILES, branch="fp16")
    failed = fail(tmp_path, hub, revision="fp61")
    assert failed.message == "checkpoints: the repository owner/name has no revision 'fp61'; it has main, fp16"
    assert "without `revision` it is main" in failed.hint


def test_patterns_that_leave_nothing_are_told_with_what_there_is(tmp_path: Path, hub: Hub) -> None:
    failed = fail(tmp_path, hub, allow=("*.bin", "*.pt"), ignore=("c*",))
    commit = hub.head(REPO)[:12]
    assert failed.message == (
        f"checkpoints: no file of owner/name (revision main, commit {commit}) is left by allowed_file_patterns: *.bin, "
        "*.pt and ignore_file_patterns: c*"
    )
    assert "it has config.json, model.safetensors" in failed.hint


def test_names_that_no_disk_should_have_are_refused(tmp_path: Path, hub: Hub) -> None:
    hub.commit(REPO, {"../outside.json": b"1", "Config.json": b"2", "config.json": b"3"})
    failed = fail(tmp_path, hub)
    assert "'../outside.json': a path may not contain" in failed.message
    assert "differ only in upper and lower case" in failed.message
    assert "ignore_file_patterns" in failed.hint


def test_hashes_that_are_none_are_refused(tmp_path: Path, hub: Hub) -> None:
    file = hub.repos[REPO].commits[hub.head(REPO)]["model.safetensors"]
    hub.repos[REPO].commits[hub.head(REPO)]["model.safetensors"] = replace(file, sha256="../../etc/passwd")
    assert "does not look like a model hub" in fail(tmp_path, hub).message


def test_too_little_room_is_told_before_anything_comes(tmp_path: Path, hub: Hub) -> None:
    hub.claimed_sizes["model.safetensors"] = 3 * 10**18
    failed = fail(tmp_path, hub)
    assert failed.message.startswith(
        "checkpoints: owner/name (revision main) needs 3.0 EB more on the disk, which has "
    )
    assert failed.message.endswith("free")
    assert "MODELYARD_CACHE_DIR" in failed.hint
    assert hub.downloads() == []


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(tmp_path: Path, hub: Hub) -> None:
    """A limit on the size of files stands in for a full disk: the same way of writing fails in the same place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        failed = fail(tmp_path, hub)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.message == (
        "checkpoints: the disk takes no file so large while model.safetensors of owner/name (revision main) is "
        "downloaded"
    )
    hub.forget()
    assert isinstance(run(tmp_path, hub), Fetched)
    assert hub.sent_bytes("model.safetensors") == 30_000


@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "no more quota for this user")]
)
def test_a_full_disk_is_told(code: int, said: str) -> None:
    place = Place(repo_id=REPO, revision="main", endpoint="http://hub.test", has_token=False, file="a.bin")
    failed = explain(OSError(code, os.strerror(code)), place)
    assert said in failed.message
    assert "a.bin of owner/name" in failed.message


def test_a_hub_that_cannot_be_reached_is_named(tmp_path: Path, hub: Hub) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        failed = run_errand(Cache(tmp_path, endpoint).make_order(), endpoint, lambda _event: None)
    assert isinstance(failed, Failed)
    assert failed.message.startswith(f"checkpoints: {endpoint} cannot be reached (asked for owner/name")
    assert "HF_ENDPOINT chooses another hub" in failed.hint
    assert failed.is_unreachable


def test_an_endpoint_that_is_no_address_is_told(tmp_path: Path) -> None:
    failed = run_errand(Cache(tmp_path, "hub").make_order(), "hub.test", lambda _event: None)
    assert isinstance(failed, Failed)
    assert "HF_ENDPOINT must be an address" in failed.hint


def test_a_proxy_that_cannot_be_used_is_told(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub.close_session()
    monkeypatch.setenv("ALL_PROXY", "carrier-pigeon://user:word@proxy.test")
    failed = fail(tmp_path, hub)
    assert f"{hub.url} cannot be reached" in failed.message
    assert "word" not in failed.message
    assert "proxy settings" in failed.hint


def test_something_else_at_the_endpoint_is_told(tmp_path: Path, hub: Hub) -> None:
    hub.fail("/api/models", status=200, times=9)
    failed = fail(tmp_path, hub)
    assert f"what answers at {hub.url} does not look like a model hub" in failed.message
    assert "HF_ENDPOINT" in failed.hint


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_trouble_that_passes_is_not_told(tmp_path: Path, hub: Hub, status: int) -> None:
    hub.fail("/api/models", status=status, times=2)
    hub.fail("/resolve/", status=status, times=2)
    assert isinstance(run(tmp_path, hub), Fetched)


@pytest.mark.parametrize("path", ["/api/models", "/resolve/"])
def test_trouble_that_stays_is_told(tmp_path: Path, hub: Hub, path: str) -> None:
    hub.fail(path, status=503, times=99)
    failed = fail(tmp_path, hub)
    assert f"{hub.url} has trouble (it answered 503 again and again)" in failed.message
    assert "owner/name (revision main)" in failed.message
    assert failed.is_unreachable
    assert len([one for one in hub.requests if one.status == 503]) <= 8


def test_being_asked_too_often_is_told_and_a_long_wait_is_not_waited(tmp_path: Path, hub: Hub) -> None:
    hub.fail("/api/models", status=429, times=99, retry_after="3600")
    failed = fail(tmp_path, hub)
    assert "it was asked too often (429)" in failed.message
    assert len(hub.requests) == 1


def test_connections_that_are_always_cut_are_told(tmp_path: Path, hub: Hub) -> None:
    hub.cut("model.safetensors", after_bytes=0, times=99)
    failed = fail(tmp_path, hub)
    assert "model.safetensors of owner/name (revision main)" in failed.message
    assert "kept" in failed.hint


def test_content_that_is_wrong_twice_is_told_with_both_hashes(tmp_path: Path, hub: Hub) -> None:
    hub.corrupt("model.safetensors", times=2)
    failed = fail(tmp_path, hub)
    file = hub.repos[REPO].commits[hub.head(REPO)]["model.safetensors"]
    assert "model.safetensors of owner/name (revision main) arrived twice with other content" in failed.message
    assert f"expected {file.sha256}, found " in failed.message
    assert isinstance(run(tmp_path, hub), Fetched)


def test_a_file_that_is_longer_than_listed_is_not_taken(tmp_path: Path, hub: Hub) -> None:
    hub.claimed_sizes["model.safetensors"] = 10_000
    assert "arrived twice with other content" in fail(tmp_path, hub).message


def test_a_forbidding_hub_is_quoted(tmp_path: Path, hub: Hub) -> None:
    hub.fail("/resolve/", status=403, times=9, x_error_message="Forbidden: no read access")
    failed = fail(tmp_path, hub, token="hf_account")
    assert "it says: Forbidden: no read access" in failed.message
    assert "the token must be allowed to read the contents of owner/name" in failed.hint


def test_the_first_failure_ends_the_other_downloads(tmp_path: Path, hub: Hub) -> None:
    hub.commit(REPO, {f"{number}.safetensors": make_weights(300_000, number) for number in range(12)})
    hub.fail("0.safetensors", status=404, times=9, x_error_code="EntryNotFound")
    for number in range(1, 9):
        hub.slow(f"{number}.safetensors", wait_s=0.05)
    failed = fail(tmp_path, hub)
    assert failed.message.startswith("checkpoints: the hub lists ")
    assert hub.sent_bytes() < 12 * 300_000


def test_a_hub_that_leaves_sizes_out_is_asked_for_its_tree(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.page_entries = 2
    hub.commit(REPO, {**FILES, "a/b/c.txt": b"c", "a/d.txt": b"d"})
    monkeypatch.setattr(hub, "tells_blobs", False)
    outcome = run(tmp_path, hub)
    assert isinstance(outcome, Fetched)
    assert [file.path for file in outcome.files] == ["a/b/c.txt", "a/d.txt", "config.json", "model.safetensors"]


def test_files_above_the_limit_of_plain_http_go_through_huggingface_hub_itself(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PLAIN_LIMIT_BYTES", 40_000)
    outcome = run(tmp_path, hub)
    assert isinstance(outcome, Fetched)
    assert Depot(tmp_path / "depot").read(outcome.files[1].digest) == FILES["model.safetensors"]
    assert [one.path.rpartition("/")[2] for one in hub.requests if one.method == "HEAD"] == ["model.safetensors"]
    assert list((tmp_path / "work").glob("huge-*")) == list((tmp_path / "work" / "unfinished").iterdir()) == []


def test_secrets_in_addresses_are_not_repeated() -> None:
    said = clean_reason("\n cannot open http://user:word@proxy.test/x?signature=abc, gone\nmore")
    assert said == "cannot open http://proxy.test/x gone"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (346_293_852, "346 MB"), (10**10, "10.0 GB"),
     (999_960, "1.0 MB")],
)  # fmt: skip
def test_sizes_are_shown_as_hubs_show_them(size: int, shown: str) -> None:
    assert show_size(size) == shown


def test_an_order_survives_its_line() -> None:
    order = Order(
        repo_id=REPO, revision="main", token="hf_x", allow=("a",), ignore=(), depot="d", work="w", known_commit="c"
    )
    assert Order.from_line(order.to_line()) == order
