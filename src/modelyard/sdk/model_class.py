"""ModelClass: ModelRunner with typed methods, whose arguments and results are Python values."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from modelyard.sdk.runner import ModelRunner
from modelyard.sdk.typed_marks import MARK

if TYPE_CHECKING:
    from modelyard.wire.messages import Output

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class TokenCounts(NamedTuple):
    """What one output took."""

    prompt: int | None
    completion: int | None
    cached: int | None


class ModelClass(ModelRunner):
    """Base of the author's class, with methods of any names. Without `@ModelClass.method` it is a ModelRunner.

    Example:
        >>> from typing import Iterator
        >>> class Shout(ModelClass):
        ...     def load_model(self):
        ...         self.mark = "!"
        ...
        ...     @ModelClass.method
        ...     def predict(self, text: str, times: int = 1) -> str:
        ...         return text.upper() + self.mark * times
        ...
        ...     @ModelClass.method
        ...     def generate(self, text: str) -> Iterator[str]:
        ...         yield from text.split()
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._tokens = threading.local()

    @staticmethod
    def method(function: FunctionT) -> FunctionT:
        """Let callers call it. All arguments and the result need annotations.

        `-> T` is answered at once (predict), `-> Iterator[T]` piece by piece (generate), and with an argument of
        `Iterator[T]`, too, it is a stream.

        Raises:
            TypeError: A type is missing or not supported. The message says which, and what is allowed.
            ImportError: The installed clarifai-grpc is too old to tell signatures.
        """
        try:
            # An old clarifai-grpc has no signatures: needed by typed methods alone.
            from modelyard.sdk.typed.method import drop_params, read_method
        except (ImportError, AttributeError) as error:
            raise ImportError(
                "the installed clarifai-grpc is too old for typed methods; take its pin out of requirements.txt, or "
                "ask for clarifai-grpc>=12"
            ) from error

        setattr(function, MARK, read_method(function))
        drop_params(function)
        return function

    def set_output_context(
        self,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        cached_tokens: int | None = None,
    ) -> None:
        """Say how many tokens the output took that is returned or yielded next; of several, in their order."""
        self._waiting_tokens().append(TokenCounts(prompt_tokens, completion_tokens, cached_tokens))

    def _waiting_tokens(self) -> list[TokenCounts]:
        if "_tokens" not in self.__dict__:  # an __init__ of the author's that does not call ours
            self._tokens = threading.local()
        waiting: list[TokenCounts] | None = getattr(self._tokens, "waiting", None)
        if waiting is None:
            waiting = self._tokens.waiting = []
        return waiting


def take_tokens(runner: ModelRunner, output: Output) -> None:
    """Write into an output what the author said of it."""
    waiting = runner._waiting_tokens() if isinstance(runner, ModelClass) else []
    if not waiting:
        return
    counts = waiting.pop(0)
    named = {"prompt_tokens": counts.prompt, "completion_tokens": counts.completion, "cached_tokens": counts.cached}
    for name, value in named.items():
        if value is not None and hasattr(output, name):
            setattr(output, name, value)
