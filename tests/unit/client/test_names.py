"""How a model is named."""

from __future__ import annotations

import pytest

from modelyard.client.names import ModelName, parse_model_name
from modelyard.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("m", ModelName(model_id="m")),
        ("m@3", ModelName(model_id="m", version="3")),
        ("a/m", ModelName(model_id="m", app_id="a")),
        ("u/a/m", ModelName(model_id="m", app_id="a", user_id="u")),
        ("u/a/m@abc", ModelName(model_id="m", app_id="a", user_id="u", version="abc")),
        ("https://host/u/a/models/m", ModelName(model_id="m", app_id="a", user_id="u")),
        ("http://host:1/u/a/models/m/versions/v", ModelName(model_id="m", app_id="a", user_id="u", version="v")),
        ("https://host/u/a/models/m/", ModelName(model_id="m", app_id="a", user_id="u")),
    ],
)
def test_every_form_is_read(text: str, name: ModelName) -> None:
    assert parse_model_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "@1", "/m", "a/", "u//m", "a/b/c/d", "https://host/u/a/m", "https://host", "http://[x/u/a/models/m"]
)
def test_what_names_no_model_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_model_name(text)
    assert "USER/APP/MODEL" in raised.value.hint


@pytest.mark.parametrize("text", ["m", "m@3", "a/m", "u/a/m@abc"])
def test_a_name_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_model_name(text)) == text
