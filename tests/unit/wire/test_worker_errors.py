from __future__ import annotations

import pytest

from modelyard import errors
from modelyard.errors import ModelyardError
from modelyard.wire.messages import Status, StatusCode
from modelyard.wire.worker_errors import decode_error, encode_error


@pytest.mark.parametrize(
    "kind", [errors.PredictionFailed, errors.InvalidModelOutput, errors.NotImplementedByModel, errors.InvalidInput]
)
def test_error_keeps_its_class_and_its_words(kind: type[ModelyardError]) -> None:
    error = decode_error(encode_error(kind("what", hint="next", details="trace")))
    assert type(error) is kind
    assert (error.message, error.hint, error.details) == ("what", "next", "trace")


def test_code_is_the_one_of_the_table() -> None:
    status = Status.FromString(encode_error(errors.PredictionFailed("x")))
    assert status.code == StatusCode.MODEL_PREDICTION_FAILED


def test_worker_is_not_believed_when_it_names_what_an_author_cannot_cause() -> None:
    error = decode_error(encode_error(errors.Unauthenticated("your token is wrong")))
    assert type(error) is errors.ModelError


def test_lone_surrogates_and_endless_messages_are_made_sendable() -> None:
    error = decode_error(encode_error(errors.PredictionFailed("\ud800" + "x" * 100_000, details="y" * 100_000)))
    assert error.message.startswith("?x")
    assert len(error.message) == 4_000
    assert len(error.details) == 32_000


def test_what_cannot_be_read_is_our_error() -> None:
    assert type(decode_error(b"\xff\xff")) is errors.InternalError
