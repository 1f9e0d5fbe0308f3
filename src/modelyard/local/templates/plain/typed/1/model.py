"""Tells what a text is about: methods with names and types of their own, whose callers give and get Python values.

`WordCounter` stands where your model goes: it knows the words that a text says again and again. `Digest` is the part to
keep: each `@ModelClass.method` is a method of the model. Its annotations say what travels, `Iterator` that it is
answered piece by piece.
"""

import re
from collections import Counter
from collections.abc import Iterator

from clarifai.runners.models.model_class import ModelClass
from clarifai.runners.utils.data_types import Concept, NamedFields
from clarifai.runners.utils.data_utils import Param

WORD = re.compile(r"\w+(?:['’-]\w+)*")
SENTENCE = re.compile(r"[^.!?]+[.!?]*")
SHORT = 4  # letters of words that say nothing of a text: the, and, of


class WordCounter:
    """How often a text says each of its longer words. Put your model here."""

    def weigh(self, text):
        words = [word.lower() for word in WORD.findall(text)]
        counts = Counter(word for word in words if len(word) >= SHORT)
        most = max(counts.values(), default=1)
        return {word: count / most for word, count in counts.items()}

    def rank(self, text):
        """Sentences with how telling they are, the best first."""
        weights = self.weigh(text)
        sentences = [found.strip() for found in SENTENCE.findall(text) if found.strip()]
        return sorted(sentences, key=lambda one: -sum(weights.get(word.lower(), 0) for word in WORD.findall(one)))


class Digest(ModelClass):
    def load_model(self):
        self.model = WordCounter()

    @ModelClass.method
    def predict(
        self,
        text: str,
        sentences: int = Param(default=1, min_value=1, description="How many sentences to keep."),
    ) -> str:
        """The most telling sentences of a text, in their order."""
        kept = set(self.model.rank(text)[: max(sentences, 1)])
        found = [one.strip() for one in SENTENCE.findall(text)]
        return " ".join(one for one in dict.fromkeys(found) if one in kept)

    @ModelClass.method
    def keywords(self, text: str, top: int = Param(default=5, min_value=1, description="How many.")) -> list[Concept]:
        """What a text is about, with how often it says so: 1 is the word that it says most often."""
        weights = sorted(self.model.weigh(text).items(), key=lambda one: -one[1])
        return [Concept(name=word, value=weight) for word, weight in weights[: max(top, 1)]]

    @ModelClass.method
    def generate(self, text: str) -> Iterator[str]:
        """Sentence after sentence, the most telling first."""
        for sentence in self.model.rank(text):
            yield sentence + "\n"

    @ModelClass.method
    def stream(self, texts: Iterator[str]) -> Iterator[NamedFields(words=int, keyword=str)]:
        """For each text, while more come: how many words it has, and which it says most often."""
        for text in texts:
            weights = self.model.weigh(text)
            best = max(weights, key=weights.get, default="")
            yield NamedFields(words=len(WORD.findall(text)), keyword=best)
