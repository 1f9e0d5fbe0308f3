"""How cost grows: with the number of models, and with replicas. Ours alone: few peers have either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beside import asking, h2load, ours, process
from beside.endpoint import GRPC, REST
from beside.h2load import Load
from beside.options import Options
from beside.payload import make_text
from beside.rounds import WARM_UP_S, evaluate, summarize
from beside.server import ECHO, WAITING

MODELS = (1, 10, 100)
CLIENTS = 16
REPLICAS = (1, 2, 4, 8)
REPLICA_CLIENTS = 64
REPLICATED = {"echo": ECHO, "5 ms in one thread": WAITING}


def models(options: Options) -> Mapping[str, Any]:
    """Requests go to all models in turn. Over REST, whose paths name the model: a body is the same for all."""
    names = [f"echo-{number:03}" for number in range(max(MODELS))]
    with process.on_core(options.server_core), ours.run_ours(ECHO, ()) as running:
        memory, seen = {}, {}
        deployed = 0
        for count in MODELS:
            running.deploy(ECHO, names[deployed:count])
            deployed = count
            with process.on_core(options.load_core):
                seen[count] = _measure_models(running, names[:count], options)
            memory[str(count)] = round(process.sum_memory_mb(running.pid), 1)
    rows = [{"models": count, "clients": CLIENTS, **summarize(values)} for count, values in seen.items()]
    return {"rows": rows, "failures": {}, "memory_after_mb": memory}


def _measure_models(running: ours.Ours, names: Sequence[str], options: Options) -> list[dict[str, float]]:
    entries = {name: ours.list_entries(running, ECHO, name) for name in names}
    endpoints = [one.ask(make_text()) for found in entries.values() for one in found if one.protocol == REST]
    sizes = [asking.ask(endpoint, running.port) for endpoint in endpoints]
    paths = [endpoint.path for endpoint in endpoints]
    warm = Load(connections=CLIENTS, seconds=WARM_UP_S)
    load = Load(connections=CLIENTS, seconds=options.seconds)
    values = []
    for _ in range(options.rounds):
        h2load.run(endpoints[0], running.port, warm, paths=paths)
        outcome = h2load.run(endpoints[0], running.port, load, paths=paths)
        values.append(evaluate(outcome, size_bytes=min(sizes)))
        print(f"{len(names)} models  {values[-1]['per_s']:.0f}/s", flush=True)
    return values


def replicas(options: Options) -> Mapping[str, Any]:
    """A model that costs nothing, and one that waits 5 ms in one thread: the second is what replicas are for."""
    rows: list[dict[str, Any]] = []
    memory = {}
    with process.on_core(options.server_core), ours.run_ours(ECHO, ()) as running:
        for name, mode in REPLICATED.items():
            running.deploy(mode, [mode])
            for count in REPLICAS:
                running.scale(mode, count)
                memory[f"{name} x {count}"] = round(process.sum_memory_mb(running.pid), 1)
                with process.on_core(options.load_core):
                    values = _measure_replicas(running, mode, options)
                more = {"model": name, "replicas": count, "clients": REPLICA_CLIENTS}
                rows.append({**more, **summarize(values)})
                print(f"{name}, {count} replicas  {rows[-1]['per_s']:.0f}/s", flush=True)
            running.scale(mode, 1)
    return {"rows": rows, "failures": {}, "memory_after_mb": memory}


def _measure_replicas(running: ours.Ours, mode: str, options: Options) -> list[dict[str, float]]:
    entry = next(one for one in ours.list_entries(running, mode, mode) if one.protocol == GRPC)
    endpoint = entry.ask(make_text())
    size = asking.ask(endpoint, running.port)
    values = []
    for _ in range(options.rounds):
        h2load.run(endpoint, running.port, Load(connections=REPLICA_CLIENTS, seconds=WARM_UP_S))
        outcome = h2load.run(endpoint, running.port, Load(connections=REPLICA_CLIENTS, seconds=options.seconds))
        values.append(evaluate(outcome, size_bytes=size))
    return values
