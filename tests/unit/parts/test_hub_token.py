from __future__ import annotations

import pytest

from modelyard.config.load import load_config
from modelyard.errors import InvalidConfig
from modelyard.parts.hub_token import strip_hub_token

CONFIG = """\
model:
  id: m
  model_type_id: text-to-text
inference_compute_info: {{cpu_limit: "1", cpu_memory: 1Gi}}
checkpoints:
  type: huggingface   # the public hub
  repo_id: owner/name
{token}
"""
TOKEN = "hf_abcDEF123"


@pytest.mark.parametrize(
    "line",
    [
        f'  hf_token: "{TOKEN}"',
        f"  hf_token: '{TOKEN}' # Required for private models",
        f"  hf_token: {TOKEN}",
        f"  hf_token:\n    {TOKEN}",
        f"  'hf_token':   {TOKEN}\n# {TOKEN} was made for this",
    ],
)
def test_token_is_taken_out_and_the_rest_stays(line: str) -> None:
    text = CONFIG.format(token=line)
    stripped, token = strip_hub_token(text)
    assert token == TOKEN
    assert TOKEN not in stripped
    assert stripped == text.replace(TOKEN, "")
    config = load_config(stripped).config
    assert config.checkpoints is not None
    assert (config.checkpoints.repo_id, config.checkpoints.hf_token) == ("owner/name", "")


def test_config_without_a_token_is_returned_as_it_is() -> None:
    text = CONFIG.format(token="")
    assert strip_hub_token(text) == (text, "")


def test_token_that_is_also_another_value_leaves_that_value_alone() -> None:
    with pytest.raises(InvalidConfig, match="hf_token cannot be taken out"):
        strip_hub_token(CONFIG.format(token="  hf_token: owner"))


def test_escaped_token_is_refused_with_what_to_write() -> None:
    with pytest.raises(InvalidConfig) as refused:
        strip_hub_token(CONFIG.format(token='  hf_token: "hf_\\x61bc"'))
    assert "HF_TOKEN" in refused.value.hint
