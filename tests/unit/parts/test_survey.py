"""What an upload would send, what stays here, and what had better not be sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.parts import survey as room
from modelyard.parts.survey import survey_folder

PUBLIC = "-----BEGIN PUBLIC KEY-----\nxx\n"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n"


def put(folder: Path, name: str, text: str = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def warn(folder: Path) -> str:
    return "\n".join(survey_folder(folder).warnings)


def test_sizes_and_parts(tmp_path: Path) -> None:
    put(tmp_path, "1/model.py", "four")
    put(tmp_path, "1/checkpoints/w.bin", "123456")
    put(tmp_path, "Dockerfile")
    put(tmp_path, ".git/config")
    survey = survey_folder(tmp_path)
    assert [(one.path, one.part) for one in survey.files] == [
        ("1/checkpoints/w.bin", "weights"),
        ("1/model.py", "code"),
    ]
    assert survey.size_bytes == 10
    assert [path for path, _ in survey.ignored] == [".git/", "Dockerfile"]
    assert survey.warnings == ()


@pytest.mark.parametrize(
    "name",
    [
        "id_ed25519",
        "keys/server.pem",
        "prod.env",
        "1/credentials.json",
        ".aws/config",
        "my-service-account-1.json",
        ".NETRC",
    ],
)
def test_secrets_are_known_by_their_names(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert f"{name} looks like a secret by its name, and would be sent" in warn(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"token = 'hf_{'a' * 34}'", "a Hugging Face token"),
        ("AKIA" + "A" * 16, "an AWS access key"),
        ("ghp_" + "a" * 36, "a GitHub token"),
        (PRIVATE, "a private key"),
        (PRIVATE + PUBLIC, "a private key"),
    ],
)
def test_secrets_are_known_by_what_is_in_a_file(tmp_path: Path, text: str, what: str) -> None:
    put(tmp_path, "1/settings.py", text)
    assert f"1/settings.py seems to have {what} in it" in warn(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ca.pem", PUBLIC),
        ("1/model.py", "hf_token = read()"),
        ("tokens.txt", "sk-learn"),
        ("config.yaml", "hf_" + "a" * 34),
    ],
)
def test_what_is_nobodys_secret_is_not_mentioned(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, name, text)
    assert warn(tmp_path) == ""


def test_a_secret_that_is_ignored_is_none(tmp_path: Path) -> None:
    put(tmp_path, "id_rsa")
    put(tmp_path, ".modelyardignore", "id_*\n")
    assert warn(tmp_path) == ""


def test_large_files_belong_to_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGE_BYTES", 10)
    put(tmp_path, "1/weights.npz", "x" * 10)
    put(tmp_path, "1/checkpoints/w.npz", "x" * 100)
    assert warn(tmp_path).splitlines() == [
        (
            "1/weights.npz has 10 bytes, and every upload sends it as code: move it to 1/checkpoints, or name it in "
            ".modelyardignore"
        )
    ]
