"""Ask a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from modelyard.client.models import Models
from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.versions import Versions
from modelyard.wire.messages import Input, MultiOutputResponse, PostModelOutputsRequest

Params = Mapping[str, object]


class Predict:
    """Predict, generate and stream."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def predict(self, name: ModelName, inputs: Sequence[Input], params: Params) -> MultiOutputResponse:
        """One answer with one output for each input. Raises what the server's status tells."""
        answer: MultiOutputResponse = self._transport.call("PostModelOutputs", self._request(name, inputs, params))
        return answer

    def ask(self, kind: str, name: ModelName, inputs: Sequence[Input], params: Params) -> Iterator[MultiOutputResponse]:
        """One request to `predict`, `generate` or `stream`: its answers, however many."""
        if kind == "generate":
            yield from self.generate(name, inputs, params)
        elif kind == "stream":
            yield from self.stream(name, [inputs], params)
        else:
            yield self.predict(name, inputs, params)

    def generate(self, name: ModelName, inputs: Sequence[Input], params: Params) -> Iterator[MultiOutputResponse]:
        """Answers as the model yields them."""
        return self._transport.generate("GenerateModelOutputs", self._request(name, inputs, params))

    def stream(
        self, name: ModelName, inputs: Iterable[Sequence[Input]], params: Params
    ) -> Iterator[MultiOutputResponse]:
        """Answers as they come to requests as they come."""
        requests = (self._request(name, one, params) for one in inputs)
        return self._transport.stream("StreamModelOutputs", requests)

    def _request(self, name: ModelName, inputs: Sequence[Input], params: Params) -> PostModelOutputsRequest:
        request = PostModelOutputsRequest(
            user_app_id=Models(self._transport).scope(name),
            model_id=name.model_id,
            version_id=Versions(self._transport).resolve(name),
            inputs=inputs,
        )
        if params:
            request.model.model_version.output_info.params.update(dict(params))
        return request
