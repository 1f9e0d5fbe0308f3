"""The image detector, beside what transformers finds in each picture alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clarifai_grpc.grpc.api import resources_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.examples import Asked, image, video
from system.examples.conftest import Lab

SAMPLE_MS = 500


@pytest.fixture(scope="module")
def detector(deploy_example: Callable[[str], Asked]) -> Asked:
    return deploy_example("image-detector")


def list_regions(data: resources_pb2.Data) -> list[tuple[str, float, list[float]]]:
    """Name, value, and box as left, top, right, bottom."""
    found = []
    for region in data.regions:
        box, (concept,) = region.region_info.bounding_box, region.data.concepts
        assert region.value == concept.value
        found.append((concept.name, concept.value, [box.left_col, box.top_row, box.right_col, box.bottom_row]))
    return found


def close_to(rows: list[list[object]]) -> list[tuple[object, ...]]:
    """What is expected of one picture: boxes in pixels become shares of its size."""
    expected = []
    for name, value, (left, top, right, bottom), (width, height) in rows:  # type: ignore[misc]
        box = [min(max(edge, 0), 1) for edge in (left / width, top / height, right / width, bottom / height)]
        expected.append((name, pytest.approx(value, abs=1e-4), pytest.approx(box, abs=1e-4)))
    return expected


def test_images_of_many_sizes_are_answered_as_each_alone(detector: Asked, lab: Lab) -> None:
    names = ("a.png", "tall.png", "b.png", "a.png", "turned.png")
    answer = detector.predict(*(image(lab.read(name)) for name in names))
    assert answer.status.code == codes.SUCCESS, answer.status
    for name, output in zip(names, answer.outputs, strict=True):
        assert list_regions(output.data) == close_to(lab.expected["image-detector"][name][0]), name
    assert any(output.data.regions for output in answer.outputs)


def test_broken_inputs_fail_alone(detector: Asked, lab: Lab) -> None:
    good = image(lab.read("b.png"))
    answer = detector.predict(good, image(lab.read("broken.png")), video(lab.read("broken.mp4")), image(b""), good)
    assert answer.status.code == codes.MIXED_STATUS
    assert [one.status.code == codes.SUCCESS for one in answer.outputs] == [True, False, False, False, True]
    said = [one.status.description for one in answer.outputs[1:4]]
    assert ["image cannot be read" in said[0], "video cannot be read" in said[1], "neither" in said[2]] == [True] * 3
    assert list_regions(answer.outputs[4].data) == list_regions(answer.outputs[0].data)


def test_caller_chooses_how_many_and_how_sure(detector: Asked, lab: Lab) -> None:
    rows = lab.expected["image-detector"]["b.png"][0]
    bound = (rows[2][1] + rows[3][1]) / 2
    one = image(lab.read("b.png"))
    assert list_regions(detector.predict(one, max_concepts=2).outputs[0].data) == close_to(rows[:2])
    assert list_regions(detector.predict(one, min_value=bound).outputs[0].data) == close_to(rows[:3])
    assert len(detector.predict(one, min_value=0.001).outputs[0].data.regions) == 12


def test_frames_of_a_video_carry_their_time_and_what_is_in_them(detector: Asked, lab: Lab) -> None:
    frames = detector.predict(video(lab.read("clip.mp4")), sample_ms=SAMPLE_MS).outputs[0].data.frames
    infos = [(one.frame_info.index, one.frame_info.number, one.frame_info.time) for one in frames]
    assert infos == [(number, 5 * number, SAMPLE_MS * number) for number in range(6)]
    for frame, rows in zip(frames, lab.expected["image-detector"]["clip.mp4"], strict=True):
        assert list_regions(frame.data) == close_to(rows)


def test_a_frame_of_each_second_is_taken_where_the_caller_does_not_say(detector: Asked, lab: Lab) -> None:
    frames = detector.predict(video(lab.read("clip.mp4"))).outputs[0].data.frames
    assert [one.frame_info.time for one in frames] == [0, 1000, 2000]


def test_video_taken_sideways_is_turned_first(detector: Asked, lab: Lab) -> None:
    frames = detector.predict(video(lab.read("turned.mp4")), sample_ms=SAMPLE_MS).outputs[0].data.frames
    for frame, rows in zip(frames, lab.expected["image-detector"]["turned.mp4"], strict=True):
        assert list_regions(frame.data) == close_to(rows)


def test_generate_answers_frame_by_frame(detector: Asked, lab: Lab) -> None:
    inputs = (video(lab.read("clip.mp4")), image(lab.read("b.png")), image(lab.read("broken.png")))
    whole = detector.predict(*inputs, sample_ms=SAMPLE_MS)
    answers = list(detector.generate(*inputs, sample_ms=SAMPLE_MS))
    assert [len(one.outputs[0].data.frames) for one in answers] == [1] * 6
    for answer, frame in zip(answers, whole.outputs[0].data.frames, strict=True):
        assert answer.outputs[0].data.frames[0].frame_info == frame.frame_info
        found = [(name, pytest.approx(value, abs=1e-4)) for name, value, _ in list_regions(frame.data)]
        assert [(name, value) for name, value, _ in list_regions(answer.outputs[0].data.frames[0].data)] == found
    assert [len(one.outputs[1].data.regions) > 0 for one in answers] == [True] + [False] * 5
    assert answers[0].outputs[2].status.code == codes.INPUT_UNSUPPORTED_FORMAT


def test_stream_answers_pictures_as_they_come(detector: Asked, lab: Lab) -> None:
    names = ("a.png", "b.png")
    answers = list(detector.stream(*(detector.request(image(lab.read(name))) for name in names)))
    expected = lab.expected["image-detector"]
    assert [list_regions(one.outputs[0].data) for one in answers] == [close_to(expected[name][0]) for name in names]
