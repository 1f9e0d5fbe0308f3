"""Finds things in images, each with a box, a concept and a value.

`ContrastModel` stands where your model goes. It is small, but it does what it says: it finds what stands out from the
background, which it takes from the image's border, and tells whether it is darker or lighter. `ImageDetector` is the
part to keep: it reads the inputs and answers one output for each of them, in order.
"""

import io
from pathlib import Path

import numpy as np
import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageOps, UnidentifiedImageError

CONFIG = Path(__file__).parents[1] / "config.yaml"
MAX_SIDE = 160  # pixels: larger images are looked at in this size
MIN_SHARE = 0.001  # of the image: what is smaller is a speck
MIN_CONTRAST = 24  # of 255
DARK, LIGHT = 0, 1  # places in the concepts of config.yaml


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ContrastModel:
    """Boxes around what stands out. Put your model here: load it in `__init__`, run it in `find`."""

    def find(self, images):
        """One list for each image, of (box, number of the concept, value), the surest first.

        A box is (top, left, bottom, right), each 0 to 1 of the image's height or width; a value is 0 to 1.
        """
        return [sorted(self.find_in(image), key=lambda found: -found[2]) for image in images]

    def find_in(self, image):
        image = image.convert("L")
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        grey = np.asarray(image, dtype=np.float32)
        ground = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
        for sign, concept in ((-1, DARK), (1, LIGHT)):
            contrast = (grey - ground) * sign
            threshold = max(MIN_CONTRAST, contrast.max() / 2)
            for island in list_islands(contrast >= threshold):
                if len(island) >= max(2, MIN_SHARE * grey.size):
                    value = contrast[island[:, 0], island[:, 1]].mean() / 255
                    yield find_box(island, grey.shape), concept, float(value)


class ImageDetector(ModelRunner):
    """Reads images, asks the model once for all of them, and answers regions."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = ContrastModel()

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        images = {}
        for number, one in enumerate(request.inputs):
            try:
                images[number] = read_image(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        if images:
            min_value = request.model.model_version.output_info.output_config.min_value
            for number, found in zip(images, self.model.find(list(images.values())), strict=True):
                self.fill(outputs[number], found, min_value)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def fill(self, output, found, min_value):
        """Put what was found into an output: things as sure as the caller wants."""
        for (top, left, bottom, right), number, value in found:
            if value >= min_value:
                region = output.data.regions.add(value=value)
                box = region.region_info.bounding_box
                box.top_row, box.left_col, box.bottom_row, box.right_col = top, left, bottom, right
                concept = self.concepts[number]
                region.data.concepts.add(id=concept["id"], name=concept["name"], value=value)
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


def list_islands(mask):
    """The rows and columns of each group of true cells that touch each other."""
    rest = set(map(tuple, np.argwhere(mask).tolist()))
    while rest:
        todo, island = [rest.pop()], []
        while todo:
            row, col = todo.pop()
            island.append((row, col))
            touching = {(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)} & rest
            rest -= touching
            todo.extend(touching)
        yield np.array(island)


def find_box(island, shape):
    """Top, left, bottom and right of an island, as shares of the height and width."""
    top, left = island.min(axis=0) / shape
    bottom, right = (island.max(axis=0) + 1) / shape
    return float(top), float(left), float(bottom), float(right)
