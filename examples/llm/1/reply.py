"""The answer to one input, as its tokens come."""

from tokenizers.decoders import DecodeStream


class Reply:
    """Turns tokens into text: whole characters, no special tokens, up to the first of the texts that stop it."""

    def __init__(self, prompt=(), tokenizer=None, stop=(), error=""):
        self.prompt = prompt  # tokens
        self.error = error  # why there is no answer
        self.text = ""
        self.token_count = 0
        self.is_over = bool(error)
        self._tokenizer = tokenizer
        self._stop = stop
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._held = ""  # may be the beginning of a stop text

    def take(self, token):
        """Take the next token; returns the text that is certain now, "" where there is none."""
        if self.is_over:
            return ""
        if token == self._tokenizer.eos_token_id:
            return self.finish()
        self.token_count += 1
        self._held += self._decoder.step(self._tokenizer.backend_tokenizer, token) or ""
        ends = [self._held.index(stop) for stop in self._stop if stop in self._held]
        if ends:
            self._held = self._held[: min(ends)]
            return self.finish()
        return self._release(len(self._held) - self._count_held())

    def finish(self):
        """There are no more tokens; returns what was held back."""
        self.is_over = True
        return self._release(len(self._held))

    def _count_held(self):
        """How many characters at the end could be the beginning of a stop text."""
        sizes = (size for stop in self._stop for size in range(1, len(stop)) if self._held.endswith(stop[:size]))
        return max(sizes, default=0)

    def _release(self, size):
        piece, self._held = self._held[:size], self._held[size:]
        self.text += piece
        return piece
