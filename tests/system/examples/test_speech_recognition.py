"""Speech recognition, beside Whisper of transformers with one sound at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clarifai_grpc.grpc.api import resources_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.examples import Asked, audio
from system.examples.conftest import Lab


@pytest.fixture(scope="module")
def whisper(deploy_example: Callable[[str], Asked]) -> Asked:
    return deploy_example("speech-recognition")


def list_times(output: resources_pb2.Output) -> list[tuple[float, float]]:
    return [(one.time_info.begin_time, one.time_info.end_time) for one in output.data.time_segments]


def test_sounds_of_a_request_are_heard_as_each_alone(whisper: Asked, lab: Lab) -> None:
    answer = whisper.predict(audio(lab.read("tone.wav")), audio(lab.read("other.wav")))
    assert answer.status.code == codes.SUCCESS, answer.status
    expected = lab.expected["speech-recognition"]
    assert [one.data.text.raw for one in answer.outputs] == [expected["tone.wav"], expected["other.wav"]]
    assert [list_times(one) for one in answer.outputs] == [[(0, 2000)], [(0, 3000)]]


def test_sound_by_url_is_heard_as_by_its_bytes(whisper: Asked, lab: Lab, media_url: str) -> None:
    by_bytes = whisper.predict(audio(lab.read("other.wav")))
    by_url = whisper.predict(audio(url=f"{media_url}/other.wav"))
    assert by_url.outputs[0].data.text.raw == by_bytes.outputs[0].data.text.raw != ""


def test_other_formats_are_read_and_resampled(whisper: Asked, lab: Lab) -> None:
    flac, song = whisper.predict(audio(lab.read("tone.flac")), audio(lab.read("song.mp3"))).outputs
    assert flac.data.text.raw == lab.expected["speech-recognition"]["tone.wav"]
    assert song.status.code == codes.SUCCESS
    ((_, end_ms),) = list_times(song)
    assert end_ms == pytest.approx(2000, abs=100)


def test_a_film_is_heard_by_its_sound_and_refused_without_one(whisper: Asked, lab: Lab) -> None:
    answer = whisper.predict(audio(lab.read("clip.mp4")))
    assert answer.outputs[0].status.description == "the file has no sound"


def test_long_sound_is_cut_where_it_is_quiet_and_comes_piece_by_piece(whisper: Asked, lab: Lab) -> None:
    inputs = (audio(lab.read("long.wav")), audio(lab.read("tone.wav")))
    whole = whisper.predict(*inputs)
    (first, second, third) = list_times(whole.outputs[0])
    assert (first[0], first[1], second[1], third[1]) == (0, second[0], third[0], 70_000)
    assert 27_100 < first[1] < 27_400
    assert 56_200 < second[1] < 56_500
    answers = list(whisper.generate(*inputs))
    assert [list_times(one.outputs[0]) for one in answers] == [[first], [second], [third]]
    joined = ["".join(one.outputs[number].data.text.raw for one in answers) for number in (0, 1)]
    assert joined == [one.data.text.raw for one in whole.outputs]


def test_stream_answers_each_request_in_turn(whisper: Asked, lab: Lab) -> None:
    names = ("other.wav", "tone.wav")
    answers = list(whisper.stream(*(whisper.request(audio(lab.read(name))) for name in names)))
    expected = lab.expected["speech-recognition"]
    assert [one.outputs[0].data.text.raw for one in answers] == [expected[name] for name in names]


def test_language_and_task_are_the_callers(whisper: Asked, lab: Lab) -> None:
    answer = whisper.predict(audio(lab.read("tone.wav")), params={"language": "german", "task": "translate"})
    assert answer.outputs[0].data.text.raw == lab.expected["speech-recognition"]["tone.wav de translate"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"language": "klingon"}, "Unsupported language: klingon"),
        ({"task": "sing"}, "The `sing` task is not supported"),
        ({"language": 3}, "language is 3.0; it must be a text"),
        ({"speed": 2}, "there is no parameter 'speed', only language and task"),
    ],
)
def test_wrong_parameter_is_told(whisper: Asked, lab: Lab, params: dict[str, object], said: str) -> None:
    answer = whisper.predict(audio(lab.read("tone.wav")), params=params)
    assert answer.status.code == codes.MODEL_PREDICTION_FAILED
    assert said in answer.status.description


def test_broken_sound_fails_alone_and_silence_says_nothing(whisper: Asked, lab: Lab) -> None:
    names = ("broken.wav", "tone.wav", "silence.wav")
    answer = whisper.predict(*(audio(lab.read(name)) for name in names), audio(b""))
    assert answer.status.code == codes.MIXED_STATUS
    broken, tone, silence, empty = answer.outputs
    assert "the audio cannot be read" in broken.status.description
    assert empty.status.description == "the input has no audio"
    assert tone.data.text.raw == lab.expected["speech-recognition"]["tone.wav"]
    assert (silence.status.code, silence.data.text.raw) == (codes.SUCCESS, "")
