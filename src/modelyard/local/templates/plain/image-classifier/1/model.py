"""Labels images with the concepts of config.yaml.

`ColourModel` stands where your model goes. It is small, but it does what it says: the concepts are names of colours,
and each gets the share of the image that looks like it. `ImageClassifier` is the part to keep: it reads the inputs,
makes one batch of those that can be read, and answers one output for each input, in order.
"""

import io
from pathlib import Path

import numpy as np
import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

CONFIG = Path(__file__).parents[1] / "config.yaml"
SIDE = 32  # pixels: what an image is resized to


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ColourModel:
    """The share of each colour in an image. Put your model here: load it in `__init__`, run it in `score`."""

    def __init__(self, names):
        self.names = names
        self.colours = to_lab(np.array([read_colour(name) for name in names], dtype=np.float32) / 255)

    def score(self, images):
        """One row of values for each image, one value for each name: 0 (not at all) to 1 (all of it)."""
        batch = np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)) for image in images])
        pixels = to_lab(batch.reshape(len(images), -1, 3).astype(np.float32) / 255)
        distances = np.linalg.norm(pixels[:, :, None] - self.colours, axis=-1)
        nearest = distances.argmin(axis=-1)
        return np.stack([(nearest == number).mean(axis=1) for number in range(len(self.names))], axis=1)


class ImageClassifier(ModelRunner):
    """Reads images, asks the model once for all of them, and answers concepts."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = ColourModel([concept["name"] for concept in self.concepts])

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        images = {}
        for number, one in enumerate(request.inputs):
            try:
                images[number] = read_image(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        if images:
            settings = request.model.model_version.output_info.output_config
            for number, values in zip(images, self.model.score(list(images.values())), strict=True):
                self.fill(outputs[number], values, settings)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def fill(self, output, values, settings):
        """Put the concepts into an output, the surest first: as many and as sure as the caller wants."""
        for number in np.argsort(-values, kind="stable")[: settings.max_concepts or None]:
            if values[number] >= settings.min_value:
                concept = self.concepts[number]
                output.data.concepts.add(id=concept["id"], name=concept["name"], value=float(values[number]))
        output.status.code = status_code_pb2.SUCCESS


def read_image(data):
    """The image of an input as RGB, upright. One that came as a URL has been fetched: its bytes are here, too."""
    if not data.image.base64:
        raise InputError("the input has no image")
    try:
        with Image.open(io.BytesIO(data.image.base64)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError:
        raise InputError("the image is of no format that Pillow reads") from None
    except Exception as error:  # of many kinds: Pillow's readers raise what they run into
        raise InputError(f"the image cannot be read: {error}") from error


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)


def read_colour(name):
    """Red, green and blue, 0 to 255, of a name such as `red` or `teal`, or of a code such as `#ff8800`."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        raise ValueError(
            f"the concept {name!r} is not a colour, and ColourModel knows nothing else: put your model in its place"
        ) from None


def to_lab(rgb):
    """RGB, 0 to 1, as CIE L*a*b*, in which colours that look alike are near each other (D65 white)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4339, 0.2126, 0.0178], [0.3762, 0.7152, 0.1095], [0.1899, 0.0722, 0.8727]], np.float32)
    curved = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(curved, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
