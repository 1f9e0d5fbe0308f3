"""Labels images with an image classification checkpoint of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded, and the concepts are its own
labels (`id2label` of its config.json).
"""

import io
from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers import AutoImageProcessor, AutoModelForImageClassification

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "auto" if DEVICE == "cuda" else torch.float32  # CPUs are slow with the halves that checkpoints are kept in
BATCH = 16  # images that the model is given at once


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ImageClassifier(ModelRunner):
    """Reads images, asks the model for batches of them, and answers concepts."""

    def load_model(self):
        self.processor = AutoImageProcessor.from_pretrained(CHECKPOINTS)
        self.model = AutoModelForImageClassification.from_pretrained(CHECKPOINTS, dtype=DTYPE).to(DEVICE).eval()
        self.labels = self.model.config.id2label

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        images = {}
        for number, one in enumerate(request.inputs):
            try:
                images[number] = read_image(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        settings = request.model.model_version.output_info.output_config
        for number, values in zip(images, self.score(list(images.values())), strict=True):
            self.fill(outputs[number], values, settings)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    @torch.inference_mode()
    def score(self, images):
        """One row of probabilities for each image, one for each label."""
        rows = []
        for start in range(0, len(images), BATCH):
            inputs = self.processor(images=images[start : start + BATCH], return_tensors="pt")
            logits = self.model(**inputs.to(DEVICE, self.model.dtype)).logits
            rows += logits.float().softmax(dim=-1).cpu()
        return rows

    def fill(self, output, values, settings):
        """Put the concepts into an output, the surest first: as many and as sure as the caller wants."""
        for number in values.argsort(descending=True).tolist()[: settings.max_concepts or None]:
            if values[number] >= settings.min_value:
                output.data.concepts.add(id=str(number), name=self.labels[number], value=float(values[number]))
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
