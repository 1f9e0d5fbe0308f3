"""Writes down what a recording says: all at once (`predict`), or word by word (`generate`, `stream`).

`MorseModel` stands where your speech recognition goes. It is small, but it transcribes: it listens for a tone and reads
it as Morse code, of any pitch and speed; in speech or music it finds no code, and writes nothing. `AudioToText` is the
part to keep: it reads the inputs and answers one output for each of them, in order, with the time of every word.
"""

import io
import wave
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

MAX_S = 300  # what is longer would take too much memory
STEP_S = 0.005  # how finely the tone's beginnings and ends are found
LOWEST_HZ, HIGHEST_HZ = 200, 3000  # where the tone is looked for
MIN_PURITY = 0.6  # of the sound's energy in the tone, or it is not Morse code
USUAL_DOT_S = 0.06  # at 20 words a minute; only counts where there is nothing to compare with
CODES = """
A .-    B -...  C -.-.  D -..   E .     F ..-.  G --.   H ....  I ..    J .---  K -.-   L .-..  M --    N -.    O ---
P .--.  Q --.-  R .-.   S ...   T -     U ..-   V ...-  W .--   X -..-  Y -.--  Z --..
0 ----- 1 .---- 2 ..--- 3 ...-- 4 ....- 5 ..... 6 -.... 7 --... 8 ---.. 9 ----. . .-.-.- , --..-- ? ..--.. / -..-.
""".split()
LETTERS = dict(zip(CODES[1::2], CODES[::2], strict=True))


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Sound:
    """A recording: one channel of samples, -1 to 1."""

    samples: np.ndarray
    rate: int  # samples a second


@dataclass(frozen=True)
class Word:
    """A word and when it is heard, in seconds from the start."""

    text: str
    begin_s: float
    end_s: float


class MorseModel:
    """Reads Morse code. Put your model here: load it in `__init__`, run it in `transcribe`."""

    def transcribe(self, sound):
        """Yield the words of a recording, each as soon as it is known."""
        marks = find_tones(sound)
        if len(marks) == 0:
            return
        lengths, gaps = marks[:, 1] - marks[:, 0], marks[1:, 0] - marks[:-1, 1]
        dot_s = find_dot(lengths, gaps)
        code, letters, begin_s = "", "", marks[0, 0]
        for (_, end_s), length, gap in zip(marks, lengths, [*gaps, np.inf], strict=True):
            code += "-" if length > 2 * dot_s else "."
            if gap > 2 * dot_s:
                letters += LETTERS.get(code, "�")
                code = ""
            if gap > 5 * dot_s:
                yield Word(letters, begin_s, end_s)
                letters, begin_s = "", end_s + gap


class AudioToText(ModelRunner):
    """Reads recordings, asks the model, and answers texts."""

    def load_model(self):
        self.model = MorseModel()

    def predict(self, request):
        """The whole text of each input. A model that takes batches gets all recordings at once here."""
        outputs = []
        for one in request.inputs:
            try:
                outputs.append(make_output(list(self.model.transcribe(read_sound(one.data)))))
            except InputError as error:  # this input fails, the others are answered
                outputs.append(make_failure(error))
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next word of every input, until all have ended; "" for those that ended before."""
        started = [self.list_pieces(one.data) for one in request.inputs]
        for outputs in zip_longest(*started):
            filled = [make_output([]) if output is None else output for output in outputs]
            yield service_pb2.MultiOutputResponse(outputs=filled)

    def stream(self, request_iterator):
        """The words of each request, before the next request has come: a long recording can be sent in parts."""
        for request in request_iterator:
            yield from self.generate(request)

    def list_pieces(self, data):
        """An output for each word, with the space before it; one empty output where nothing is said."""
        try:
            number = 0
            for number, word in enumerate(self.model.transcribe(read_sound(data)), start=1):
                yield make_output([word], before=" " if number > 1 else "")
            if number == 0:
                yield make_output([])
        except InputError as error:
            yield make_failure(error)


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
    return Sound(samples.reshape(-1, channels).mean(axis=1), rate)


def make_output(words, before=""):
    """The words as a text, and when each is heard."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    output.data.text.raw = before + " ".join(word.text for word in words)
    for word in words:
        segment = output.data.time_segments.add()
        segment.data.text.raw = word.text
        segment.time_info.begin_time = round(word.begin_s * 1000)  # in milliseconds
        segment.time_info.end_time = round(word.end_s * 1000)
    return output


def make_failure(error):
    """An output that says that its input is at fault."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
    return output


def find_tones(sound):
    """When the strongest tone begins and ends, in seconds: rows of two."""
    samples, rate = slow_down(sound)
    step = max(1, round(STEP_S * rate))
    count = len(samples) // step
    if count < 2:
        return np.empty((0, 2))
    loudness = np.abs(np.fft.rfft(samples))
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    loudness[(hertz < LOWEST_HZ) | (hertz > HIGHEST_HZ)] = 0
    turns = np.exp(-2j * np.pi * hertz[loudness.argmax()] * np.arange(len(samples)) / rate)
    width = np.ones(2 * step) / (2 * step)  # the tone is averaged over two steps
    strength = 2 * np.abs(np.convolve(samples * turns, width, mode="same"))
    tone = strength[: count * step].reshape(count, step).mean(axis=1)
    energy = (samples[: count * step].reshape(count, step) ** 2).mean(axis=1)
    is_on = tone > tone.max() / 2
    if not tone.max() or (tone[is_on] ** 2 / 2).sum() < MIN_PURITY * energy.sum():
        return np.empty((0, 2))
    changes = np.flatnonzero(np.diff(np.concatenate([[0], is_on, [0]])))
    return changes.reshape(-1, 2) * step / rate


def slow_down(sound):
    """Samples around 0 and their rate: no more a second than the tones need that are looked for."""
    factor = max(1, int(sound.rate / (2.5 * HIGHEST_HZ)))
    whole = len(sound.samples) // factor * factor
    samples = sound.samples[:whole].reshape(-1, factor).mean(axis=1)
    return samples - (samples.mean() if len(samples) else 0), sound.rate / factor


def find_dot(lengths, gaps):
    """How long a dot is, in seconds: dashes are three times as long, and the shortest gaps as long as dots."""
    short, long = lengths.min(), lengths.max()
    if long > 2 * short:
        return lengths[lengths < np.sqrt(short * long)].mean()
    if len(gaps):
        return gaps.min() if short > 2 * gaps.min() else lengths.mean()
    return lengths.mean() if short < 2 * USUAL_DOT_S else lengths.mean() / 3
