"""Continues a text: all at once (`predict`), piece by piece (`generate`), or as requests come (`stream`).

`WordModel` stands where your model goes. It is small, but it is a language model: it has counted which word follows
which in corpus.txt, and says the next one by those odds. `TextToText` is the part to keep: it reads the inputs and the
parameters, and answers one output for each input, in order.
"""

import random
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from pathlib import Path

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

CORPUS = Path(__file__).parent / "corpus.txt"
WORD = re.compile(r"\w+(?:['’-]\w+)*|[.,;:?!]")
MARKS = frozenset(".,;:?!")  # which stand next to the word before them
ENDS = frozenset(".?!")
ORDER = 3  # words that the next one depends on, at most
READ = 1000  # letters at the end of a prompt that those words are looked for in


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Params:
    """What a caller may set, with what holds where they do not: `modelyard predict ... --param temperature=0.2`."""

    max_tokens: int = 60
    temperature: float = 0.8  # 0 always takes the likeliest word
    top_p: float = 0.95  # choose among the likeliest words that have this share of the odds
    seed: int = 0  # the same seed, the same text; 0 is a new one every time

    def __post_init__(self):
        if not 1 <= self.max_tokens <= 1000:
            raise InputError(f"max_tokens is {self.max_tokens}; it has to be 1 to 1000")
        if not 0 <= self.temperature <= 2:
            raise InputError(f"temperature is {self.temperature:g}; it has to be 0 to 2")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p:g}; it has to be above 0 and at most 1")


class WordModel:
    """Which word follows which. Put your model here: load it in `__init__`, run it in `continue_text`."""

    def __init__(self, corpus):
        self.followers = defaultdict(Counter)
        words = WORD.findall(corpus)
        for place, word in enumerate(words):
            for length in range(min(ORDER, place) + 1):
                self.followers[tuple(before.lower() for before in words[place - length : place])][word] += 1

    def continue_text(self, prompt, params):
        """Yield pieces of text, as soon as there is one, up to the end of a sentence or `max_tokens` pieces."""
        dice = random.Random(params.seed or None)
        before = [word.lower() for word in WORD.findall(prompt[-READ:])] or ["."]
        for number in range(params.max_tokens):
            word = choose(self.find_candidates(before), params, dice)
            yield word if number == 0 or word in MARKS else f" {word}"
            if word in ENDS:
                return
            before = [*before, word.lower()][-ORDER:]

    def find_candidates(self, before):
        """Counts of the words that follow the longest end of `before` that the corpus has."""
        for length in range(min(ORDER, len(before)), 0, -1):
            if counts := self.followers.get(tuple(before[-length:])):
                return counts
        return self.followers[()]


class TextToText(ModelRunner):
    """Reads texts and parameters, asks the model, and answers texts."""

    def load_model(self):
        self.model = WordModel(CORPUS.read_text(encoding="utf-8"))

    def predict(self, request):
        """One whole text for each input. A model that takes batches gets all inputs at once here."""
        texts = [""] * len(request.inputs)
        for answer in self.generate(request):
            if answer.outputs[0].status.code != status_code_pb2.SUCCESS:
                return answer
            texts = [text + output.data.text.raw for text, output in zip(texts, answer.outputs, strict=True)]
        return service_pb2.MultiOutputResponse(outputs=[make_output(text) for text in texts])

    def generate(self, request):
        """The next piece for every input, until all have ended; "" for those that ended before."""
        try:
            params = read_params(request)
        except InputError as error:
            yield service_pb2.MultiOutputResponse(outputs=[make_failure(error) for _ in request.inputs])
            return
        started = [self.model.continue_text(one.data.text.raw, params) for one in request.inputs]
        for pieces in zip_longest(*started, fillvalue=""):
            yield service_pb2.MultiOutputResponse(outputs=[make_output(piece) for piece in pieces])

    def stream(self, request_iterator):
        """The pieces of each request's answer, before the next request has come."""
        for request in request_iterator:
            yield from self.generate(request)


def read_params(request):
    """The parameters of a request. Raises InputError, which says what is allowed."""
    given = request.model.model_version.output_info.params
    read = {}
    for name, field in Params.__dataclass_fields__.items():
        if name in given:
            value, kind = given[name], type(field.default)
            if not isinstance(value, float) or kind(value) != value:  # all numbers of a request are floats
                what = "whole number" if kind is int else "number"
                raise InputError(f"{name} is {value!r}; it has to be a {what}")
            read[name] = kind(value)
    return Params(**read)


def make_output(text):
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    output.data.text.raw = text
    return output


def make_failure(error):
    """An output that says that the caller asked for what cannot be."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.MODEL_INVALID_ARGUMENT
    output.status.description = str(error)
    return output


def choose(counts, params, dice):
    """One word by its odds: the lower the temperature, the likelier the likeliest."""
    ranked = counts.most_common()
    if params.temperature == 0:
        return ranked[0][0]
    weights = [(count / ranked[0][1]) ** (1 / params.temperature) for _, count in ranked]
    sums = list(accumulate(weights))
    kept = bisect_left(sums, params.top_p * sums[-1]) + 1
    return dice.choices([word for word, _ in ranked[:kept]], weights[:kept])[0]
