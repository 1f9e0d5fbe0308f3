"""Turns texts into vectors with an embedding checkpoint of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded. How the vectors of a text's
tokens become one is read from it, where it was made with sentence-transformers; else they are averaged.
"""

import json
from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from transformers import AutoModel, AutoTokenizer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "auto" if DEVICE == "cuda" else torch.float32  # CPUs are slow with the halves that checkpoints are kept in
BATCH = 32  # texts that the model is given at once


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class TextEmbedder(ModelRunner):
    """Reads texts, asks the model for batches of them, and answers embeddings of length 1."""

    def load_model(self):
        self.tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS)
        self.model = AutoModel.from_pretrained(CHECKPOINTS, dtype=DTYPE).to(DEVICE).eval()
        self.pool = choose_pooling()

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        texts = {}
        for number, one in enumerate(request.inputs):
            try:
                texts[number] = read_text(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        for number, vector in zip(texts, self.embed(list(texts.values())), strict=True):
            outputs[number].data.embeddings.add(vector=vector, num_dimensions=len(vector))
            outputs[number].status.code = status_code_pb2.SUCCESS
        return service_pb2.MultiOutputResponse(outputs=outputs)

    @torch.inference_mode()
    def embed(self, texts):
        """One vector for each text. A text that is too long is cut off."""
        vectors = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            inputs = self.tokenizer(batch, padding=True, truncation=True, return_tensors="pt").to(DEVICE)
            tokens = self.model(**inputs).last_hidden_state.float()
            pooled = self.pool(tokens, inputs["attention_mask"].unsqueeze(-1))
            vectors += torch.nn.functional.normalize(pooled, dim=-1).tolist()
        return vectors


def choose_pooling():
    """How the checkpoint wants its tokens joined: it says so in the words of sentence-transformers, or not at all."""
    path = CHECKPOINTS / "1_Pooling" / "config.json"
    wanted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if wanted.get("pooling_mode_cls_token"):
        return take_first
    return take_last if wanted.get("pooling_mode_lasttoken") else average


def average(tokens, mask):
    return (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def take_first(tokens, mask):
    return tokens[torch.arange(len(tokens)), mask.squeeze(-1).argmax(dim=1)]


def take_last(tokens, mask):
    places = torch.arange(mask.shape[1], device=mask.device)
    return tokens[torch.arange(len(tokens)), (places * mask.squeeze(-1)).argmax(dim=1)]


def read_text(data):
    """The text of an input. A text that came as a URL has been fetched: it is here, too."""
    if not data.text.raw.strip():
        raise InputError("the input has no text")
    return data.text.raw


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
