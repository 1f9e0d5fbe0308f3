from __future__ import annotations

from abc import abstractmethod

import pytest

from modelyard.errors import NotImplementedByModel
from modelyard.sdk.runner import ModelRunner, implemented_methods
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest


class Skeleton(ModelRunner):
    """The guide's own class."""

    def load_model(self):
        # Initialize and load the model here
        pass

    def predict(self, request):
        return MultiOutputResponse()

    def generate(self, request):
        # Handle streaming output (if applicable)
        pass

    def stream(self, request):
        """Handle both streaming input and output"""
        pass  # noqa: PIE790


class Refusing(ModelRunner):
    def predict(self, request):
        raise NotImplementedError

    def generate(self, request):
        """Not here."""
        raise NotImplementedError("Stream method is not implemented for the models.")

    def stream(self, request_iterator):
        for request in request_iterator:
            yield self.predict(request)


def test_a_class_that_implements_nothing_refuses_by_name():
    runner = ModelRunner()
    for name, argument in (
        ("predict", PostModelOutputsRequest()),
        ("generate", PostModelOutputsRequest()),
        ("stream", iter(())),
    ):
        with pytest.raises(NotImplementedByModel, match=f"{name} is not implemented by this model"):
            getattr(runner, name)(argument)


def test_load_model_is_optional():
    ModelRunner().load_model()


def test_constructing_tolerates_the_ids_published_runners_hand_up():
    class Published(ModelRunner):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.is_ready = True

    assert Published("runner", "pool", "cluster", user_id="me", num_parallel_polls=4).is_ready


def test_constructing_goes_on_to_the_next_base():
    class Cache:
        def __init__(self):
            self.cache = {}

    class Both(ModelRunner, Cache):
        pass

    assert Both(runner_id="n/a").cache == {}


def test_the_base_implements_nothing():
    assert implemented_methods(ModelRunner) == frozenset()


def test_the_bodies_of_the_guides_skeleton_do_not_count():
    assert implemented_methods(Skeleton) == {"predict"}


def test_a_method_that_only_raises_not_implemented_does_not_count():
    assert implemented_methods(Refusing) == {"stream"}


def test_a_method_of_a_mixin_counts():
    class Mixin:
        def predict(self, request):
            return MultiOutputResponse()

    class Mixed(Mixin, ModelRunner):
        pass

    assert implemented_methods(Mixed) == {"predict"}


def test_a_method_that_answers_a_constant_counts():
    class Constant(ModelRunner):
        def predict(self, request):
            return "a wrong answer, but an answer"

    assert implemented_methods(Constant) == {"predict"}


def test_a_method_that_refuses_only_sometimes_counts():
    class Sometimes(ModelRunner):
        def predict(self, request):
            if not request:
                raise NotImplementedError
            return request

    assert implemented_methods(Sometimes) == {"predict"}


def test_wrapped_and_static_methods_count():
    class Callable:
        def __call__(self, request):
            return MultiOutputResponse()

    class Odd(ModelRunner):
        predict = Callable()

        @staticmethod
        def generate(request):
            yield MultiOutputResponse()

        @abstractmethod
        def stream(self, request_iterator):
            yield from request_iterator

    assert implemented_methods(Odd) == {"predict", "generate", "stream"}
