"""A Markov chain over words: what followed the last words in the text it has read, weighted by how often it did."""

import random
import re
from collections import Counter, defaultdict

TOKEN = re.compile(r"[A-Za-z']+|[.,?!]")
SENTENCE_ENDS = frozenset(".?!")
NO_SPACE_BEFORE = frozenset(".,?!")
ORDER = 2  # the longest context, in tokens


class Chain:
    """Counts of the tokens that follow each context of 0, 1 and 2 tokens."""

    def __init__(self, text):
        self.followers = defaultdict(Counter)
        tokens = TOKEN.findall(text)
        for place, token in enumerate(tokens):
            for length in range(min(ORDER, place) + 1):
                context = tuple(word.lower() for word in tokens[place - length : place])
                self.followers[context][token] += 1

    def candidates(self, context):
        """The counts for the longest end of the context that the text holds."""
        for length in range(min(ORDER, len(context)), -1, -1):
            counts = self.followers.get(tuple(context[len(context) - length :]))
            if counts:
                return counts
        raise ValueError("the chain has read no text")

    def continue_text(self, prompt, *, temperature, max_tokens, dice):
        """Pieces of text that continue the prompt, up to the end of a sentence or `max_tokens` pieces.

        Temperature 0 always takes the likeliest token, 1 the text's own odds, more makes rare tokens likelier.
        """
        context = [token.lower() for token in TOKEN.findall(prompt)][-ORDER:] or ["."]
        for _ in range(max_tokens):
            token = choose(self.candidates(context), temperature, dice)
            yield token if token in NO_SPACE_BEFORE else f" {token}"
            if token in SENTENCE_ENDS:
                return
            context = [*context, token.lower()][-ORDER:]


def choose(counts, temperature, dice):
    """One token; the first seen wins a tie at temperature 0."""
    if temperature <= 0:
        return max(counts, key=counts.get)
    most = max(counts.values())
    weights = [(count / most) ** (1 / temperature) for count in counts.values()]
    return dice.choices(list(counts), weights)[0]


def make_dice(seed):
    """The same seed gives the same text; None a new one every time."""
    return random.Random(seed)
