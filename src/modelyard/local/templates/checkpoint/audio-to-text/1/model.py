"""Writes down recordings with a speech recognition checkpoint of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded. It may be one that writes
(Whisper and its like) or one that spells (CTC: Wav2Vec2 and its like). Recordings of any length are cut where they are
quiet, in parts that the model can hear at once.
"""

import io
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "auto" if DEVICE == "cuda" else torch.float32  # CPUs are slow with the halves that checkpoints are kept in
BATCH = 8  # parts of recordings that the model is given at once
LONGEST_S, SHORTEST_S = 28, 20  # of a part: it ends at the quietest moment between the two
QUIET_S = 0.1  # how long a moment is


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class AudioToText(ModelRunner):
    """Reads recordings, asks the model for batches of their parts, and answers texts."""

    def load_model(self):
        self.processor = AutoProcessor.from_pretrained(CHECKPOINTS)
        self.rate = self.processor.feature_extractor.sampling_rate
        self.is_writing = AutoConfig.from_pretrained(CHECKPOINTS).is_encoder_decoder
        kind = AutoModelForSpeechSeq2Seq if self.is_writing else AutoModelForCTC
        self.model = kind.from_pretrained(CHECKPOINTS, dtype=DTYPE).to(DEVICE).eval()

    def predict(self, request):
        """The whole text of each input: the parts of all of them are transcribed together."""
        outputs, parts = [make_output("") for _ in request.inputs], []
        for number, one in enumerate(request.inputs):
            try:
                parts += [(number, part) for part in self.read_parts(one.data)]
            except InputError as error:  # this input fails, the others are answered
                outputs[number] = make_failure(error)
        texts = self.transcribe([part for _, part in parts], read_settings(request))
        for (number, _), text in zip(parts, texts, strict=True):
            outputs[number].data.text.raw = f"{outputs[number].data.text.raw} {text}".strip()
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The text of the next part of every input, until all have ended; "" for those that ended before."""
        settings = read_settings(request)
        started = [self.list_pieces(one.data, settings) for one in request.inputs]
        for outputs in zip_longest(*started):
            filled = [make_output("") if output is None else output for output in outputs]
            yield service_pb2.MultiOutputResponse(outputs=filled)

    def stream(self, request_iterator):
        """The texts of each request, before the next request has come: a long recording can be sent in parts."""
        for request in request_iterator:
            yield from self.generate(request)

    def list_pieces(self, data, settings):
        """An output for each part of a recording, or the one that says why there is none."""
        try:
            for number, part in enumerate(self.read_parts(data)):
                (text,) = self.transcribe([part], settings)
                yield make_output(f" {text}" if number and text else text)
        except InputError as error:
            yield make_failure(error)

    def read_parts(self, data):
        """The samples of a recording, in parts that the model can hear at once."""
        return split_where_quiet(read_samples(data, self.rate), self.rate)

    @torch.inference_mode()
    def transcribe(self, parts, settings):
        """One text for each part."""
        texts = []
        for start in range(0, len(parts), BATCH):
            batch = parts[start : start + BATCH]
            is_padded = {} if self.is_writing else {"padding": True}  # Whisper hears 30 s, whatever it is given
            inputs = self.processor(batch, sampling_rate=self.rate, return_tensors="pt", **is_padded)
            inputs = inputs.to(DEVICE, self.model.dtype)
            tokens = self.model.generate(**inputs, **settings) if self.is_writing else self.spell(inputs)
            texts += [text.strip() for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        return texts

    def spell(self, inputs):
        """The likeliest letter of every moment; the processor knows how they become words."""
        return self.model(**inputs).logits.argmax(dim=-1)


def read_settings(request):
    """What a caller may set, for Whisper and its like: `language` (such as "de") and `task` ("translate")."""
    given = request.model.model_version.output_info.params
    return {name: given[name] for name in ("language", "task") if name in given}


def read_samples(data, rate):
    """The recording of an input, in any format that FFmpeg reads: one channel of samples, -1 to 1.

    A recording that came as a URL has been fetched: its bytes are here, too.
    """
    if not data.audio.base64:
        raise InputError("the input has no audio")
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    pieces = []
    try:
        with av.open(io.BytesIO(data.audio.base64)) as file:
            if not file.streams.audio:
                raise InputError("the file has no sound")
            for frame in file.decode(audio=0):
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except av.error.FFmpegError as error:
        raise InputError(f"the audio cannot be read: {error.strerror}") from error
    if not pieces:
        raise InputError("the audio is empty")
    return np.concatenate(pieces)


def split_where_quiet(samples, rate):
    """Parts of a recording, each ending at the quietest moment before it gets too long."""
    longest, shortest, moment = (round(seconds * rate) for seconds in (LONGEST_S, SHORTEST_S, QUIET_S))
    parts = []
    while len(samples) > longest:
        moments = samples[shortest : longest - (longest - shortest) % moment].reshape(-1, moment)
        end = shortest + int((moments**2).mean(axis=1).argmin()) * moment + moment // 2
        parts.append(samples[:end])
        samples = samples[end:]
    return [*parts, samples]


def make_output(text):
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    output.data.text.raw = text
    return output


def make_failure(error):
    """An output that says that its input is at fault."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
    return output
