"""Writes down what is said, with Whisper: all of it at once, or piece by piece."""

from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
from google.protobuf.json_format import MessageToDict
from recording import RATE, Recording
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MAX_BATCH = 8  # pieces of half a minute in one pass through the network
SILENCE = 1e-4  # in a piece that is nowhere louder nothing is said; Whisper would invent something


class SpeechRecognizer(ModelRunner):
    """The pieces of all inputs of a request go through the network together."""

    def load_model(self):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.float16 if self.device == "cuda" else torch.float32  # few CPUs are fast at half precision
        self.processor = AutoProcessor.from_pretrained(CHECKPOINTS)
        self.model = AutoModelForSpeechSeq2Seq.from_pretrained(CHECKPOINTS, dtype=dtype).to(self.device).eval()

    def predict(self, request):
        """The whole text of each input, and when each piece of it is heard."""
        params, recordings = read_params(request), read_recordings(request)
        outputs = [make_output(recording) for recording in recordings]
        pairs = zip(outputs, recordings, strict=True)
        waiting = [(output, piece) for output, recording in pairs for piece in recording.pieces]
        for start in range(0, len(waiting), MAX_BATCH):
            batch = waiting[start : start + MAX_BATCH]
            texts = self.transcribe([piece for _, piece in batch], params)
            for (output, piece), text in zip(batch, texts, strict=True):
                add_text(output, piece, text)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The text of the next piece of each input as soon as it is known; "" for those that have ended."""
        params, recordings = read_params(request), read_recordings(request)
        for pieces in zip_longest(*(recording.pieces or [None] for recording in recordings)):
            outputs = [make_output(recording) for recording in recordings]
            heard = [number for number, piece in enumerate(pieces) if piece]
            texts = self.transcribe([pieces[number] for number in heard], params)
            for number, text in zip(heard, texts, strict=True):
                add_text(outputs[number], pieces[number], text)
            yield service_pb2.MultiOutputResponse(outputs=outputs)

    def stream(self, request_iterator):
        """The text of each request, before the next has come: a talk that goes on can be sent in parts."""
        for request in request_iterator:
            yield from self.generate(request)

    @torch.inference_mode()
    def transcribe(self, pieces, params):
        """The text of each piece."""
        texts = [""] * len(pieces)
        spoken = [number for number, piece in enumerate(pieces) if np.abs(piece.samples).max() > SILENCE]
        if spoken:
            inputs = self.processor(
                [pieces[number].samples for number in spoken],
                sampling_rate=RATE,
                return_attention_mask=True,
                return_tensors="pt",
                device=self.device,
            )
            tokens = self.model.generate(
                inputs.input_features.to(self.device, self.model.dtype),
                attention_mask=inputs.attention_mask.to(self.device),
                **params,
            )
            for number, text in zip(spoken, self.processor.batch_decode(tokens, skip_special_tokens=True), strict=True):
                texts[number] = text.strip()
        return texts


def read_params(request):
    """`language` ("en", "german", ...; found out where it is not given) and `task` ("transcribe" or "translate")."""
    params = MessageToDict(request.model.model_version.output_info.params)
    for name, value in params.items():
        if name not in ("language", "task"):
            raise ValueError(f"there is no parameter {name!r}, only language and task")
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r}; it must be a text")
    return params


def read_recordings(request):
    """The sound of each input. Audio that came as a URL has been fetched: its bytes are here, too."""
    return [Recording(one.data.audio.base64) for one in request.inputs]


def make_output(recording):
    """An output without text yet, or one that says why there is none."""
    code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT if recording.error else status_code_pb2.SUCCESS
    output = resources_pb2.Output(status=status_pb2.Status(code=code, description=recording.error or "Ok"))
    if not recording.error:
        output.data.text.raw = ""
    return output


def add_text(output, piece, text):
    """Add what is said in a piece, with its place in time; a space is before all but the first."""
    if text:
        spaced = f" {text}" if piece.begin_ms else text
        output.data.text.raw += spaced
        segment = output.data.time_segments.add()
        segment.data.text.raw = text
        segment.time_info.begin_time, segment.time_info.end_time = piece.begin_ms, piece.end_ms
