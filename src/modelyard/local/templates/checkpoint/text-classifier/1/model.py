"""Labels texts with a sequence classification checkpoint of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded, and the concepts are its own
labels (`id2label` of its config.json).
"""

from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from transformers import AutoModelForSequenceClassification, AutoTokenizer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "auto" if DEVICE == "cuda" else torch.float32  # CPUs are slow with the halves that checkpoints are kept in
BATCH = 32  # texts that the model is given at once


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class TextClassifier(ModelRunner):
    """Reads texts, asks the model for batches of them, and answers concepts."""

    def load_model(self):
        self.tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS)
        self.model = AutoModelForSequenceClassification.from_pretrained(CHECKPOINTS, dtype=DTYPE).to(DEVICE).eval()
        self.labels = self.model.config.id2label
        self.is_multi_label = self.model.config.problem_type == "multi_label_classification"

    def predict(self, request):
        outputs = [resources_pb2.Output() for _ in request.inputs]
        texts = {}
        for number, one in enumerate(request.inputs):
            try:
                texts[number] = read_text(one.data)
            except InputError as error:  # this input fails, the others are answered
                fail(outputs[number], error)
        settings = request.model.model_version.output_info.output_config
        for number, values in zip(texts, self.score(list(texts.values())), strict=True):
            self.fill(outputs[number], values, settings)
        return service_pb2.MultiOutputResponse(outputs=outputs)

    @torch.inference_mode()
    def score(self, texts):
        """One row of probabilities for each text, one for each label. A text that is too long is cut off."""
        rows = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            inputs = self.tokenizer(batch, padding=True, truncation=True, return_tensors="pt").to(DEVICE)
            logits = self.model(**inputs).logits.float()
            rows += (logits.sigmoid() if self.is_multi_label else logits.softmax(dim=-1)).cpu()
        return rows

    def fill(self, output, values, settings):
        """Put the concepts into an output, the surest first: as many and as sure as the caller wants."""
        for number in values.argsort(descending=True).tolist()[: settings.max_concepts or None]:
            if values[number] >= settings.min_value:
                output.data.concepts.add(id=str(number), name=self.labels[number], value=float(values[number]))
        output.status.code = status_code_pb2.SUCCESS


def read_text(data):
    """The text of an input. A text that came as a URL has been fetched: it is here, too."""
    if not data.text.raw.strip():
        raise InputError("the input has no text")
    return data.text.raw


def fail(output, error):
    """Say of one output that its input is at fault."""
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
