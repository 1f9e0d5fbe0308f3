"""The tokens of a batch while `generate` of transformers runs, and the text that they make."""

from queue import Queue
from threading import Event, Thread

import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer


def stream_tokens(model, inputs, settings, *, pad_token_id):
    """Yield the next token of every prompt, as numbers; None for those that have ended.

    It runs in a thread of its own, which ends early where nobody wants more: when this generator is closed.
    """
    sink, stop = TokenSink(), Event()
    ends = set(to_list(model.generation_config.eos_token_id))

    def run():
        try:
            with torch.inference_mode():
                criteria = StoppingCriteriaList([StopWhen(stop)])
                model.generate(
                    **inputs, **settings, streamer=sink, stopping_criteria=criteria, pad_token_id=pad_token_id
                )
        except BaseException as error:  # raised below, where the caller is
            sink.queue.put(error)

    thread = Thread(target=run, name="generate", daemon=True)
    thread.start()
    has_ended = [False] * len(inputs["input_ids"])
    try:
        while (step := sink.queue.get()) is not None:
            if isinstance(step, BaseException):
                raise step
            has_ended = [before or token in ends for before, token in zip(has_ended, step, strict=True)]
            yield [None if ended else token for ended, token in zip(has_ended, step, strict=True)]
    finally:
        stop.set()
        thread.join()


class TokenSink(BaseStreamer):
    """Takes the tokens of each step from `generate`; the first are the prompt's, which nobody needs."""

    def __init__(self):
        self.queue = Queue()
        self.has_prompt = False

    def put(self, value):
        if self.has_prompt:
            self.queue.put(value.tolist())
        self.has_prompt = True

    def end(self):
        self.queue.put(None)


class StopWhen(StoppingCriteria):
    """Ends `generate` after the step in which the event is set."""

    def __init__(self, event):
        self.event = event

    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device, dtype=torch.bool)


class TextPieces:
    """Tokens of one text in, pieces of text out: a piece waits until its letters are whole."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.tokens = []
        self.start = self.told = 0  # tokens before `told` are told; those from `start` on decide how the next look

    def add(self, token):
        """The text that a token completes, "" where there is none yet; None is no token."""
        if token is None:
            return ""
        self.tokens.append(token)
        return self.tell(is_last=False)

    def end(self):
        """What is left, whole or not."""
        return self.tell(is_last=True)

    def tell(self, *, is_last):
        before = self.decode(self.tokens[self.start : self.told])
        after = self.decode(self.tokens[self.start :])
        if after.endswith("\ufffd") and not is_last:  # half of a letter: the next token has the rest
            return ""
        self.start, self.told = self.told, len(self.tokens)
        return after[len(before) :]

    def decode(self, tokens):
        return self.tokenizer.decode(tokens, skip_special_tokens=True)


def to_list(value):
    """Checkpoints end with one token, with any of several, or with none."""
    return value if isinstance(value, list) else [] if value is None else [value]
