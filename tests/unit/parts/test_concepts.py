from __future__ import annotations

import json

import pytest

from modelyard.config.schema import ConceptInfo
from modelyard.errors import InvalidConfig
from modelyard.parts.concepts import infer_concepts


def infer(id2label: object) -> list[tuple[str, str]]:
    return [(one.id, one.name) for one in infer_concepts(json.dumps({"id2label": id2label}).encode())]


def test_concepts_are_sorted_by_number_not_by_text() -> None:
    assert infer({"10": "ten", "2": "two", "0": "zero"}) == [("0", "zero"), ("2", "two"), ("10", "ten")]


def test_concepts_are_what_config_yaml_would_have_said() -> None:
    assert infer_concepts(b'{"id2label": {"0": "cat"}}') == (ConceptInfo(id="0", name="cat"),)


def test_names_that_are_numbers_are_text() -> None:
    assert infer({"0": 7, "1": 1.5, "2": True}) == [("0", "7"), ("1", "1.5"), ("2", "true")]


def test_one_name_may_stand_for_several_numbers() -> None:
    assert infer({"0": "N/A", "1": "person", "2": "N/A"}) == [("0", "N/A"), ("1", "person"), ("2", "N/A")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "config.json cannot be read"),
        (b"\xff", "config.json cannot be read"),
        (b"[]", "config.json is a list, not a table of settings"),
        (b"{}", "config.json has no id2label"),
        (b'{"id2label": null}', "config.json has no id2label"),
        (b'{"id2label": ["cat"]}', "is a list, not a table number: name"),
        (b'{"id2label": {}}', "is empty"),
        (b'{"id2label": {"cat": 0}}', 'the key "cat" is not a whole number'),
        (b'{"id2label": {"-1": "cat"}}', 'the key "-1" is not a whole number'),
        (b'{"id2label": {"1": "cat", "01": "dog"}}', "the number 1 is there twice"),
        (b'{"id2label": {"0": ["cat"]}}', 'the label of 0 is ["cat"], not a name'),
        (b'{"id2label": {"0": " "}}', 'the label of 0 is " ", not a name'),
    ],
)
def test_nonsense_is_refused_with_the_rule_and_what_to_write(content: bytes, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        infer_concepts(content)
    assert said in caught.value.message
    assert "required where a model outputs them" in caught.value.message
    assert "`concepts:`" in caught.value.hint


def test_many_problems_are_told_at_once_but_not_all_of_them() -> None:
    with pytest.raises(InvalidConfig, match="and 3 more"):
        infer({f"x{number}": "a" for number in range(8)})
