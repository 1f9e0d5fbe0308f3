"""The first request of a new version, sent by the server itself: who does not answer it gets no traffic.

| outcome  | what happened                                   | the version is refused                               |
|----------|-------------------------------------------------|------------------------------------------------------|
| answered | an answer came                                  | no                                                   |
| crashed  | the worker's process ended                      | yes                                                  |
| raised   | the author's method raised, or gave no answer   | where the version that serves now answered its own   |
| silent   | nothing came in time                            | where the version that serves now answered its own   |

The sample fits the model's type, but only the model knows what it takes: the version that serves is the measure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from modelyard.errors import ModelyardError, WorkerCrashed
from modelyard.parts.sample_inputs import make_samples
from modelyard.parts.typed_samples import choose_method, make_typed_sample
from modelyard.parts.version_message import make_defaults
from modelyard.server.backends.base import Link
from modelyard.server.records import Model, Version, WarmUp
from modelyard.wire.messages import MethodSignature, ModelVersion

LIMIT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class WarmedUp:
    """How it went."""

    outcome: WarmUp
    is_crash: bool = False
    message: str = ""
    details: str = ""

    def is_refused(self, serving: WarmUp) -> bool:
        """May the version not serve? `serving`: how the one that serves now took its own."""
        return self.is_crash or (self.outcome is not WarmUp.ANSWERED and serving is WarmUp.ANSWERED)


def make_payload(model: Model, version: Version, signatures: Sequence[MethodSignature] = ()) -> bytes:
    """The request: the version's defaults and the smallest sample that fits the model's type, or its typed method."""
    key = version.key
    spec = ModelVersion.FromString(version.spec)
    spec.id = version.version_id
    request = make_defaults(
        user_id=key.user_id,
        app_id=key.app_id,
        model_id=key.model_id,
        model_type_id=model.model_type_id,
        version=spec,
    )
    typed = choose_method(signatures)
    request.inputs.extend([make_typed_sample(typed)] if typed else make_samples(model.model_type_id))
    payload: bytes = request.SerializeToString()
    return payload


async def warm_up(link: Link, methods: frozenset[str], payload: bytes, *, limit_s: float = LIMIT_S) -> WarmedUp:
    """Ask a replica that has just loaded, by the first method that it has of predict, generate and stream."""
    if not methods:
        return WarmedUp(outcome=WarmUp.NONE)
    try:
        async with asyncio.timeout(limit_s):
            await _ask(link, methods, payload)
    except TimeoutError:
        return WarmedUp(outcome=WarmUp.SILENT, message=f"there was no answer within {limit_s:g} s")
    except WorkerCrashed as error:
        return WarmedUp(outcome=WarmUp.NONE, is_crash=True, message="the worker's process ended", details=error.details)
    except ModelyardError as error:
        return WarmedUp(outcome=WarmUp.RAISED, message=error.message, details=error.details)
    return WarmedUp(outcome=WarmUp.ANSWERED)


def _ask(link: Link, methods: frozenset[str], payload: bytes) -> Awaitable[object]:
    if "predict" in methods:
        return link.call(payload)
    return _ask_for_first(link, "generate" if "generate" in methods else "stream", payload)


async def _ask_for_first(link: Link, method: str, payload: bytes) -> None:
    """The first answer is enough: a generator may have many."""
    exchange = link.open(method, payload if method == "generate" else None)
    try:
        if method == "stream":
            await exchange.send(payload)
            exchange.end()
        await anext(aiter(exchange), None)
    finally:
        exchange.cancel()
