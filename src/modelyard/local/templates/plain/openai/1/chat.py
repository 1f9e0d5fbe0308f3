"""The form of OpenAI's chat completions: what comes in, and what goes out."""

import json
import time
import uuid
from dataclasses import dataclass
from itertools import islice

ROLES = ("system", "developer", "user", "assistant", "tool")
MAX_TOKENS = 1024  # where the caller gives no limit
RANGES = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 2**31), "max_completion_tokens": (1, 2**31)}


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


@dataclass(frozen=True)
class Chat:
    """What a caller asks: the messages so far, and how to go on."""

    messages: list
    settings: dict
    is_json: bool  # the caller speaks JSON, and is answered in it

    @property
    def max_tokens(self):
        """How many tokens the answer may have."""
        return int(self.settings.get("max_completion_tokens") or self.settings.get("max_tokens") or MAX_TOKENS)

    @property
    def stops(self):
        """The texts that end the answer, and are not part of it."""
        stop = self.settings.get("stop", [])
        return [one for one in ([stop] if isinstance(stop, str) else stop) if one]


class Reply:
    """A reply as the model makes it, in words, and as the caller wants it: whole, or in chunks."""

    def __init__(self, chat, words, *, model_id):
        self.chat = chat
        self.tokens = 0
        self.finish_reason = "stop"
        self.pieces = self.limit(words)
        self.head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_id}

    def limit(self, words):
        """The words up to a stop sequence, or to `max_tokens` of them."""
        text, sent, limit = "", 0, self.chat.max_tokens
        for word in islice(words, limit + 1):
            if self.tokens == limit:
                self.finish_reason = "length"
                break
            self.tokens += 1
            text += word
            ends = [place for stop in self.chat.stops if (place := text.find(stop)) >= 0]
            if ends:
                text = text[: min(ends)]
                break
            ready = len(text) - count_held_back(text, self.chat.stops)
            yield text[sent:ready]
            sent = ready
        yield text[sent:]

    def whole(self):
        """All of it: the text, or a `chat.completion`."""
        text = "".join(self.pieces)
        if not self.chat.is_json:
            return text
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return json.dumps({**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage()})

    def chunks(self):
        """Pieces of the text, or of a `chat.completion.chunk` each: the role, the words, the end."""
        if not self.chat.is_json:
            yield from filter(None, self.pieces)
            return
        yield self.chunk({"role": "assistant", "content": ""})
        for piece in filter(None, self.pieces):
            yield self.chunk({"content": piece})
        yield self.chunk({}, self.finish_reason)
        if (self.chat.settings.get("stream_options") or {}).get("include_usage"):
            yield json.dumps({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": self.usage()})

    def chunk(self, delta, finish_reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return json.dumps({**self.head, "object": "chat.completion.chunk", "choices": [choice]})

    def usage(self):
        """Counted in words, as this model makes them; count the tokens of your own."""
        asked = sum(len(one["content"].split()) for one in self.chat.messages)
        return {"prompt_tokens": asked, "completion_tokens": self.tokens, "total_tokens": asked + self.tokens}


def read_chat(text, params):
    """The chat of an input.

    Args:
        text: A request as JSON, or what the user says.
        params: The parameters of the request: settings, and the messages so far where the text is plain.

    Raises:
        InputError: It is not a chat; the message says why, and what is allowed.
    """
    body = read_body(text)
    settings = {name: value for name, value in {**to_plain(params), **(body or {})}.items() if value is not None}
    messages = settings.pop("messages", [])
    if isinstance(messages, str):  # as a parameter that was given as text
        messages = parse_json(messages)
    if body is None and text.strip():
        messages = [*messages, {"role": "user", "content": text}]
    check_settings(settings)
    return Chat(messages=read_messages(messages), settings=settings, is_json=body is not None)


def read_body(text):
    """A request as JSON, or None where the text is plain: it may begin with `{` and still be what the user says."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if "messages" in body else None


def read_messages(messages):
    """Messages with their text: of `content` in parts, the parts of text are joined."""
    if not isinstance(messages, list) or not messages:
        raise InputError("messages is empty or not a list; send at least one message, or a text")
    return [read_message(number, message) for number, message in enumerate(messages)]


def read_message(number, message):
    where = f"messages[{number}]"
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise InputError(f"{where} needs a role: {', '.join(ROLES)}")
    content = message.get("content") or ""
    if isinstance(content, list):
        others = sorted({str(part.get("type")) for part in content} - {"text"})
        if others:
            raise InputError(f"{where} has parts of type {', '.join(others)}; this model reads text")
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise InputError(f"{where}.content has to be a text or a list of parts")
    return {**message, "content": content}


def check_settings(settings):
    """Raise InputError for settings that cannot be used; those that are not known are left to the model."""
    if settings.get("n", 1) != 1:
        raise InputError(f"n is {settings['n']}; this model gives one answer")
    for name, (low, high) in RANGES.items():
        value = settings.get(name)
        if value is not None and not (isinstance(value, (int, float)) and low <= value <= high):
            raise InputError(f"{name} is {value!r}; it has to be {low} to {high}")


def parse_json(text):
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"messages is not JSON: {error}") from None


def to_plain(value):
    """A protobuf Struct or ListValue as dicts and lists."""
    if hasattr(value, "keys"):
        return {key: to_plain(one) for key, one in value.items()}
    if hasattr(value, "values") or isinstance(value, (list, tuple)):
        return [to_plain(one) for one in value]
    return value


def count_held_back(text, stops):
    """How many letters at the end of a text may be the beginning of a stop sequence, and have to wait."""
    lengths = (size for stop in stops for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size]))
    return max(lengths, default=0)
