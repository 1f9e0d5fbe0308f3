"""Labels texts with the concepts of config.yaml.

`LetterModel` stands where your model goes. It is small, but it learns: when it is loaded it counts the letters that
follow each other in the labelled lines of examples.tsv, which tells languages apart with a few lines each. Put lines of
your own there, with the ids of your concepts, and it learns those. `TextClassifier` is the part to keep: it reads the
inputs, makes one batch of them, and answers one output for each input, in order.
"""

import math
from collections import Counter
from pathlib import Path

import yaml
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

CONFIG = Path(__file__).parents[1] / "config.yaml"
EXAMPLES = Path(__file__).parent / "examples.tsv"
SIZES = (1, 2, 3)  # letters that are counted together
READ = 10_000  # letters of a text that are looked at


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class LetterModel:
    """Naive Bayes over groups of letters. Put your model here: load it in `__init__`, run it in `score`."""

    def __init__(self, labels, examples):
        counts = {label: Counter() for label in labels}
        for label, text in examples:
            counts[label].update(list_grams(text))
        self.size = len(set().union(*counts.values()))
        self.counts = list(counts.values())

    def score(self, texts):
        """One row of values for each text, one value for each label, which are 1 in sum."""
        return [self.score_one(text) for text in texts]

    def score_one(self, text):
        grams = Counter(list_grams(text[:READ]))
        logs = []
        for counts in self.counts:
            total = counts.total() + self.size
            odds = sum(times * math.log((counts[gram] + 1) / total) for gram, times in grams.items())
            logs.append(odds / len(SIZES))  # groups that overlap say the same more than once
        powers = [math.exp(one - max(logs)) for one in logs]
        return [power / sum(powers) for power in powers]


class TextClassifier(ModelRunner):
    """Reads texts, asks the model once for all of them, and answers concepts."""

    def load_model(self):
        self.concepts = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["concepts"]
        self.model = LetterModel([concept["id"] for concept in self.concepts], read_examples())

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        texts = {}
        for number, one in enumerate(request.inputs):
            try:
                texts[number] = read_text(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        settings = request.model.model_version.output_info.output_config
        for number, values in zip(texts, self.model.score(list(texts.values())), strict=True):
            self.fill(outputs[number], values, settings)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def fill(self, output, values, settings):
        """Put the concepts into an output, the surest first: as many and as sure as the caller wants."""
        ranked = sorted(zip(self.concepts, values, strict=True), key=lambda one: -one[1])
        for concept, value in ranked[: settings.max_concepts or None]:
            if value >= settings.min_value:
                output.data.concepts.add(id=concept["id"], name=concept["name"], value=value)
        output.status.code = status_code_pb2.SUCCESS


def read_examples():
    """Pairs of a concept's id and a text: a line each, with a tab between them."""
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    return [line.split("\t", 1) for line in lines if line]


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
    """Groups of letters within words: ` a`, `an`, `and`, `nd `, ... for `and`."""
    for word in text.lower().split():
        framed = f" {word.strip('.,;:?!()')} "
        for size in SIZES:
            yield from (framed[start : start + size] for start in range(len(framed) - size + 1))
