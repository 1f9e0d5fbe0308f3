"""LitServe: one API process, one worker, the ZeroMQ queue that its documentation recommends for many requests."""

from __future__ import annotations

import argparse
import time

import litserve


class Echo(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["text"]

    def predict(self, x):
        return x

    def encode_response(self, output):
        return {"text": output}


class Batched(Echo):
    """5 ms and 0.1 ms for each input of a batch."""

    def predict(self, x):
        time.sleep(0.005 + 0.0001 * len(x))
        return x


class Stream(Echo):
    def predict(self, x):
        for number in range(int(x)):
            yield f"{time.monotonic_ns():020d}\n" if number == 0 else f"token {number:014d}\n"

    def encode_response(self, output):
        yield from output


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int)
    parser.add_argument("--mode", default="echo")
    options = parser.parse_args()
    apis = {
        "echo": lambda: Echo(),
        "batch": lambda: Batched(max_batch_size=32, batch_timeout=0.005),
        "stream": lambda: Stream(stream=True),
    }
    server = litserve.LitServer(
        apis[options.mode](), accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
