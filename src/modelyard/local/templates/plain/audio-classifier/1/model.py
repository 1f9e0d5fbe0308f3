"""Labels recordings with the concepts of config.yaml.

`SpectrumModel` stands where your model goes. It is small, but it does what it says: of each recording it tells how much
is silence, how much is tones and how much is noise. `AudioClassifier` is the part to keep: it reads the inputs and
answers one output for each of them, in order.
"""

import io
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

CONFIG = Path(__file__).parents[1] / "config.yaml"
MAX_S = 300  # what is longer would take too much memory
FRAME_S = 0.05  # what is listened to at once
SILENT = 10 ** (-50 / 20)  # -50 dB of full scale: what is quieter is silence
MAX_FLATNESS = 0.2  # 0 is a pure tone, 1 is white noise
SILENCE, TONE, NOISE = 0, 1, 2  # places in the concepts of config.yaml


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Sound:
    """A recording: one channel of samples, -1 to 1."""

    samples: np.ndarray
    rate: int  # samples a second


class SpectrumModel:
    """The share of silence, tones and noise. Put your model here: load it in `__init__`, run it in `score`."""

    def score(self, sounds):
        """One row of values for each recording, one value for each concept, which are 1 in sum."""
        return np.stack([self.score_one(sound) for sound in sounds])

    def score_one(self, sound):
        length = max(16, round(FRAME_S * sound.rate))
        samples = np.pad(sound.samples, (0, -len(sound.samples) % length))
        frames = samples.reshape(-1, length)
        loudness = np.sqrt((frames**2).mean(axis=1))
        power = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1))[:, 1:] ** 2 + 1e-12
        flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
        labels = np.where(loudness < SILENT, SILENCE, np.where(flatness < MAX_FLATNESS, TONE, NOISE))
        return np.bincount(labels, minlength=3) / len(labels)


class AudioClassifier(ModelRunner):
    """Reads recordings, asks the model once for all of them, and answers concepts."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = SpectrumModel()

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        sounds = {}
        for number, one in enumerate(request.inputs):
            try:
                sounds[number] = read_sound(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        if sounds:
            settings = request.model.model_version.output_info.output_config
            for number, values in zip(sounds, self.model.score(list(sounds.values())), strict=True):
                self.fill(outputs[number], values, settings)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def fill(self, output, values, settings):
        """Put the concepts into an output, the surest first: as many and as sure as the caller wants."""
        for number in np.argsort(-values, kind="stable")[: settings.max_concepts or None]:
            if values[number] >= settings.min_value:
                concept = self.concepts[number]
                output.data.concepts.add(id=concept["id"], name=concept["name"], value=float(values[number]))
        output.status.code = status_code_pb2.SUCCESS


def read_sound(data):
    """The recording of an input, a WAV file of any rate, with its channels mixed.

    For MP3, FLAC and others, add `soundfile` to requirements.txt and read them with it. A recording that came as a URL
    has been fetched: its bytes are here, too.
    """
    if not data.audio.base64:
        raise InputError("the input has no audio")
    try:
        with wave.open(io.BytesIO(data.audio.base64)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            if file.getnframes() > MAX_S * rate:
                raise InputError(f"the audio is longer than {MAX_S} s")
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        why = str(error) or "it ends too early"
        raise InputError(f"the audio cannot be read: it has to be a WAV file ({why})") from error
    if width == 1:  # these, and only these, have no sign
        samples = np.frombuffer(content, np.uint8).astype(np.float32) / 128 - 1
    elif width in (2, 4):
        samples = np.frombuffer(content, f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    else:
        raise InputError(f"the audio has {8 * width} bits a sample; 8, 16 and 32 can be read")
    if not len(samples):
        raise InputError("the audio is empty")
    return Sound(samples.reshape(-1, channels).mean(axis=1), rate)


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
