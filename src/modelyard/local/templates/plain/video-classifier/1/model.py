"""Labels the frames of videos with the concepts of config.yaml; an image is a video of one frame.

`MotionModel` stands where your model goes. It is small, but it does what it says: it compares each frame with the one
before, and tells whether the picture stands still, moves, or is cut. `VideoClassifier` is the part to keep: it decodes
the inputs, takes a frame for every `sample_ms` of them, and answers one output for each input, in order, with the
concepts of every frame and of the whole.
"""

import io
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import av
import numpy as np
import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

CONFIG = Path(__file__).parents[1] / "config.yaml"
SAMPLE_MS = 200  # a frame for this much of a video, where the caller does not say
SIDE = 64  # pixels: frames are compared in this size
STILL, MOVING, CUT = 0, 1, 2  # places in the concepts of config.yaml
STILL_BELOW, CUT_ABOVE = 0.01, 0.2  # mean difference to the frame before, 0 to 1
BATCH = 16  # frames that are given to the model at once


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Frame:
    """A frame of a video."""

    number: int
    time_ms: int
    image: av.VideoFrame


class MotionModel:
    """How a picture changes. Put your model here: load it in `__init__`, run it in `score`."""

    def score(self, images, before):
        """One row of values for each image, one value for each concept, which are 1 in sum.

        Args:
            images: Pictures of a video that follow each other.
            before: The one before them; None where they are the first.
        """
        small = [image.to_ndarray(format="gray", width=SIDE, height=SIDE) for image in (before or images[0], *images)]
        changes = np.abs(np.diff(np.stack(small).astype(np.float32), axis=0)).mean(axis=(1, 2)) / 255
        moves = step_up(changes, STILL_BELOW)
        is_cut = moves * step_up(changes, CUT_ABOVE)
        return np.stack([1 - moves, moves - is_cut, is_cut], axis=1)


class VideoClassifier(ModelRunner):
    """Decodes videos, gives their frames to the model in batches, and answers concepts."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = MotionModel()

    def predict(self, request):
        """Every frame of each input, and the mean of its frames."""
        settings = request.model.model_version.output_info.output_config
        outputs = []
        for one in request.inputs:
            output = resources_pb2.Output()
            try:
                scored = list(self.score_frames(one.data, settings))
            except InputError as error:  # this input fails, the others are answered
                fail(output, error)
            else:
                for frame in scored:
                    self.add_frame(output, *frame, settings)
                self.add_concepts(output.data, np.mean([values for *_, values in scored], axis=0), settings)
            outputs.append(output)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next frame of every input, as soon as it is known; nothing for those that ended before."""
        settings = request.model.model_version.output_info.output_config
        started = [self.list_pieces(one.data, settings) for one in request.inputs]
        for outputs in zip_longest(*started):
            filled = [output or make_empty() for output in outputs]
            yield service_pb2.MultiOutputResponse(outputs=filled)

    def stream(self, request_iterator):
        """The frames of each request, before the next request has come: a camera's pictures can be sent one by one."""
        for request in request_iterator:
            yield from self.generate(request)

    def list_pieces(self, data, settings):
        """An output for each frame, or the one that says why there is none."""
        try:
            for frame in self.score_frames(data, settings):
                output = resources_pb2.Output()
                self.add_frame(output, *frame, settings)
                yield output
        except InputError as error:
            output = resources_pb2.Output()
            fail(output, error)
            yield output

    def score_frames(self, data, settings):
        """The number, time and values of each frame of an input. Only one batch of pictures is in memory at a time."""
        frames = read_frames(data, settings.sample_ms or SAMPLE_MS)
        before = None
        while batch := list(islice(frames, BATCH)):
            scores = self.model.score([frame.image for frame in batch], before)
            yield from ((frame.number, frame.time_ms, values) for frame, values in zip(batch, scores, strict=True))
            before = batch[-1].image

    def add_frame(self, output, number, time_ms, values, settings):
        """Put a frame with its concepts into an output."""
        added = output.data.frames.add()
        added.frame_info.index, added.frame_info.time = number, time_ms
        self.add_concepts(added.data, values, settings)
        output.status.code = status_code_pb2.SUCCESS

    def add_concepts(self, data, values, settings):
        """Put the concepts into some data, the surest first: as many and as sure as the caller wants."""
        for number in np.argsort(-values, kind="stable")[: settings.max_concepts or None]:
            if values[number] >= settings.min_value:
                concept = self.concepts[number]
                data.concepts.add(id=concept["id"], name=concept["name"], value=float(values[number]))


def read_frames(data, sample_ms):
    """Yield a frame for every `sample_ms` of a video. One that came as a URL has been fetched: its bytes are here."""
    content = data.video.base64 or data.image.base64
    if not content:
        raise InputError("the input has neither a video nor an image")
    due_ms = 0
    try:
        with av.open(io.BytesIO(content)) as file:
            if not file.streams.video:
                raise InputError("the file has no video")
            number = -1
            for number, image in enumerate(file.decode(video=0)):
                time_ms = round((image.time or 0) * 1000)
                if number == 0 or time_ms >= due_ms:
                    yield Frame(number, time_ms, image)
                    due_ms = time_ms + sample_ms
            if number < 0:
                raise InputError("the video has no pictures")
    except av.error.FFmpegError as error:
        raise InputError(f"the video cannot be read: {error.strerror}") from error


def step_up(values, threshold):
    """From 0 far below the threshold to 1 far above it."""
    return (1 + np.tanh(2 * (values - threshold) / threshold)) / 2


def make_empty():
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    return output


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
