"""Finds objects in images and in the frames of videos, with DETR or another detector that transformers knows."""

import io
from itertools import groupby, islice, zip_longest
from pathlib import Path

import av
import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers import AutoImageProcessor, AutoModelForObjectDetection

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MAX_BATCH = 8  # pictures in one pass through the network, and in memory
MIN_VALUE = 0.5  # what is less sure is left out, where the caller does not say
SAMPLE_MS = 1000  # a frame for this much of a video, where the caller does not say


class UnreadableInput(Exception):
    """An input that fails alone: the others are answered."""


class ImageDetector(ModelRunner):
    """A picture is an image, or a frame of a video. Those of one size go through the network together."""

    def load_model(self):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_float32_matmul_precision("high")  # some GPUs are then much faster, and exact enough
        self.processor = AutoImageProcessor.from_pretrained(CHECKPOINTS, backend="pil")
        self.model = AutoModelForObjectDetection.from_pretrained(CHECKPOINTS).to(self.device).eval()

    def predict(self, request):
        """What is in each image, and in the frames of each video."""
        outputs = [make_output() for _ in request.inputs]
        # No batch mixes sizes: to pad the smaller ones would change what is found in them.
        for _, pictures in groupby(list_pictures(request, outputs), key=lambda picture: picture[1].size):
            while batch := list(islice(pictures, MAX_BATCH)):
                self.find(batch, request)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next picture of each input as soon as it is known; nothing more of inputs that have ended."""
        pieces = [self.list_pieces(one, request) for one in request.inputs]
        for outputs in zip_longest(*pieces):
            yield service_pb2.MultiOutputResponse(outputs=[output or make_output() for output in outputs])

    def stream(self, request_iterator):
        """Each request as it comes: the pictures of a camera, one by one."""
        for request in request_iterator:
            yield from self.generate(request)

    def list_pieces(self, one, request):
        """An output for each picture of an input."""
        try:
            for info, image in read_pictures(one.data, get_sample_ms(request)):
                output = make_output()
                self.find([(add_place(output, info), image)], request)
                yield output
        except UnreadableInput as error:
            yield make_output(error)

    @torch.inference_mode()
    def find(self, batch, request):
        """Put the regions of each picture into its place, the surest first. A batch is (place, image) pairs."""
        output_info = request.model.model_version.output_info
        concepts, settings = self.list_concepts(output_info), output_info.output_config
        pixels = self.processor([image for _, image in batch], return_tensors="pt").to(self.device)
        found = self.processor.post_process_object_detection(
            self.model(**pixels), threshold=settings.min_value or MIN_VALUE
        )
        for (place, _), one in zip(batch, found, strict=True):
            order = one["scores"].argsort(descending=True)[: settings.max_concepts or None]
            values, labels, boxes = (one[name][order].tolist() for name in ("scores", "labels", "boxes"))
            for value, label, box in zip(values, labels, boxes, strict=True):
                add_region(place, value, concepts[label], box)

    def list_concepts(self, output_info):
        """A concept for each label of the network: those of config.yaml, else those of the checkpoint."""
        labels = self.model.config.id2label
        concepts = output_info.data.concepts or [
            resources_pb2.Concept(id=str(number), name=labels[number]) for number in sorted(labels)
        ]
        if len(concepts) != len(labels):
            raise ValueError(f"config.yaml lists {len(concepts)} concepts; the checkpoint has {len(labels)}")
        return concepts


def list_pictures(request, outputs):
    """Yield the place in its output, and the image, of each picture of each input."""
    for one, output in zip(request.inputs, outputs, strict=True):
        try:
            for info, image in read_pictures(one.data, get_sample_ms(request)):
                yield add_place(output, info), image
        except UnreadableInput as error:
            output.CopyFrom(make_output(error))


def read_pictures(data, sample_ms):
    """Yield (which frame, image) of an input. What came as a URL has been fetched: its bytes are here, too."""
    if data.video.base64:
        yield from read_frames(data.video.base64, sample_ms)
    elif data.image.base64:
        yield None, read_image(data.image.base64)
    else:
        raise UnreadableInput("the input has neither an image nor a video")


def read_image(content):
    """An image, upright."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError as error:
        raise UnreadableInput("the image is in no known format") from error
    except Exception as error:  # Pillow's readers raise whatever they run into
        raise UnreadableInput(f"the image cannot be read: {error}") from error


def read_frames(content, sample_ms):
    """Yield the first frame of each `sample_ms` of a video. Only one is in memory at a time."""
    index, due_ms = 0, 0
    try:
        with av.open(io.BytesIO(content)) as file:
            if not file.streams.video:
                raise UnreadableInput("the video has no pictures")
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"  # decode with several cores
            began_s = float((stream.start_time or 0) * stream.time_base)
            for number, frame in enumerate(file.decode(stream)):
                time_ms = round(((frame.time or began_s) - began_s) * 1000)
                if time_ms >= due_ms:
                    image = frame.to_image()
                    if frame.rotation in (-90, 90, -180, 180):  # of a telephone that was held otherwise
                        image = image.rotate(frame.rotation, expand=True)
                    yield resources_pb2.FrameInfo(index=index, number=number, time=time_ms), image
                    index, due_ms = index + 1, time_ms - time_ms % sample_ms + sample_ms
    except av.error.FFmpegError as error:
        raise UnreadableInput(f"the video cannot be read: {error.strerror}") from error


def get_sample_ms(request):
    return request.model.model_version.output_info.output_config.sample_ms or SAMPLE_MS


def make_output(error=None):
    """An output without data yet, or one that says why its input cannot be read."""
    code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT if error else status_code_pb2.SUCCESS
    return resources_pb2.Output(status=status_pb2.Status(code=code, description=str(error or "Ok")))


def add_place(output, info):
    """Where the regions of a picture go: into a new frame, or, for an image, into the output itself."""
    return output.data if info is None else output.data.frames.add(frame_info=info).data


def add_region(data, value, concept, box):
    """One object. A box is left, top, right and bottom, as shares of the width and height."""
    region = data.regions.add(value=value)
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in box)
    region.region_info.bounding_box.CopyFrom(
        resources_pb2.BoundingBox(top_row=top, left_col=left, bottom_row=bottom, right_col=right)
    )
    region.data.concepts.add(id=concept.id, name=concept.name, value=value)
