"""Labels the pixels of images: a mask for each concept of config.yaml.

`ContrastModel` stands where your model goes. It is small, but it does what it says: it parts what stands out from the
background, which it takes from the image's border. `ImageSegmenter` is the part to keep: it reads the inputs and
answers one output for each of them, in order, with masks as PNG in the size of the image.
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
MAX_SIDE = 1024  # pixels: larger images are looked at in this size
SOFTNESS = 16  # of 255: how far around the threshold a pixel may be either
MIN_CONTRAST = 24  # of 255: an image with less is background only


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ContrastModel:
    """How likely each pixel is background or foreground. Put your model here: load it in `__init__`."""

    def segment(self, image):
        """An array of (concepts, height, width) with values 0 to 1, which are 1 in sum for each pixel.

        Its height and width may be smaller than the image's.
        """
        image = ImageOps.contain(image, (MAX_SIDE, MAX_SIDE)) if max(image.size) > MAX_SIDE else image
        pixels = np.asarray(image, dtype=np.float32)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        contrast = np.abs(pixels - np.median(border, axis=0)).max(axis=-1)
        threshold = max(MIN_CONTRAST, split_in_two(contrast))
        foreground = (1 + np.tanh((contrast - threshold) / SOFTNESS)) / 2
        return np.stack([1 - foreground, foreground])


class ImageSegmenter(ModelRunner):
    """Reads images, asks the model for each of them, since their sizes differ, and answers masks."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = ContrastModel()

    def predict(self, request):
        outputs = []
        for one in request.inputs:
            output = resources_pb2.Output()
            try:
                image = read_image(one.data)
                self.fill(output, self.model.segment(image), image.size)
            except InputError as error:  # this input fails, the others are answered
                fail(output, error)
            outputs.append(output)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def fill(self, output, values, size):
        """Put a region into the output for each concept that some pixel shows: its mask, and how sure it is."""
        labels = values.argmax(axis=0)
        for number, concept in enumerate(self.concepts):
            mask = labels == number
            if mask.any():
                region = output.data.regions.add(value=float(values[number][mask].mean()))
                region.region_info.mask.image.base64 = encode_mask(mask, size)
                region.data.concepts.add(id=concept["id"], name=concept["name"], value=region.value)
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


def encode_mask(mask, size):
    """A grey PNG of a width and height, white where the mask is true."""
    buffer = io.BytesIO()
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    picture.resize(size, Image.Resampling.NEAREST).save(buffer, format="PNG")
    return buffer.getvalue()


def split_in_two(values):
    """The threshold, 0 to 255, that splits values into the two groups which differ most (Otsu's method)."""
    counts = np.bincount(values.astype(np.uint8).ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    below, total = np.cumsum(counts), counts.sum()
    sum_below, sum_total = np.cumsum(counts * levels), (counts * levels).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (sum_total * below / total - sum_below) ** 2 / (below * (total - below))
    return float(np.nan_to_num(spread, posinf=0).argmax())
