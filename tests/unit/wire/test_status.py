from __future__ import annotations

from modelyard import errors
from modelyard.wire.messages import Status
from modelyard.wire.status import error_of, status_of


def test_error_comes_back_as_the_class_it_was() -> None:
    told = error_of(status_of(errors.ModelNotFound("no model 'spell' in app 'shop'")))
    assert isinstance(told, errors.ModelNotFound)
    assert told.message == "no model 'spell' in app 'shop'"


def test_status_of_a_newer_server_is_told_by_number() -> None:
    told = error_of(Status(code=987654))
    assert type(told) is errors.ModelyardError
    assert told.message == "the server answered with status 987654"
