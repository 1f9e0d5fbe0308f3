"""The delta protocol's paths, an extension of ours beside the V2 methods: orders, pieces of files, and bundles of them.

All are let in by the choke point, as `PostModelVersionsUpload` is: docs/reference/delta.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from modelyard.errors import Cancelled, InvalidRequest
from modelyard.parts.bundle import Features, write_features
from modelyard.parts.delta import ABOUT_PATH, MAX_ORDER_BYTES, read_files, read_upload_id, write_answer
from modelyard.parts.files import is_digest
from modelyard.server.api.doorway.types import Scope
from modelyard.server.api.rest.fill import fill
from modelyard.server.api.rest.json_text import read_object
from modelyard.server.api.rest.requests import read_body
from modelyard.server.api.rest.routes import split_path
from modelyard.server.api.rest.visit import Visit
from modelyard.server.api.v2.call import Call
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.records import AppKey
from modelyard.server.services.blocks import gather_blocks
from modelyard.server.services.deltas import Deltas, Order, Piece
from modelyard.wire.messages import ModelVersion

METHOD = "PostModelVersionsUpload"
_NUMBER = re.compile(r"[0-9]{1,18}")


class DeltaPaths:
    """Answers what lies below `ABOUT_PATH`, and the page at it."""

    def __init__(self, v2: V2, deltas: Deltas) -> None:
        self._v2 = v2
        self._deltas = deltas

    async def answer(self, visit: Visit) -> None:
        """Answer it; raises what is wrong with it."""
        if visit.scope["path"] == ABOUT_PATH:
            await self._tell_about(visit)
            return
        match split_path(visit.scope)[2:]:
            case ["users", user_id, "apps", app_id, "models", model_id, "versions"]:
                if call := await self._enter(visit, "POST", user_id, app_id):
                    await self._reply(visit, await self._take_order(visit, call, model_id))
            case ["users", user_id, "apps", app_id, "files"]:
                if call := await self._enter(visit, "POST", user_id, app_id):
                    await self._reply(visit, await self._take_bundle(visit, call))
            case ["users", user_id, "apps", app_id, "files", digest]:
                if call := await self._enter(visit, "PUT", user_id, app_id):
                    await self._reply(visit, await self._take_piece(visit, call, digest))
            case _:
                await visit.refuse(404, f"there is nothing at {visit.scope['path'][:200]}")

    async def _tell_about(self, visit: Visit) -> None:
        if visit.head.verb != "GET":
            await visit.refuse(405, "only GET and HEAD are allowed here", [(b"allow", b"GET, HEAD")])
        else:
            await self._reply(visit, {"protocol": "modelyard", "version": 1, **write_features(Features())})

    async def _enter(self, visit: Visit, verb: str, user_id: str, app_id: str) -> Call | None:
        if visit.head.verb != verb:
            await visit.refuse(405, f"only {verb} is allowed here", [(b"allow", verb.encode())])
            return None
        visit.name = f"Delta.{verb}"
        return await self._v2.enter(METHOD, visit.make_envelope(), user_id, app_id)

    async def _reply(self, visit: Visit, content: dict[str, object]) -> None:
        await visit.page(200, json.dumps(content).encode())

    async def _take_order(self, visit: Visit, call: Call, model_id: str) -> dict[str, object]:
        content = read_object(await read_body(await visit.receive(), visit.receive, MAX_ORDER_BYTES))
        spec = ModelVersion()
        said = content.get("model_version", {})
        if not isinstance(said, dict):
            raise InvalidRequest("model_version is not an object")
        fill(spec, said)
        assert call.caller is not None
        order = Order(
            user_id=call.user_id,
            app_id=call.app_id,
            model_id=model_id,
            files=read_files(content),
            spec=spec,
            upload_id=read_upload_id(content),
            app_ids=call.caller.app_ids,
            hub_token=call.hub_token,
        )
        return write_answer(await self._deltas.take(order))

    async def _take_piece(self, visit: Visit, call: Call, digest: str) -> dict[str, object]:
        if not is_digest(digest):
            raise InvalidRequest(f"{digest[:80]!r} is not a sha256: 64 hexadecimal digits")
        piece = Piece(
            owner=AppKey(user_id=call.user_id, app_id=call.app_id),
            digest=digest,
            size_bytes=_read_number(visit.scope, "size"),
            offset=_read_number(visit.scope, "offset"),
        )
        async with aclosing(_read_chunks(visit)) as chunks, aclosing(gather_blocks(chunks)) as blocks:
            return {"received": await self._deltas.receive(piece, blocks)}

    async def _take_bundle(self, visit: Visit, call: Call) -> dict[str, object]:
        owner = AppKey(user_id=call.user_id, app_id=call.app_id)
        async with aclosing(_read_chunks(visit)) as chunks, aclosing(gather_blocks(chunks)) as blocks:
            return {"files": await self._deltas.receive_bundle(owner, blocks)}


async def _read_chunks(visit: Visit) -> AsyncGenerator[bytes, None]:
    while True:
        event = await visit.receive()
        if event["type"] == "http.disconnect":
            raise Cancelled("the caller went away")
        if chunk := event.get("body", b""):
            yield chunk
        if not event.get("more_body"):
            return


def _read_number(scope: Scope, name: str) -> int:
    """A count of bytes in the query."""
    pairs = [one.partition("=") for one in scope["query_string"].decode("latin-1").split("&")]
    values = [value for key, _, value in pairs if key == name]
    if len(values) != 1 or not _NUMBER.fullmatch(values[0]):
        raise InvalidRequest(f"the query needs {name}=BYTES once")
    return int(values[0])


def is_below(path: str) -> bool:
    """Is it a path of this protocol?"""
    return path == ABOUT_PATH or path.startswith(f"{ABOUT_PATH}/")
