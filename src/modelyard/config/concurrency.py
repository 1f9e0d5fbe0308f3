"""The keys of config.yaml that say how many requests a replica works on at once."""

from __future__ import annotations

from modelyard.config.key import Key, Kind, by_name

MAX_THREADS = 1024
MAX_BATCH = 1024
MAX_WAIT_MS = 5000

NUM_THREADS = Key(
    name="num_threads",
    meaning="How many requests one replica works on at once, each in a thread of its own.",
    kind=Kind.NUMBER,
    low=1,
    high=MAX_THREADS,
    default="1",
    examples=("16",),
)

BATCHING = Key(
    name="batching",
    meaning="Answer requests of several callers together: inputs of requests with equal parameters that wait at the "
    "same time come to `predict` as one request. An extension of Modelyard; other servers pass it over.",
    kind=Kind.SECTION,
    default="off: each request is a call of `predict`",
    advice="write `max_size: 32` below it",
    keys=by_name(
        Key(
            name="max_size",
            meaning="How many inputs of different requests may be together in one call.",
            kind=Kind.NUMBER,
            low=1,
            high=MAX_BATCH,
            is_required=True,
            advice="say how many inputs predict is to get at once, such as 32",
            examples=("32",),
        ),
        Key(
            name="max_wait_ms",
            meaning="How long a request waits at most for others, in milliseconds, while a replica is free. With 0 it "
            "never does: what comes while a batch runs is the next batch.",
            kind=Kind.NUMBER,
            high=MAX_WAIT_MS,
            default="0",
            examples=("5",),
        ),
    ),
)
