"""What is certain is mended in the text itself: comments, order and blank lines stay."""

from __future__ import annotations

from textwrap import dedent

import pytest

from modelyard.config.load import find_problems, load_config
from modelyard.config.mend import mend_config

MODEL = "model:\n  id: m\n  model_type_id: text-to-text\n"


def check_mended(given: str, wanted: str) -> None:
    mended = mend_config(dedent(given))
    assert mended == dedent(wanted)
    assert mend_config(mended) == mended


def test_a_config_that_is_right_stays_as_it_is():
    text = (
        "# mine\n\n" + MODEL + "inference_compute_info: {cpu_limit: '1', cpu_memory: 1Gi} # enough\n"
        "concepts:\n- id: 'a'   # first\n  name: b\n"
    )
    assert mend_config(text) == text


def test_every_kind_of_slip_at_once_with_comments_and_order_kept():
    check_mended(
        """\
        # My model.
        modle:               # which one
          id: leaf-classifier
          model-type-id: image_classifer   # what it does
          user_id: me

        inference_compute_info:
          cpu_limit: 2 cores
          cpu_memory: 13GB   # plenty
          accelerator_type: NVIDIA-A10G

        build_info:
          python_version: 3.10

        concepts:
          - id: 0
            name: no   # a word
        """,
        """\
        # My model.
        model:               # which one
          id: leaf-classifier
          model_type_id: "image-classifier"   # what it does
          user_id: me

        inference_compute_info:
          cpu_limit: "2"
          cpu_memory: "13Gi"   # plenty
          accelerator_type: ["NVIDIA-A10G"]

        build_info:
          python_version: "3.10"

        concepts:
          - id: "0"
            name: "no"   # a word
        """,
    )


def test_tabs_and_wide_spaces_become_indentation():
    check_mended("model:\n\tid: m\n\tmodel_type_id: text-to-text\n", MODEL)
    check_mended("model:\n\u00a0\u00a0id: m\n\u00a0\u00a0model_type_id: text-to-text\n", MODEL)


def test_line_ends_of_other_systems_become_ours():
    check_mended(MODEL.replace("\n", "\r\n"), MODEL)
    check_mended(MODEL.replace("\n", "\r"), MODEL)


def test_a_key_in_the_wrong_section_moves_to_its_home_with_its_comment():
    check_mended(
        """\
        cpu_memory: 1Gi  # small
        model:
          id: m
          model_type_id: text-to-text
          num_threads: 4
          python_version: "3.12"
        inference_compute_info:
            cpu_limit: "1"

            # the end of it
        """,
        """\
        model:
          id: m
          model_type_id: text-to-text
        inference_compute_info:
            cpu_limit: "1"
            cpu_memory: 1Gi  # small

            # the end of it
        num_threads: 4

        build_info:
          python_version: "3.12"
        """,
    )


def test_a_list_moves_as_a_whole():
    check_mended(
        """\
        accelerator_type:
        - NVIDIA-A10G
        # the other one
        - NVIDIA-L4
        model:
          id: m
          model_type_id: text-to-text
        inference_compute_info:
          cpu_limit: "1\"""",
        """\
        model:
          id: m
          model_type_id: text-to-text
        inference_compute_info:
          cpu_limit: "1"
          accelerator_type:
          - NVIDIA-A10G
          # the other one
          - NVIDIA-L4
        """,
    )


@pytest.mark.parametrize(
    "text",
    [
        MODEL + "inference_compute_info: {cpu_limit: '1'}\ncpu_memory: 1Gi\n",
        MODEL + "inference_compute_info:\n  cpu_memory: 2Gi\ncpu_memory: 1Gi\n",
        "model: {id: m, model_type_id: text-to-text, cpu_memory: 1Gi}\n",
        MODEL + "inference_compute_info: none\ncpu_memory: 1Gi\n",
    ],
)
def test_a_key_that_cannot_be_moved_for_certain_stays(text: str):
    assert mend_config(text) == text


def test_a_key_that_says_the_same_twice_is_kept_once():
    check_mended(MODEL + "num_threads: 4  # a\nnum_threads: 4  # b\n", MODEL + "num_threads: 4  # a\n")


@pytest.mark.parametrize(
    "text", [MODEL + "num_threads: 4\nnum_threads: 5\n", "model: {id: m, id: m, model_type_id: text-to-text}\n"]
)
def test_a_key_that_says_something_else_the_second_time_is_left_to_the_author(text: str):
    assert mend_config(text) == text


def test_a_slip_is_not_mended_into_a_key_that_is_there():
    text = MODEL + "num_threads: 4\nnum_thread: 5\n"
    assert mend_config(text) == text


@pytest.mark.parametrize("type_id", ["my-model-type", "audio", "visual-classifier-2000"])
def test_a_model_type_that_may_be_another_one_stays(type_id: str):
    text = MODEL.replace("text-to-text", type_id)
    assert mend_config(text) == text


@pytest.mark.parametrize(
    ("given", "wanted"), [("Image Classifier", "image-classifier"), ("TEXT_TO_TEXT", "text-to-text")]
)
def test_another_spelling_of_a_model_type_is_mended(given: str, wanted: str):
    concepts = "concepts:\n- id: a\n  name: b\n"
    mended = mend_config(MODEL.replace("text-to-text", given) + concepts)
    assert f'model_type_id: "{wanted}"\n' in mended


def test_quotes_of_word_processors_are_replaced():
    check_mended(MODEL.replace("id: m\n", "id: \u201cm\u201d\n", 1), MODEL.replace("id: m\n", 'id: "m"\n', 1))


def test_quotes_of_a_value_are_kept_when_it_is_mended():
    text = MODEL + "inference_compute_info:\n  cpu_memory: '13GB'\n"
    assert 'cpu_memory: "13Gi"\n' in mend_config(text)


def test_what_is_mended_is_read():
    text = "\ufeffmodel:\r\n\tid: 7\r\n\tmodel_typ_id: text-to-text\r\nbuild_inf: {python_version: py311}\r\n"
    config = load_config(mend_config(text)).config
    assert (config.model.id, config.model.model_type_id, config.python_version) == ("7", "text-to-text", "3.11")


def test_what_cannot_be_read_at_all_is_left_alone():
    for text in ("model: [\n", "\x01", "a: b: c\n", "- 1\n", ""):
        assert mend_config(text) == text


def test_a_token_is_left_as_it_is():
    text = MODEL + "checkpoints:\n  repo_id: a/b\n  hf_token: 12345\n"
    assert mend_config(text) == text


def test_a_thousand_slips_are_mended_in_one_go():
    concepts = "".join(f"- id: {number}\n  name: n{number}\n" for number in range(1000))
    mended = mend_config(MODEL + "concepts:\n" + concepts)
    assert find_problems(mended).edits == ()
    assert '- id: "999"\n' in mended
