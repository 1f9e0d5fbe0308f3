"""A Hugging Face token in config.yaml: taken out before the file is kept, since a model sees its code."""

from __future__ import annotations

from dataclasses import replace

from modelyard.config.load import load_config
from modelyard.config.schema import FolderConfig
from modelyard.errors import InvalidConfig


def strip_hub_token(text: str) -> tuple[str, str]:
    """Take `checkpoints.hf_token` out of a config.yaml; everything else stays as the author typed it.

    Returns:
        The text without the token, and the token ("" where there was none).

    Raises:
        InvalidConfig: The config is wrong, or its token is written so that it cannot be taken out alone.
    """
    config = load_config(text).config
    token = config.checkpoints.hf_token if config.checkpoints else ""
    if not token:
        return text, ""
    for stripped in (_drop_from_its_line(text, token), text.replace(token, "")):
        if token not in stripped and _says_the_same(stripped, config):
            return stripped, token
    raise InvalidConfig(
        "config.yaml: checkpoints.hf_token cannot be taken out of the file without changing the rest",
        hint='write it once, on a line of its own: hf_token: "..."; or leave it out and set HF_TOKEN',
    )


def _drop_from_its_line(text: str, token: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line.replace(token, "") if "hf_token" in line else line for line in lines)


def _says_the_same(stripped: str, config: FolderConfig) -> bool:
    assert config.checkpoints is not None
    try:
        found = load_config(stripped).config
    except InvalidConfig:
        return False
    return found == replace(config, checkpoints=replace(config.checkpoints, hf_token=""))
