"""Finds things in images with an object detection checkpoint of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded, and the concepts are its own
labels (`id2label` of its config.json).
"""

import io
from collections import defaultdict
from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers import AutoImageProcessor, AutoModelForObjectDetection

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH = 8  # images that the model is given at once
MIN_VALUE = 0.5  # how sure the model has to be of a thing, where the caller does not say


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ImageDetector(ModelRunner):
    """Reads images, asks the model for batches of them, and answers regions."""

    def load_model(self):
        self.processor = AutoImageProcessor.from_pretrained(CHECKPOINTS)
        self.model = AutoModelForObjectDetection.from_pretrained(CHECKPOINTS, dtype=torch.float32).to(DEVICE).eval()
        self.labels = self.model.config.id2label

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        images = {}
        for number, one in enumerate(request.inputs):
            try:
                images[number] = read_image(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        min_value = request.model.model_version.output_info.output_config.min_value or MIN_VALUE
        for number, found in zip(images, self.find(list(images.values()), min_value), strict=True):
            self.fill(outputs[number], found)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    @torch.inference_mode()
    def find(self, images, min_value):
        """For each image its `boxes` (left, top, right, bottom, 0 to 1), `labels` and `scores`."""
        found = [None] * len(images)
        for places in list_batches(images):
            inputs = self.processor(images=[images[place] for place in places], return_tensors="pt").to(DEVICE)
            answers = self.processor.post_process_object_detection(self.model(**inputs), threshold=min_value)
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
        return found

    def fill(self, output, found):
        """Put what was found into an output, the surest first."""
        for number in found["scores"].argsort(descending=True).tolist():
            value = float(found["scores"][number])
            region = output.data.regions.add(value=value)
            box = region.region_info.bounding_box
            box.left_col, box.top_row, box.right_col, box.bottom_row = found["boxes"][number].clamp(0, 1).tolist()
            label = int(found["labels"][number])
            region.data.concepts.add(id=str(label), name=self.labels[label], value=value)
        output.status.code = status_code_pb2.SUCCESS


def list_batches(images):
    """Places of images that go to the model together: of one size, since padding moves the boxes of some models."""
    places = defaultdict(list)
    for place, image in enumerate(images):
        places[image.size].append(place)
    return [same[start : start + BATCH] for same in places.values() for start in range(0, len(same), BATCH)]


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
