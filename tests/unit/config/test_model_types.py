from __future__ import annotations

import pytest

from modelyard.config.identifiers import is_valid_id
from modelyard.config.model_types import MODEL_TYPES
from modelyard.wire.messages import Data


def test_the_guides_types_are_there():
    assert {"image-classifier", "text-to-text", "image-detector", "audio-to-text"} <= set(MODEL_TYPES)


def test_every_id_is_a_valid_id_and_its_own_key():
    assert all(key == info.id and is_valid_id(key) for key, info in MODEL_TYPES.items())


@pytest.mark.parametrize("info", MODEL_TYPES.values(), ids=lambda info: info.id)
def test_every_path_leads_into_the_v2_data_message(info):
    assert info.input_fields
    assert info.output_fields
    assert info.title
    assert info.description.endswith(".")
    for path in (*info.input_fields, *info.output_fields):
        descriptor = Data.DESCRIPTOR
        for name in path.replace("[...]", "").split("."):
            descriptor = descriptor.fields_by_name[name].message_type


@pytest.mark.parametrize(
    "type_id", ["visual-classifier", "visual-detector", "visual-segmenter", "text-classifier", "visual-keypointer"]
)
def test_the_types_for_which_published_clients_ask_concepts_need_them(type_id: str):
    assert MODEL_TYPES[type_id].needs_concepts


def test_types_without_concepts_in_their_outputs_need_none():
    assert not MODEL_TYPES["text-to-text"].needs_concepts
    assert not MODEL_TYPES["audio-to-text"].needs_concepts


@pytest.mark.parametrize("text", ["model_id", "gpt-4.1", "a", "7b", "_x", "A" * 48])
def test_public_ids_are_valid(text: str):
    assert is_valid_id(text)


@pytest.mark.parametrize("text", ["", ".", "..", "-x", "a b", "a/b", "é", "a\n", "A" * 49, "../x"])
def test_anything_else_is_not(text: str):
    assert not is_valid_id(text)
