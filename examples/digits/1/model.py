"""Tells which digit an image shows."""

import io
from pathlib import Path

import numpy as np
import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image

HERE = Path(__file__).parent
SIDE = 8  # pixels: the size of the images that the network learned from


def read_pixels(data):
    """Bytes of an image of any size and format -> 64 numbers in 0..1, the digit bright on a dark ground."""
    with Image.open(io.BytesIO(data)) as image:
        grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, dtype=np.float32) / 255
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 0.5:  # ink on paper
        pixels = 1 - pixels
    return pixels.ravel()


def read_concepts():
    """The concepts of config.yaml, in its order."""
    config = yaml.safe_load((HERE.parent / "config.yaml").read_text())
    return [resources_pb2.Concept(id=one["id"], name=one["name"]) for one in config["concepts"]]


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def make_output(values, concepts, output_config):
    """The concepts by falling value, as many and as sure as the request wants."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    best_first = np.argsort(-values)[: output_config.max_concepts or None]
    for number in best_first:
        if values[number] >= output_config.min_value:
            concept = concepts[number]
            output.data.concepts.add(id=concept.id, name=concept.name, value=float(values[number]))
    return output


class DigitsRunner(ModelRunner):
    """A network with one hidden layer, as plain arrays."""

    def load_model(self):
        # allow_pickle stays off: a checkpoint can hold numbers, never code.
        with np.load(HERE / "checkpoints" / "digits.npz") as arrays:
            layers = range(len(arrays.files) // 2)
            self.layers = [(arrays[f"weights_{number}"], arrays[f"biases_{number}"]) for number in layers]
        self.concepts = read_concepts()

    def classify(self, pixels):
        """Rows of pixels -> rows of probabilities."""
        *hidden, last = self.layers
        for weights, biases in hidden:
            pixels = np.maximum(pixels @ weights + biases, 0)
        return softmax(pixels @ last[0] + last[1])

    def predict(self, request):
        output_info = request.model.model_version.output_info
        concepts = list(output_info.data.concepts) or self.concepts
        batch = np.stack([read_pixels(one.data.image.base64) for one in request.inputs])
        outputs = [make_output(values, concepts, output_info.output_config) for values in self.classify(batch)]
        return service_pb2.MultiOutputResponse(outputs=outputs)
