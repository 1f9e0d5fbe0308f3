"""Servers that listen everywhere and have no option for less listen on the loopback: a benchmark opens no machine."""

from __future__ import annotations

from typing import Any

import uvicorn


def hold_uvicorn() -> None:
    """uvicorn's host is 127.0.0.1, whatever it is told."""
    make = uvicorn.Config.__init__

    def make_on_loopback(self: uvicorn.Config, app: Any, *arguments: Any, **keys: Any) -> None:
        make(self, app, *arguments, **{**keys, "host": "127.0.0.1"})

    uvicorn.Config.__init__ = make_on_loopback  # type: ignore[method-assign]


def hold_grpc() -> None:
    """An address `[::]:port` of grpc.aio is 127.0.0.1:port."""
    from grpc.aio import _server

    listen = _server.Server.add_insecure_port

    def listen_on_loopback(self: Any, address: str) -> int:
        return listen(self, address.replace("[::]", "127.0.0.1"))

    _server.Server.add_insecure_port = listen_on_loopback  # type: ignore[method-assign]
