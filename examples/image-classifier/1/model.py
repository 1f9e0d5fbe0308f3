"""Labels images with a vision transformer, or with any other image classifier that transformers knows."""

import io
from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers import AutoImageProcessor, AutoModelForImageClassification

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MAX_BATCH = 32  # images in one pass through the network, and in memory


class ImageClassifier(ModelRunner):
    """All images of a request go through the network together."""

    def load_model(self):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.float16 if self.device == "cuda" else torch.float32  # few CPUs are fast at half precision
        self.processor = AutoImageProcessor.from_pretrained(CHECKPOINTS, backend="pil")
        self.model = AutoModelForImageClassification.from_pretrained(CHECKPOINTS, dtype=dtype)
        self.model.to(self.device).eval()

    def predict(self, request):
        output_info = request.model.model_version.output_info
        concepts = self.list_concepts(output_info)
        outputs = []
        for start in range(0, len(request.inputs), MAX_BATCH):
            batch = request.inputs[start : start + MAX_BATCH]
            outputs += self.answer(batch, concepts, output_info.output_config)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def stream(self, request_iterator):
        """Each request as it comes: the pictures of a camera, one by one."""
        for request in request_iterator:
            yield self.predict(request)

    def list_concepts(self, output_info):
        """A concept for each number the network gives: those of config.yaml, else those of the checkpoint."""
        labels = self.model.config.id2label
        concepts = output_info.data.concepts or [
            resources_pb2.Concept(id=str(number), name=labels[number]) for number in sorted(labels)
        ]
        if len(concepts) != len(labels):
            raise ValueError(f"config.yaml lists {len(concepts)} concepts; the checkpoint has {len(labels)}")
        return concepts

    def answer(self, inputs, concepts, settings):
        """One output for each input. An image that cannot be read fails alone."""
        outputs = [resources_pb2.Output() for _ in inputs]
        images = {}
        for number, one in enumerate(inputs):
            try:
                images[number] = read_image(one.data)
            except ValueError as error:
                outputs[number].status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
                outputs[number].status.description = str(error)
        if images:
            values, places = self.classify(list(images.values()), settings.max_concepts or len(concepts))
            for number, row, order in zip(images, values.tolist(), places.tolist(), strict=True):
                fill(outputs[number], row, [concepts[place] for place in order], settings.min_value)
        return outputs

    @torch.inference_mode()
    def classify(self, images, count):
        """The `count` highest probabilities of each image, falling, and whose they are."""
        pixels = self.processor(images, return_tensors="pt").pixel_values
        logits = self.model(pixels.to(self.device, self.model.dtype)).logits
        return logits.float().softmax(-1).topk(min(count, logits.shape[-1]))


def fill(output, values, concepts, min_value):
    """Put the concepts into an output that are as sure as the caller wants."""
    output.status.code = status_code_pb2.SUCCESS
    for value, concept in zip(values, concepts, strict=True):
        if value >= min_value:
            output.data.concepts.add(id=concept.id, name=concept.name, value=value)


def read_image(data):
    """The image of an input, upright. One that came as a URL has been fetched: its bytes are here, too."""
    if not data.image.base64:
        raise ValueError("the input has no image")
    try:
        with Image.open(io.BytesIO(data.image.base64)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError as error:
        raise ValueError("the image is in no known format") from error
    except Exception as error:  # Pillow's readers raise whatever they run into
        raise ValueError(f"the image cannot be read: {error}") from error
