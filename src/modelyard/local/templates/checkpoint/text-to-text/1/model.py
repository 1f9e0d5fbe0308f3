"""Answers texts with a causal language model of the Hugging Face hub, by transformers.

The checkpoint that config.yaml names is put into 1/checkpoints before the model is loaded. Where it has a template for
chats, each text is a user's message; else it is continued. `tokens.py` gets the tokens out of `generate` while it runs.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from tokens import TextPieces, stream_tokens
from transformers import AutoModelForCausalLM, AutoTokenizer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = "auto" if DEVICE == "cuda" else torch.float32  # CPUs are slow with the halves that checkpoints are kept in


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Params:
    """What a caller may set, with what holds where they do not: `modelyard predict ... --param temperature=0.2`."""

    max_tokens: int = 256
    temperature: float = 0.7  # 0 always takes the likeliest token
    top_p: float = 0.95  # choose among the likeliest tokens that have this share of the odds

    def __post_init__(self):
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}; it has to be 1 or more")
        if not 0 <= self.temperature <= 2:
            raise InputError(f"temperature is {self.temperature:g}; it has to be 0 to 2")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p:g}; it has to be above 0 and at most 1")

    def for_generate(self):
        """In the words of transformers."""
        if self.temperature == 0:
            return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0}


class TextToText(ModelRunner):
    """Reads texts and parameters, gives all texts of a request to the model at once, and answers texts."""

    def load_model(self):
        self.tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS, padding_side="left")
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.model = AutoModelForCausalLM.from_pretrained(CHECKPOINTS, dtype=DTYPE).to(DEVICE).eval()
        self.context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 2**31

    def predict(self, request):
        """One whole text for each input."""
        texts = [""] * len(request.inputs)
        failed = {}
        for answer in self.generate(request):
            for number, output in enumerate(answer.outputs):
                texts[number] += output.data.text.raw
                if output.status.code != status_code_pb2.SUCCESS:
                    failed[number] = output
        outputs = [failed.get(number) or make_output(text) for number, text in enumerate(texts)]
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next piece for every input, until all have ended; "" for those that ended before."""
        outputs = [make_output("") for _ in request.inputs]
        prompts = {}
        try:
            params = read_params(request)
        except InputError as error:  # of the whole request
            yield service_pb2.MultiOutputResponse(outputs=[make_failure(error) for _ in outputs])
            return
        for number, one in enumerate(request.inputs):
            try:
                prompts[number] = self.read_prompt(one.data)
            except InputError as error:  # this input fails, the others are answered
                outputs[number] = make_failure(error)
        if len(prompts) < len(outputs):
            yield service_pb2.MultiOutputResponse(outputs=outputs)
        for pieces in self.answer(list(prompts.values()), params):
            outputs = [make_output("") for _ in request.inputs]
            for number, piece in zip(prompts, pieces, strict=True):
                outputs[number].data.text.raw = piece
            yield service_pb2.MultiOutputResponse(outputs=outputs)

    def stream(self, request_iterator):
        """The pieces of each request's answer, before the next request has come."""
        for request in request_iterator:
            yield from self.generate(request)

    def answer(self, prompts, params):
        """Yield the next piece of text for every prompt, given as tokens."""
        if not prompts:
            return
        inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(DEVICE)
        room = self.context - inputs["input_ids"].shape[1]
        settings = {**params.for_generate(), "max_new_tokens": min(params.max_tokens, room)}
        texts = [TextPieces(self.tokenizer) for _ in prompts]
        for tokens in stream_tokens(self.model, inputs, settings, pad_token_id=self.tokenizer.pad_token_id):
            yield [text.add(token) for text, token in zip(texts, tokens, strict=True)]
        yield [text.end() for text in texts]

    def read_prompt(self, data):
        """The tokens of an input: a user's message, or a text to continue."""
        if not data.text.raw:
            raise InputError("the input has no text")
        if self.tokenizer.chat_template:
            message = {"role": "user", "content": data.text.raw}
            text = self.tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
            tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]  # the template has them
        else:
            tokens = self.tokenizer(data.text.raw)["input_ids"]
        if len(tokens) >= self.context:
            raise InputError(f"the text has {len(tokens)} tokens; the model reads {self.context - 1} at most")
        return tokens


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
