"""What is measured: each scenario is one run side by side, and one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beside import ceiling, first_message, growth, ours, peers, process, rounds
from beside.endpoint import GRPC
from beside.field import Field, run_field
from beside.h2load import Load
from beside.options import Options
from beside.payload import Payload, make_image, make_text
from beside.rounds import Case
from beside.server import BATCH, ECHO, STREAM, Peer
from beside.speed import Speed

MIB = 1024 * 1024
STREAM_MESSAGES = 1000
BATCH_CLIENTS = (1, 16, 64)
BATCH_MAX = 32
IMAGE_PEERS = ("grpc.aio", "grpc sync", "FastAPI", "LitServe", "BentoML", "MLServer", "KServe", "Truss", "Ray Serve")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A name for `--only`, a title for people, and what makes its rows."""

    name: str
    title: str
    run: Callable[[Options], Mapping[str, Any]]


def choose_peers(options: Options, mode: str, names: Sequence[str] = ()) -> list[Peer]:
    """Those of this mode, of these names, and of `--against`."""
    found = [peer for peer in peers.ALL if mode in peer.modes and (not names or peer.name in names)]
    return [peer for peer in found if not options.against or peer.name in options.against]


def _run(
    options: Options,
    mode: str,
    chosen: Sequence[Peer],
    payload: Payload,
    make: Callable[[Field], Sequence[Case]],
    *,
    also: Callable[[Field], Mapping[str, Any]] = lambda _: {},
) -> Mapping[str, Any]:
    """Start the field on the server's core, measure from the other."""
    speed = Speed((options.server_core, options.load_core))
    with process.on_core(options.server_core), run_field(chosen, mode, payload, ours.enter(mode)) as field:
        with process.on_core(options.load_core):
            rows = rounds.measure(make(field), field, options.rounds, speed)
            more = also(field)
        after = {name: process.sum_memory_mb(pid) for name, pid in field.pids.items()}
    return {
        "rows": rows,
        "failures": field.failures,
        "memory_idle_mb": _round(field.memory_mb),
        "memory_after_mb": _round(after),
        "versions": {peer.name: f"{peer.package} {peer.version}" for peer in chosen},
        "notes": {peer.name: peer.note for peer in chosen},
        **more,
    }


def _round(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}


def _unary(clients: int) -> Callable[[Options], Mapping[str, Any]]:
    def run(options: Options) -> Mapping[str, Any]:
        load = Load(connections=clients, seconds=options.seconds)
        text = make_text()

        def measure_ceiling(_: Field) -> Mapping[str, Any]:
            return {"ceiling": ceiling.measure(options.server_core, clients, options.seconds)}

        return _run(
            options,
            ECHO,
            choose_peers(options, ECHO),
            text,
            lambda field: [Case(entry=entry, payload=text, load=load) for entry in field.entries],
            also=measure_ceiling,
        )

    return run


def _multiplexed(options: Options) -> Mapping[str, Any]:
    text = make_text()
    loads = [Load(connections=1, streams=16, seconds=options.seconds)]
    loads.append(Load(connections=4, streams=16, seconds=options.seconds))
    chosen = [peer for peer in choose_peers(options, ECHO) if peer.grpc is not None]

    def make(field: Field) -> Sequence[Case]:
        found = [entry for entry in field.entries if entry.protocol == GRPC]
        return [Case(entry=entry, payload=text, load=load) for load in loads for entry in found]

    return _run(options, ECHO, chosen, text, make)


def _image(size_bytes: int, clients: int, seconds: float) -> Callable[[Options], Mapping[str, Any]]:
    def run(options: Options) -> Mapping[str, Any]:
        load = Load(connections=clients, seconds=max(seconds, options.seconds))
        image = make_image(size_bytes)
        return _run(
            options,
            ECHO,
            choose_peers(options, ECHO, IMAGE_PEERS),
            image,
            lambda field: [Case(entry=entry, payload=image, load=load) for entry in field.entries],
        )

    return run


def _streaming(options: Options) -> Mapping[str, Any]:
    many = Payload(text=str(STREAM_MESSAGES))
    loads = [Load(connections=clients, seconds=options.seconds) for clients in (1, 16)]

    def make(field: Field) -> Sequence[Case]:
        return [
            Case(entry=entry, payload=many, load=load, items=STREAM_MESSAGES)
            for load in loads
            for entry in field.entries
        ]

    def measure_first(field: Field) -> Mapping[str, Any]:
        return {"first_message": first_message.measure(field.entries, options.rounds)}

    return _run(options, STREAM, choose_peers(options, STREAM), many, make, also=measure_first)


def find_ideal(clients: int) -> float:
    """Requests/s of the batching model when every batch is as full as it can be."""
    size = min(clients, BATCH_MAX)
    return size / (0.005 + 0.0001 * size)


def _batching(options: Options) -> Mapping[str, Any]:
    text = make_text()
    loads = [Load(connections=clients, seconds=options.seconds) for clients in BATCH_CLIENTS]

    def make(field: Field) -> Sequence[Case]:
        return [Case(entry=entry, payload=text, load=load) for load in loads for entry in field.entries]

    found = dict(_run(options, BATCH, choose_peers(options, BATCH), text, make))
    for row in found["rows"]:
        row["of_ideal"] = round(row["per_s"] / find_ideal(row["clients"]), 3)
    return found


def _sizes(options: Options) -> Mapping[str, Any]:
    """How cost grows with the payload: images from 100 bytes to 10 MiB, at 8 clients."""
    load = Load(connections=8, seconds=options.seconds)
    chosen = choose_peers(options, ECHO, ("grpc.aio", "FastAPI"))
    sizes = (100, 10 * 1024, 100 * 1024, MIB, 10 * MIB)

    def make(field: Field) -> Sequence[Case]:
        return [
            Case(entry=entry, payload=make_image(size), load=load, label={"size_bytes": size})
            for size in sizes
            for entry in field.entries
        ]

    return _run(options, ECHO, chosen, make_text(), make)


ALL = (
    Scenario(name="unary-1", title="A text of 100 bytes, 1 client", run=_unary(1)),
    Scenario(name="unary-16", title="A text of 100 bytes, 16 clients", run=_unary(16)),
    Scenario(name="unary-64", title="A text of 100 bytes, 64 clients", run=_unary(64)),
    Scenario(
        name="multiplexed", title="A text of 100 bytes over gRPC, 16 requests at once a connection", run=_multiplexed
    ),
    Scenario(name="image-1mib", title="An image of 1 MiB, 8 clients", run=_image(MIB, 8, 1.0)),
    Scenario(name="image-10mib", title="An image of 10 MiB, 1 client", run=_image(10 * MIB, 1, 2.0)),
    Scenario(name="streaming", title="Streams of 1,000 short messages, messages/s", run=_streaming),
    Scenario(name="batching", title="Dynamic batching: a model of 5 ms and 0.1 ms for each input", run=_batching),
    Scenario(name="sizes", title="How cost grows with the size of an image, 8 clients", run=_sizes),
    Scenario(name="models", title="How cost grows with the number of models, 16 clients over REST", run=growth.models),
    Scenario(name="replicas", title="How throughput grows with replicas, 64 clients over gRPC", run=growth.replicas),
)
