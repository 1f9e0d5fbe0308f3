"""Who may have which files, and where a token may be seen."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.config.schema import CheckpointsInfo
from modelyard.errors import CheckpointsFailed
from modelyard.parts.hub.process import make_environment
from modelyard.parts.hub.tokens import choose_token, clean_token, hide_token
from support.checkpoints import REPO, Cache, make_weights
from support.hub import serve_hub

TOKEN = "hf_ThisIsTheSecretOfTheTest"
FILES = {"config.json": b"{}", "README.md": b"read me", "model.safetensors": make_weights(50_000)}


def test_a_private_repository_comes_with_a_token_and_the_hub_alone_sees_it(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, private={REPO: (TOKEN,)}, has_cdn=True) as hub:
        cache = Cache(tmp_path, hub.url)
        assert cache.contents(cache.fetch(token=TOKEN)) == FILES
        assert {one.authorization for one in hub.requests if not one.is_cdn} == {f"Bearer {TOKEN}"}
        assert {one.authorization for one in hub.requests if one.is_cdn} == {""}


def test_a_token_is_in_no_file_line_argument_or_variable(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, private={REPO: (TOKEN,)}) as hub:
        held = hub.hold("model.safetensors", after_bytes=10_000)
        cache = Cache(tmp_path, hub.url, HF_TOKEN="hf_NotThisOne")
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(cache.fetch, token=TOKEN)
            assert held.reached.wait(20)
            shown = _read_process_tables()
            held.release.set()
            fetching.result(20)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (TOKEN, "hf_NotThisOne"):
        assert secret not in cache.text
        assert secret.encode() not in kept
        assert secret.encode() not in shown
    assert "hf_" not in repr(cache.make_order(token=TOKEN))


def test_a_token_that_the_hub_repeats_is_hidden(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, tokens=(TOKEN,)) as hub:
        hub.fail("/api/models", status=418, times=9, x_error_message=f"who is {TOKEN}?")
        with pytest.raises(CheckpointsFailed) as caught:
            Cache(tmp_path, hub.url).fetch(token=TOKEN)
        assert "it says: who is [token]?" in caught.value.message
        assert TOKEN not in repr((caught.value.message, caught.value.hint, caught.value.details))


def test_a_crash_of_the_download_tells_no_token(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "unfinished").write_text("in the way")
    with serve_hub({REPO: FILES}) as hub, pytest.raises(CheckpointsFailed) as caught:
        Cache(tmp_path, hub.url).fetch(token=TOKEN)
    assert TOKEN not in str(caught.value) + caught.value.details


def test_the_environment_of_the_download_has_only_what_it_needs(tmp_path: Path) -> None:
    operator = {
        "HF_ENDPOINT": "http://hub.test", "HTTPS_PROXY": "http://proxy.test", "SSL_CERT_FILE": "certificates.pem",
        "PATH": "bin", "HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": TOKEN, "HOME": "home", "CLARIFAI_PAT": "pat",
        "HF_HOME": "elsewhere", "AWS_SECRET_ACCESS_KEY": "key", "NETRC": "netrc", "PYTHONSTARTUP": "x",
    }  # fmt: skip
    environment = make_environment(operator, tmp_path)
    assert {name: environment[name] for name in environment.keys() & operator.keys()} == {
        "HF_ENDPOINT": "http://hub.test", "HTTPS_PROXY": "http://proxy.test", "SSL_CERT_FILE": "certificates.pem",
        "PATH": "bin", "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "huggingface"),
    }  # fmt: skip
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"


def test_who_has_no_access_gets_nothing_out_of_the_cache(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, private={REPO: (TOKEN,)}, tokens=("hf_other_account",)) as hub:
        cache = Cache(tmp_path, hub.url)
        commit = cache.fetch(token=TOKEN).revision
        for token in ("", "hf_other_account"):
            for revision in ("", commit):
                with pytest.raises(CheckpointsFailed, match="or it is private"):
                    cache.fetch(token=token, revision=revision)
        assert cache.fetch(token=TOKEN, revision=commit).revision == commit
    for token in ("", "hf_other_account"):
        with pytest.raises(CheckpointsFailed, match="cannot be reached"):
            cache.fetch(token=token)
    assert cache.fetch(token=TOKEN).revision == commit


def test_a_gate_stays_shut_though_names_and_hashes_can_be_seen(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, gated={REPO: (TOKEN,)}, tokens=("hf_other_account",)) as hub:
        cache = Cache(tmp_path, hub.url)
        first = cache.fetch(token=TOKEN)
        for token in ("", "hf_other_account"):
            for revision in ("", first.revision):
                with pytest.raises(CheckpointsFailed, match="is gated, and"):
                    cache.fetch(token=token, revision=revision)
        assert cache.fetch(token=TOKEN) == first


def test_what_is_public_is_shared_whatever_the_token(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, tokens=(TOKEN,)) as hub:
        cache = Cache(tmp_path, hub.url)
        first = cache.fetch(token=TOKEN)
        hub.forget()
        assert cache.fetch(revision=first.revision) == first
        assert hub.requests == []


def test_one_repository_at_two_hubs_is_two_repositories(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}) as hub, serve_hub({REPO: {"config.json": b"[]"}}) as other:
        first = Cache(tmp_path, hub.url).fetch()
        second = Cache(tmp_path, other.url)
        assert second.contents(second.fetch()) == {"config.json": b"[]"}
        with pytest.raises(CheckpointsFailed, match="has no revision"):
            second.fetch(revision=first.revision)


@pytest.mark.parametrize(
    ("config", "environ", "chosen"),
    [
        ("hf_config", {"HF_TOKEN": "hf_environ"}, "hf_config"),
        (" hf_config\n", {}, "hf_config"),
        ("", {"HF_TOKEN": "hf_environ\n"}, "hf_environ"),
        ("your_hf_token", {"HF_TOKEN": "hf_environ"}, "hf_environ"),
        ("<YOUR_HF_TOKEN>", {}, ""),
        ("", {}, ""),
    ],
)
def test_a_token_comes_from_the_config_then_from_the_environment(
    config: str, environ: dict[str, str], chosen: str
) -> None:
    assert choose_token(CheckpointsInfo(type="huggingface", repo_id=REPO, hf_token=config), environ) == chosen


@pytest.mark.parametrize("token", ["hf_a b", "hf_a\r\nX-Evil: 1", "hf_ä", "hf_\0"])
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(CheckpointsFailed) as caught:
        clean_token(token)
    assert "blanks or characters that no token has" in caught.value.message
    assert "hf_a" not in str(caught.value)


def test_a_token_is_hidden_by_value() -> None:
    assert hide_token("a hf_x/y b hf_x%2Fy c", "hf_x/y") == "a [token] b [token] c"
    assert hide_token("nothing", "") == "nothing"


def test_the_quick_question_follows_no_redirect_with_a_token(tmp_path: Path) -> None:
    with serve_hub({REPO: FILES}, tokens=(TOKEN,)) as hub, serve_hub({REPO: FILES}, tokens=(TOKEN,)) as elsewhere:
        cache = Cache(tmp_path, hub.url)
        first = cache.fetch(token=TOKEN)
        hub.fail("/api/models", status=302, location=f"{elsewhere.url}/api/models/{REPO}/revision/main")
        assert cache.fetch(token=TOKEN) == first
        assert [one.authorization for one in elsewhere.requests] == []


def _read_process_tables() -> bytes:
    """Arguments and variables of all processes below this one, and its own arguments."""
    others = [path for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) != os.getpid()]
    shown = [_read(path / name) for path in others for name in ("cmdline", "environ")]
    assert any(b"modelyard.parts.hub.download" in one for one in shown)
    return b"".join(shown)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
