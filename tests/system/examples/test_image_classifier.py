"""The image classifier, beside the pipeline of transformers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clarifai_grpc.grpc.api import resources_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.examples import REPOS, Asked, image
from support.hub import Hub
from support.server import V2, RunningServer
from support.uploads import get_version
from system.examples.conftest import Lab

IMAGES = ("a.png", "b.png", "tall.png")


@pytest.fixture(scope="module")
def classifier(deploy_example: Callable[[str], Asked]) -> Asked:
    return deploy_example("image-classifier")


def list_concepts(output: resources_pb2.Output) -> list[tuple[str, float]]:
    return [(one.name, one.value) for one in output.data.concepts]


def close_to(rows: list[tuple[str, float]]) -> list[tuple[str, object]]:
    return [(name, pytest.approx(value, abs=1e-5)) for name, value in rows]


def test_a_batch_of_images_is_answered_as_the_pipeline_answers_each(classifier: Asked, lab: Lab) -> None:
    answer = classifier.predict(*(image(lab.read(name)) for name in IMAGES))
    assert answer.status.code == codes.SUCCESS, answer.status
    expected = lab.expected["image-classifier"]
    for name, output in zip(IMAGES, answer.outputs, strict=True):
        assert list_concepts(output) == close_to(expected[name]), name


def test_broken_image_fails_alone(classifier: Asked, lab: Lab) -> None:
    good, broken = image(lab.read("a.png")), image(lab.read("broken.png"))
    answer = classifier.predict(good, broken, image(b""), good)
    assert answer.status.code == codes.MIXED_STATUS
    assert [one.status.code for one in answer.outputs] == [
        codes.SUCCESS, codes.INPUT_UNSUPPORTED_FORMAT, codes.INPUT_UNSUPPORTED_FORMAT, codes.SUCCESS,
    ]  # fmt: skip
    assert "the image cannot be read" in answer.outputs[1].status.description
    assert "no image" in answer.outputs[2].status.description
    assert list_concepts(answer.outputs[3]) == list_concepts(answer.outputs[0])


def test_more_images_than_go_through_the_network_at_once(classifier: Asked, lab: Lab) -> None:
    answer = classifier.predict(*(image(lab.read(IMAGES[number % 3])) for number in range(40)))
    expected = lab.expected["image-classifier"]
    for number, output in enumerate(answer.outputs):
        assert list_concepts(output) == close_to(expected[IMAGES[number % 3]])


def test_caller_chooses_how_many_concepts_and_how_sure(classifier: Asked, lab: Lab) -> None:
    best, other = lab.expected["image-classifier"]["a.png"]
    one = image(lab.read("a.png"))
    assert list_concepts(classifier.predict(one, max_concepts=1).outputs[0]) == close_to([best])
    assert list_concepts(classifier.predict(one, min_value=0.5).outputs[0]) == close_to([best])
    assert list_concepts(classifier.predict(one, min_value=0.1).outputs[0]) == close_to([best, other])
    assert list_concepts(classifier.predict(one, max_concepts=100).outputs[0]) == close_to([best, other])


def test_photograph_taken_sideways_is_turned_first(classifier: Asked, lab: Lab) -> None:
    upright, turned = classifier.predict(image(lab.read("a.png")), image(lab.read("turned.png"))).outputs
    assert list_concepts(turned) == list_concepts(upright)


def test_stream_answers_each_request(classifier: Asked, lab: Lab) -> None:
    answers = classifier.stream(*(classifier.request(image(lab.read(name))) for name in IMAGES))
    expected = lab.expected["image-classifier"]
    assert [list_concepts(answer.outputs[0]) for answer in answers] == [close_to(expected[name]) for name in IMAGES]


def test_concepts_of_the_version_are_those_of_the_checkpoint(classifier: Asked, example_server: RunningServer) -> None:
    with V2(example_server) as v2:
        listed = get_version(v2, "", "image-classifier").output_info.data.concepts
    assert [(one.id, one.name) for one in listed] == [("0", "normal"), ("1", "nsfw")]


def test_only_the_wanted_files_of_the_repository_are_downloaded(classifier: Asked, hub: Hub) -> None:
    repo_id, _ = REPOS[classifier.model_id]
    names = {seen.path.rpartition("/")[2] for seen in hub.downloads(repo_id)}
    assert names == {"config.json", "preprocessor_config.json", "model.safetensors"}
