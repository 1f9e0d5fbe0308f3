"""Turns texts into vectors: texts that are alike have vectors that point the same way.

`LetterModel` stands where your model goes. It is small, but it works: it hashes groups of letters into a vector, so
that texts with the same words, or words with the same stem, are near each other. `TextEmbedder` is the part to keep: it
reads the inputs, makes one batch of them, and answers one output for each input, in order.
"""

import zlib

import numpy as np
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

DIMENSIONS = 384
SIZES = (3, 4, 5)  # letters that are hashed together, beside whole words
READ = 10_000  # letters of a text that are looked at


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class LetterModel:
    """Hashed groups of letters. Put your model here: load it in `__init__`, run it in `embed`."""

    def embed(self, texts):
        """One row for each text, of length 1: the product of two rows is how alike they are, 1 for the same."""
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for gram in list_grams(text[:READ]):
                number = zlib.crc32(gram.encode())
                vector[number % DIMENSIONS] += 1 if number >> 31 else -1
        vectors = np.sign(vectors) * np.sqrt(np.abs(vectors))  # so that what is repeated does not drown the rest
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


class TextEmbedder(ModelRunner):
    """Reads texts, asks the model once for all of them, and answers embeddings."""

    def load_model(self):
        self.model = LetterModel()

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        texts = {}
        for number, one in enumerate(request.inputs):
            try:
                texts[number] = read_text(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        for number, vector in zip(texts, self.model.embed(list(texts.values())), strict=True):
            outputs[number].data.embeddings.add(vector=vector.tolist(), num_dimensions=len(vector))
            outputs[number].status.code = status_code_pb2.SUCCESS
        return service_pb2.MultiOutputResponse(outputs=outputs)


def read_text(data):
    """The text of an input. A text that came as a URL has been fetched: it is here, too."""
    if not data.text.raw.strip():
        raise InputError("the input has no text")
    return data.text.raw


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)


def list_grams(text):
    """Words and the groups of letters in them: `<and>`, `<an`, `and`, `nd>`, ... for `and`."""
    for word in text.lower().split():
        framed = f"<{word}>"
        yield framed
        for size in SIZES:
            yield from (framed[start : start + size] for start in range(len(framed) - size + 1))
