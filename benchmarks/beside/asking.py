"""One request, and its answer in full: the check before a measurement, and its expected number of bytes."""

from __future__ import annotations

import http.client
import time

import grpc

from beside.endpoint import GRPC, Endpoint

LARGEST = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
FRAME_BYTES = 5
TIMEOUT_S = 30
NOT_METADATA = ("content-type", "te")


class WrongAnswer(Exception):
    """A server did not answer as it should."""


def ask(endpoint: Endpoint, port: int) -> int:
    """The bytes of a right answer's body. Raises WrongAnswer for any other."""
    body = ask_grpc(endpoint, port) if endpoint.protocol == GRPC else ask_rest(endpoint, port)
    if endpoint.wanted not in body:
        raise WrongAnswer(f"{endpoint.path} answered {body[:500]!r}")
    return len(body)


def ask_rest(endpoint: Endpoint, port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", endpoint.path, endpoint.body, dict(endpoint.headers))
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        raise WrongAnswer(f"{endpoint.path}: {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise WrongAnswer(f"{endpoint.path}: status {response.status}, {body[:500]!r}")
    return body


def ask_grpc(endpoint: Endpoint, port: int) -> bytes:
    """All messages, each with its prefix."""
    metadata = [(name, value) for name, value in endpoint.headers.items() if name not in NOT_METADATA]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=LARGEST) as channel:
        call = channel.unary_stream(endpoint.path)
        try:
            messages = list(call(endpoint.body[FRAME_BYTES:], metadata=metadata, timeout=TIMEOUT_S))
        except grpc.RpcError as error:
            raise WrongAnswer(f"{endpoint.path}: {error.code()} {error.details()}") from None
    return b"".join(bytes(FRAME_BYTES) + one for one in messages)


def wait_until_right(endpoint: Endpoint, port: int, timeout_s: float) -> int:
    """As `ask`, again and again until the server is up."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return ask(endpoint, port)
        except (WrongAnswer, http.client.HTTPException):  # noqa: PERF203
            if time.monotonic() > end:
                raise
            time.sleep(0.25)
