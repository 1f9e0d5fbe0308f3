"""The peers: how each is started for one replica in production, and its own best way to be asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from beside.endpoint import Endpoint, encode_field, encode_infer, make_grpc, make_rest
from beside.environments import OWN
from beside.environments import PEERS as FOLDER
from beside.payload import Payload
from beside.server import BATCH, ECHO, STREAM, Peer, Place, find_port
from beside.v2 import METHODS, make_message

INFER = "/inference.GRPCInferenceService/ModelInfer"
LARGEST_BYTES = 64 * 1024 * 1024


def _run(place: Place, script: str, *options: str) -> list[str]:
    return [str(place.python), str(FOLDER / script), *options]


def _ask_v2(mode: str, payload: Payload) -> Endpoint:
    wanted = b"token" if mode == STREAM else payload.as_bytes
    return make_grpc(METHODS[mode], make_message("echo", payload), wanted)


def _ask_object(path: str, **keys: object):
    """A JSON object in which the text has a place."""

    def ask(mode: str, payload: Payload) -> Endpoint:
        wanted = b"token" if mode == STREAM else payload.as_json_bytes
        return make_rest(path.format(mode=mode), payload.in_json(**keys), wanted)

    return ask


def _ask_bentoml(mode: str, payload: Payload) -> Endpoint:
    text: object = [...] if mode == BATCH else ...
    return _ask_object("/echo", text=text)(mode, payload)


def _ask_infer(_: str, payload: Payload) -> Endpoint:
    return make_grpc(INFER, encode_infer("echo", payload.as_bytes), payload.as_bytes)


def _ask_ray(_: str, payload: Payload) -> Endpoint:
    """The service that Ray ships for trying its gRPC proxy: its message has a field for a text."""
    message = encode_field(1, payload.as_text)
    return make_grpc("/ray.serve.UserDefinedService/Method1", message, payload.as_json_bytes, application="echo")


def _start_mlserver(workers: int):
    def command(place: Place) -> Sequence[str]:
        settings = {
            "host": "127.0.0.1",
            "http_port": place.port,
            "grpc_port": place.grpc_port,
            "metrics_port": find_port(),
            "parallel_workers": workers,
            "grpc_max_message_length": LARGEST_BYTES,
            "debug": False,
        }
        model: dict[str, object] = {"name": "echo", "implementation": "mlserver_server.Echo"}
        if place.mode == BATCH:
            model |= {"max_batch_size": 32, "max_batch_time": 0.005}
        place.folder.mkdir(parents=True, exist_ok=True)
        (place.folder / "settings.json").write_text(json.dumps(settings))
        (place.folder / "model-settings.json").write_text(json.dumps(model))
        shutil.copy(FOLDER / "mlserver_server.py", place.folder)
        return [str(place.script / "mlserver"), "start", str(place.folder)]

    return command


def _start_truss(place: Place) -> Sequence[str]:
    """The server that `truss image build-context` puts into an image, started as the image would."""
    return _run(place, "truss_server.py", str(FOLDER / "truss"), str(place.folder), str(place.port))


def _start_bentoml(place: Place) -> Sequence[str]:
    address = ["--host", "127.0.0.1", "--port", str(place.port), "--working-dir", str(FOLDER)]
    return [str(place.script / "bentoml"), "serve", "bentoml_server:Echo", *address]


def _start_kserve(place: Place) -> Sequence[str]:
    ports = ["--http_port", str(place.port), "--grpc_port", str(place.grpc_port)]
    for limit in ("send", "receive"):
        ports += [f"--grpc_max_{limit}_message_length", str(LARGEST_BYTES)]
    return _run(place, "kserve_server.py", *ports)


def _start_with_ports(script: str):
    def command(place: Place) -> Sequence[str]:
        ports = ["--port", str(place.port), "--grpc-port", str(place.grpc_port)]
        return _run(place, script, *ports, "--mode", place.mode)

    return command


def _start_grpc(kind: str):
    def command(place: Place) -> Sequence[str]:
        return _run(place, "grpc_server.py", "--kind", kind, "--grpc-port", str(place.grpc_port))

    return command


def _make_bare(name: str, note: str, *options: str) -> Peer:
    """One port for both protocols."""
    return Peer(
        name=name,
        environment=OWN,
        package="modelyard",
        command=lambda place: _run(place, "bare_server.py", "--port", str(place.port), *options),
        grpc=_ask_v2,
        rest=_ask_object("/{mode}", text=...),
        has_one_port=True,
        note=note,
    )


ALL = (
    _make_bare(
        "bare ASGI echo",
        "an ASGI application on the HTTP server that carries Modelyard: the platform is the difference",
        "--asgi",
    ),
    _make_bare("bare echo, one call", "the same, answering past ASGI as Modelyard's own does"),
    Peer(
        name="grpc.aio",
        environment="grpc",
        package="grpcio",
        command=_start_grpc("aio"),
        grpc=_ask_v2,
        modes=frozenset({ECHO, STREAM}),
        note="bare echo, no platform",
    ),
    Peer(
        name="grpc.aio on uvloop",
        environment="grpc",
        package="grpcio",
        command=_start_grpc("uvloop"),
        grpc=_ask_v2,
        modes=frozenset({ECHO, STREAM}),
        note="bare echo, no platform",
    ),
    Peer(
        name="grpc sync",
        environment="grpc",
        package="grpcio",
        command=_start_grpc("sync"),
        grpc=_ask_v2,
        modes=frozenset({ECHO, STREAM}),
        note="bare echo in 4 threads, no platform",
    ),
    Peer(
        name="FastAPI",
        environment="fastapi",
        package="fastapi",
        command=_start_with_ports("fastapi_server.py"),
        rest=_ask_object("/{mode}", text=...),
        modes=frozenset({ECHO, STREAM}),
        note="bare echo on uvicorn with uvloop and httptools, no platform",
    ),
    Peer(
        name="LitServe",
        environment="litserve",
        package="litserve",
        command=_start_with_ports("litserve_server.py"),
        rest=_ask_object("/predict", text=...),
        modes=frozenset({ECHO, BATCH, STREAM}),
        note="one API process, one worker, fast_queue",
    ),
    Peer(
        name="BentoML",
        environment="bentoml",
        package="bentoml",
        command=_start_bentoml,
        rest=_ask_bentoml,
        env={"BENTOML_DO_NOT_TRACK": "True"},
        modes=frozenset({ECHO, BATCH}),
        note="one worker, an async API",
    ),
    Peer(
        name="MLServer",
        environment="mlserver",
        package="mlserver",
        command=_start_mlserver(0),
        rest=_ask_object(
            "/v2/models/echo/infer", inputs=[{"name": "text", "shape": [1], "datatype": "BYTES", "data": [...]}]
        ),
        grpc=_ask_infer,
        modes=frozenset({ECHO, BATCH}),
        note="the model in the server's process, its fastest way",
    ),
    Peer(
        name="MLServer, worker",
        environment="mlserver",
        package="mlserver",
        command=_start_mlserver(1),
        rest=_ask_object(
            "/v2/models/echo/infer", inputs=[{"name": "text", "shape": [1], "datatype": "BYTES", "data": [...]}]
        ),
        grpc=_ask_infer,
        note="the model in a process of its own, its default",
    ),
    Peer(
        name="KServe",
        environment="kserve",
        package="kserve",
        command=_start_kserve,
        rest=_ask_object("/v1/models/echo:predict", instances=[...]),
        grpc=_ask_infer,
        note="its Python server, one worker",
    ),
    Peer(
        name="Truss",
        environment="truss",
        package="truss",
        command=_start_truss,
        rest=_ask_object("/v1/models/model:predict", text=...),
        env={"PYTHONUNBUFFERED": "1"},
        note="the server of its images",
    ),
    Peer(
        name="Ray Serve",
        environment="ray",
        package="ray",
        command=_start_with_ports("ray_server.py"),
        rest=_ask_object("/", text=...),
        grpc=_ask_ray,
        env={"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
        modes=frozenset({ECHO, BATCH}),
        note="one replica, settings for throughput",
        is_restless=True,
    ),
)
