"""Continues a text in the manner of a short story: at once, word by word, or as a conversation."""

from pathlib import Path

from chain import Chain, make_dice
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

HERE = Path(__file__).parent
MAX_TOKENS = 500


def read_params(request):
    """temperature (0 or more), max_tokens (1 to 500) and seed (a whole number) of a request, or their defaults."""
    params = request.model.model_version.output_info.params
    temperature = float(params["temperature"]) if "temperature" in params else 1.0
    max_tokens = int(params["max_tokens"]) if "max_tokens" in params else 50
    if temperature < 0:
        raise ValueError(f"temperature is {temperature:g}; it must be 0 or more")
    if not 1 <= max_tokens <= MAX_TOKENS:
        raise ValueError(f"max_tokens is {max_tokens}; it must be between 1 and {MAX_TOKENS}")
    seed = int(params["seed"]) if "seed" in params else None
    return {"temperature": temperature, "max_tokens": max_tokens, "dice": make_dice(seed)}


def make_output(text):
    output = resources_pb2.Output()
    output.data.text.raw = text
    output.status.code = status_code_pb2.SUCCESS
    return output


class MarkovTextRunner(ModelRunner):
    """Reads its corpus when it is loaded: there is nothing to download."""

    def load_model(self):
        self.chain = Chain((HERE / "corpus.txt").read_text(encoding="utf-8"))

    def pieces(self, request, number):
        """The pieces that continue one input of a request."""
        return self.chain.continue_text(request.inputs[number].data.text.raw, **read_params(request))

    def predict(self, request):
        """A whole continuation for each input."""
        texts = ["".join(self.pieces(request, number)).strip() for number in range(len(request.inputs))]
        return service_pb2.MultiOutputResponse(outputs=[make_output(text) for text in texts])

    def generate(self, request):
        """The continuation of each input in turn, word by word."""
        for number in range(len(request.inputs)):
            for piece in self.pieces(request, number):
                yield service_pb2.MultiOutputResponse(outputs=[make_output(piece)])

    def stream(self, request_iterator):
        """A whole continuation for each request, before the next request has come."""
        for request in request_iterator:
            yield self.predict(request)
