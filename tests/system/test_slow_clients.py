"""Clients that take their time: those who may, and those who hold a connection for nothing. On all carriers at once."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc

from support.doors import make_stub
from support.http2 import PREFACE
from support.server import CARRIERS, V2, RunningServer

HEADERS_S = 10.0
"""How long a client may take for the headers of a request."""
SLOW = 60


def test_silent_call_with_pings_lives_longer_than_headers_may_take(servers) -> None:
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        calls = []
        for carrier in CARRIERS:
            servers.deploy_echo(carrier)
            v2 = stack.enter_context(V2(servers.get(carrier)))
            options = [("grpc.keepalive_time_ms", 2000), ("grpc.keepalive_timeout_ms", 2000)]
            channel = stack.enter_context(grpc.insecure_channel(servers.get(carrier).address, options=options))
            request = v2.text_request("echo", f"sleep {HEADERS_S + 1:g}")
            calls.append(pool.submit(make_stub(channel).PostModelOutputs, request, metadata=v2.metadata))
        texts = [call.result(40).outputs[0].data.text.raw for call in calls]
    assert texts == ["sleep 11"] * len(CARRIERS)


def test_slow_headers_are_cut_off_and_others_do_not_wait(servers) -> None:
    """Slowloris, over both versions of HTTP: headers begun, dripped on and never ended."""
    for carrier in CARRIERS:
        servers.deploy_echo(carrier)
    with ThreadPoolExecutor() as pool:
        left = list(pool.map(hold_slowly, map(servers.get, CARRIERS)))
    assert left == [0] * len(CARRIERS), f"of {SLOW} slow clients, these still hold a connection: {left}"


def hold_slowly(server: RunningServer) -> int:
    """Hold requests open as long as the server lets them be held; how many are left in the end."""
    port = int(server.url.rpartition(":")[2])
    with ExitStack() as stack:
        v2 = stack.enter_context(V2(server))
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(SLOW)]
        for number, one in enumerate(slow):
            if number % 2:
                one.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n")
            else:
                one.sendall(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
                one.sendall(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")  # HEADERS that go on and never end
        begun = time.monotonic()
        living = list(range(SLOW))
        while living and time.monotonic() - begun < 3 * HEADERS_S:
            assert v2.predict("echo", "ok").outputs[0].data.text.raw == "ok"
            living = [number for number in living if drip(slow[number], is_sending=number % 2 == 1)]
            time.sleep(0.5)
        return len(living)


def drip(one: socket.socket, *, is_sending: bool) -> bool:
    """Send a little more; is it still waited for?"""
    try:
        if is_sending:
            one.sendall(b"x: y\r\n")
        one.settimeout(0.001)
        while piece := one.recv(4096):
            if b"408" in piece:  # over HTTP/2 Envoy ends the request with it, and keeps the connection as an idle one
                return False
    except TimeoutError:
        return True
    except OSError:
        return False
    return False
