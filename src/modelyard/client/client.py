"""A server for programs: every noun under its name, models by name, texts as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from modelyard.client.auth import Context, find_context
from modelyard.client.deployments import Deployments
from modelyard.client.inputs import make_text_input
from modelyard.client.logs import Logs
from modelyard.client.models import Models
from modelyard.client.names import ModelName, read_name
from modelyard.client.predict import Params, Predict
from modelyard.client.tokens import Tokens
from modelyard.client.transport import Transport
from modelyard.client.upload import Observer, upload_folder
from modelyard.client.versions import Versions
from modelyard.wire.messages import Input, ModelVersion, MultiOutputResponse

Inputs = Sequence[Input | str]
"""V2 inputs, and texts."""


class Client:
    """One server. Use it as a context manager, or `close` it.

        with Client() as client:
            client.models.get("digits")
            answer = client.predict("shop/spell@2", inputs=["a text"])

    A model is named as on the command line: `MODEL`, `APP/MODEL` or `USER/APP/MODEL`, with `@VERSION` where wanted.
    Every method raises the `ModelyardError` that the server's answer tells, and `Unavailable` where none answers.

    Args:
        context: The server, and who asks it; without one it is found as the command line finds it.
    """

    def __init__(self, context: Context | None = None) -> None:
        self.transport = Transport(context or find_context())
        self.models = Models(self.transport)
        self.versions = Versions(self.transport)
        self.deployments = Deployments(self.transport)
        self.logs = Logs(self.transport)
        self.tokens = Tokens(self.transport)
        self._predict = Predict(self.transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls that run are cancelled."""
        self.transport.close()

    def predict(self, model: ModelName | str, inputs: Inputs, *, params: Params | None = None) -> MultiOutputResponse:
        """One answer, with one output for each input; `params` are the model's own."""
        return self._predict.predict(read_name(model), _read_inputs(inputs), params or {})

    def generate(
        self, model: ModelName | str, inputs: Inputs, *, params: Params | None = None
    ) -> Iterator[MultiOutputResponse]:
        """Answers as the model yields them."""
        return self._predict.generate(read_name(model), _read_inputs(inputs), params or {})

    def stream(
        self, model: ModelName | str, inputs: Iterable[Inputs], *, params: Params | None = None
    ) -> Iterator[MultiOutputResponse]:
        """Answers as they come, to the inputs of one request after the other as they come."""
        return self._predict.stream(read_name(model), (_read_inputs(one) for one in inputs), params or {})

    def upload(
        self,
        folder: Path,
        *,
        model: ModelName | str = "",
        observer: Observer | None = None,
        is_waiting: bool = True,
    ) -> tuple[ModelName, ModelVersion | None]:
        """Upload a folder as a new version, under the name that its config has unless another is given.

        See `upload.upload_folder` for what it returns and raises.
        """
        asked = read_name(model) if model else ModelName(model_id="")
        return upload_folder(
            self.transport, folder, asked=asked, observer=observer or Observer(), is_waiting=is_waiting
        )


def _read_inputs(inputs: Inputs) -> list[Input]:
    return [make_text_input(one) if isinstance(one, str) else one for one in inputs]
