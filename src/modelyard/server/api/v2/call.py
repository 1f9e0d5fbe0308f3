"""What a handler of a V2 method is given, and what it gives back: the contract between the doors and the nouns.

The classes are not frozen, and yet nobody changes them: each request makes one of each, and to make a frozen one costs
four times as much (docs/adr/0026).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from modelyard.server.api.v2.plain import Named
from modelyard.server.backends.base import Taker
from modelyard.server.records import Caller
from modelyard.server.routing.passage import Passage
from modelyard.server.telemetry.requests import Stopwatch
from modelyard.server.telemetry.tracing import Caller as TraceCaller
from modelyard.wire.messages import Message, PostModelOutputsRequest
from modelyard.wire.methods import Method
from modelyard.wire.pieces import Payload

HUB_TOKEN_HEADER = b"x-modelyard-hub-token"
VERSION_HEADER = b"x-modelyard-version"
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


@dataclass(kw_only=True, slots=True)
class Envelope:
    """What a door knows of a request besides its message."""

    authorization: str | None
    """The `authorization` header as it came: `Key TOKEN` or `Bearer TOKEN`."""
    request_id: str
    deadline: float | None
    """A `time.monotonic()` value; None: the caller waits."""
    hub_token: str = field(default="", repr=False)
    """The `x-modelyard-hub-token` header: a Hugging Face token for the checkpoints of what is uploaded."""
    version: str = ""
    """The `x-modelyard-version` header: the version that is asked, where the message names none."""
    headers: Headers = field(default=(), repr=False)
    """All headers, as they came."""
    trace: TraceCaller | None = None
    """The trace that the caller is in."""


@dataclass(kw_only=True, slots=True)
class Call:
    """One request that passed the checks: who calls what, in which app."""

    method: Method
    caller: Caller | None
    """None only for methods that need no token."""
    request_id: str
    deadline: float | None
    """A `time.monotonic()` value; None: the caller waits."""
    user_id: str
    """Resolved: `me` and empty are the caller's id. Empty only where there is no caller."""
    app_id: str
    """As the message says; may be empty where the method works on a user."""
    raw: Payload | None
    """The (first) request message as it came, where the door got it serialised."""
    hub_token: str = field(default="", repr=False)
    """As in the envelope."""
    version: str = ""
    """The `x-modelyard-version` header: the version that is asked, where the message names none."""
    headers: Headers = field(default=(), repr=False)
    """All headers, as they came."""
    trace: TraceCaller | None = None
    """The trace that the caller is in."""
    watch: Stopwatch | None = field(default=None, repr=False)
    """What measures it; None where nothing does."""
    named: Named | None = None
    """What the message names, where it is plain: `plain.py`."""


@dataclass(slots=True)
class Incoming:
    """One request message; `raw` is the same message serialised, where the door got it so.

    Where `raw` is in pieces, a request for a model may be no more than its outline: `wire/outline.py`.
    """

    message: Message
    raw: Payload | None = None
    named: Named | None = None
    """What it names, where it is plain: `plain.py`."""


UNREAD: Message = PostModelOutputsRequest()
"""The message of a plain request that is sent: what there is to know of it is in `named`."""

Reply: TypeAlias = Message | bytes
"""A response message, or one that is serialised already and passes untouched."""

UnaryHandler: TypeAlias = Callable[[Call, Any], Awaitable[Reply]]
ServerStreamHandler: TypeAlias = Callable[[Call, Any], AsyncIterator[Reply]]
BidiHandler: TypeAlias = Callable[[Call, AsyncIterator[Incoming]], AsyncIterator[Reply]]
Sender: TypeAlias = Callable[[Call, Any, Taker], Passage | None]
"""As a unary handler, without awaiting: `taker` hears how it ends, later. None: it would have to wait for something,
and nothing was sent. It may raise what the handler does, and has sent nothing then, either."""
Handler: TypeAlias = UnaryHandler | ServerStreamHandler | BidiHandler
"""Which of the three is given by the method's kind. The request is a message of the method's request type."""
