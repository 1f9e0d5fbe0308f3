"""The first start makes a user and a token; later starts find them; SIGTERM ends it with 0."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.server import V2, running_server


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with running_server(tmp_path / "data"):
        for name in ("token", "pepper"):
            mode = stat.S_IMODE((tmp_path / "data" / "secrets" / name).stat().st_mode)
            assert mode == 0o600, name
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_token_and_user_survive_a_restart_and_sigterm_exits_with_0(tmp_path: Path) -> None:
    with running_server(tmp_path, "--user-id", "ada") as first:
        token = first.token
        assert first.stop() == 0
    with running_server(tmp_path) as second:
        assert (second.token, second.user_id) == (token, "ada")
        with V2(second) as v2:
            request = service_pb2.GetUserRequest(user_app_id=resources_pb2.UserAppIDSet(user_id="me"))
            answer = v2.call("GetUser", request)
            assert answer.status.code == codes.SUCCESS
            assert answer.user.id == "ada"


def test_env_prints_exports_that_a_shell_takes(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        exports = run_command("env", "--data-dir", str(tmp_path)).stdout
        shell = subprocess.run(
            ["bash", "-c", f'{exports}\nprintf "%s|%s" "$CLARIFAI_API_BASE" "$CLARIFAI_PAT"'],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert shell.stdout == f"{server.url}|{server.token}"


def test_env_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    done = run_command("env", "--data-dir", str(tmp_path))
    assert done.returncode != 0
    assert "modelyard up" in done.stderr


def test_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path):
        done = run_command("up", "--port", "0", "--data-dir", str(tmp_path))
        assert done.returncode != 0
        assert "another server uses the data directory" in done.stderr


def test_port_in_use_is_named(tmp_path: Path) -> None:
    with running_server(tmp_path / "a") as server:
        port = server.address.rpartition(":")[2]
        done = run_command("up", "--port", port, "--data-dir", str(tmp_path / "b"))
        assert done.returncode != 0
        assert f"port {port} is in use" in done.stderr


def test_address_beyond_the_loopback_is_refused(tmp_path: Path) -> None:
    done = run_command("up", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path))
    assert done.returncode != 0
    assert "loopback" in done.stderr
