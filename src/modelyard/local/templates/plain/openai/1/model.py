"""Answers chats in the way of OpenAI's chat completions: whole (`predict`), or chunk by chunk (`generate`, `stream`).

An input's text is one of these:

- a request as JSON, `{"messages": [{"role": "user", "content": "hi"}], "temperature": 0}`: the answer is a
  `chat.completion` as JSON, and its pieces are `chat.completion.chunk`s as JSON;
- anything else is the user's message: the answer and its pieces are plain text. The messages before it may be in the
  parameter `messages`, and settings in parameters of their names.

`Listener` stands where your model goes. It is small, but it chats: it takes up what was said and asks on, by the rules
below, as the first such program did in 1966. `OpenAI` and `chat.py` are the parts to keep.
"""

import random
import re
from itertools import zip_longest

from chat import InputError, Reply, read_chat
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

READ = 1000  # letters at the end of a message that are taken up
SWAPS = {"i": "you", "me": "you", "my": "your", "mine": "yours", "am": "are", "i'm": "you're", "myself": "yourself"}
SWAPS |= {"you": "I", "your": "my", "yours": "mine", "you're": "I'm", "yourself": "myself", "i've": "you've"}
RULES = (
    (r"\bi need (.+)", ("Why do you need {0}?", "Would it help you to get {0}?")),
    (r"\bi (?:want|would like|'d like) (.+)", ("What would it change if you got {0}?", "Why do you want {0}?")),
    (r"\bi(?: a|')m (.+)", ("How long have you been {0}?", "How do you feel about being {0}?")),
    (r"\bi feel (.+)", ("When do you usually feel {0}?", "What makes you feel {0}?")),
    (r"\bi can(?:no|')t (.+)", ("What keeps you from it?", "What would happen if you could {0}?")),
    (r"\bbecause (.+)", ("Is that the only reason?", "What else could be the reason?")),
    (r"\bmy (\w+) (.+)", ("Tell me more about your {0}.", "What does it mean to you that your {0} {1}?")),
    (r"\b(?:are|do|can|will) you (.+)", ("Why do you ask whether I {0}?", "What would you do if I did?")),
    (r"\b(?:hello|hi|hey|good (?:morning|evening))\b", ("Hello. What would you like to talk about?",)),
    (r"\bthank", ("You are welcome. Is there anything else?",)),
    (r"\?\s*$", ("What do you think yourself?", "Why does that question interest you?")),
    (r"", ("Please go on.", "What does that suggest to you?", "Can you say more about that?")),
)


class Listener:
    """Takes up what was said, and asks on. Put your model here: load it in `__init__`, run it in `reply`."""

    def reply(self, messages, settings):
        """Yield the words of the next message, each as soon as it is known.

        Args:
            messages: All of the chat, `{"role": "user", "content": "..."}`, the last one at the end.
            settings: temperature, top_p, seed and whatever else the caller gave.
        """
        said = next((one["content"] for one in reversed(messages) if one["role"] == "user"), "")
        said = said[-READ:].replace("’", "'").strip()
        found, answers = next(
            (found, answers) for pattern, answers in RULES if (found := re.search(pattern, said, re.IGNORECASE))
        )
        dice = random.Random(settings.get("seed", len(messages)))  # the same chat, the same answer
        answer = dice.choice(answers) if settings.get("temperature", 1) > 0 else answers[0]
        yield from re.findall(r"\s*\S+", answer.format(*map(turn_around, found.groups())))


class OpenAI(ModelRunner):
    """Reads chats, asks the model, and answers in the form that was asked in."""

    def load_model(self):
        self.model = Listener()

    def predict(self, request):
        """One whole answer for each input."""
        outputs = []
        for one in request.inputs:
            try:
                reply = self.begin(request, one.data)
                outputs.append(make_output(reply.whole()))
            except InputError as error:  # this input fails, the others are answered
                outputs.append(make_failure(error))
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next chunk for every input, until all have ended; "" for those that ended before."""
        started = [self.list_chunks(request, one.data) for one in request.inputs]
        for outputs in zip_longest(*started):
            filled = [make_output("") if output is None else output for output in outputs]
            yield service_pb2.MultiOutputResponse(outputs=filled)

    def stream(self, request_iterator):
        """The chunks of each request's answer, before the next request has come."""
        for request in request_iterator:
            yield from self.generate(request)

    def begin(self, request, data):
        """Ask the model about one input: its reply comes as it is read."""
        chat = read_chat(data.text.raw, request.model.model_version.output_info.params)
        words = self.model.reply(chat.messages, chat.settings)
        return Reply(chat, words, model_id=request.model.id)

    def list_chunks(self, request, data):
        """An output for each chunk of an answer, or the one that says why there is none."""
        try:
            for chunk in self.begin(request, data).chunks():
                yield make_output(chunk)
        except InputError as error:
            yield make_failure(error)


def make_output(text):
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    output.data.text.raw = text
    return output


def make_failure(error):
    """An output that says that its chat or a setting is at fault."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.MODEL_INVALID_ARGUMENT
    output.status.description = str(error)
    return output


def turn_around(words):
    """What was said, from the other side: `my dog likes me` is `your dog likes you`."""
    turned = [SWAPS.get(word.lower(), word) for word in words.strip(" .!?").split()]
    return " ".join(turned)
