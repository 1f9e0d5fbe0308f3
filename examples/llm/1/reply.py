"""The answer to one input, as its tokens come."""


class Reply:
    """Turns tokens into text: whole characters, no special tokens, up to the first of the texts that stop it."""

    def __init__(self, prompt=(), tokenizer=None, ends=(), stop=(), error=""):
        self.prompt = prompt  # tokens
        self.error = error  # why there is no answer
        self.text = ""
        self.token_count = 0
        self.is_over = bool(error)
        self._tokenizer = tokenizer
        self._ends = ends  # tokens that end an answer
        self._stop = stop  # texts that do
        self._recent = []  # tokens: some that are read, so that the next ones are read as what follows them
        self._read_count = 0
        self._held = ""  # may be the beginning of a stop text
        self._popped = 0

    def take(self, token):
        """Take the next token."""
        if self.is_over:
            return
        if token in self._ends:
            self.finish()
            return
        self.token_count += 1
        self._held += self._read(token)
        found = [self._held.index(stop) for stop in self._stop if stop in self._held]
        if found:
            self._held = self._held[: min(found)]
            self.finish()
            return
        sure = len(self._held) - self._count_doubtful()
        self.text, self._held = self.text + self._held[:sure], self._held[sure:]

    def finish(self):
        """There are no more tokens: what was held back is part of the answer."""
        self.is_over = True
        self.text, self._held = self.text + self._held, ""

    def pop(self):
        """The text that has come since the last time."""
        piece = self.text[self._popped :]
        self._popped = len(self.text)
        return piece

    def _read(self, token):
        """The text of a token after those before it; "" while a character is not whole."""
        self._recent.append(token)
        before = self._decode(self._recent[: self._read_count])
        after = self._decode(self._recent)
        if len(after) <= len(before) or after.endswith("�"):
            return ""
        self._recent = self._recent[self._read_count :]
        self._read_count = len(self._recent)
        return after[len(before) :]

    def _decode(self, tokens):
        return self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _count_doubtful(self):
        """How many characters at the end could be the beginning of a stop text."""
        sizes = (size for stop in self._stop for size in range(1, len(stop)) if self._held.endswith(stop[:size]))
        return max(sizes, default=0)
