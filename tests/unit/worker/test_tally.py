from __future__ import annotations

import threading

from modelyard.wire.messages import MultiOutputResponse, Output
from modelyard.wire.stats import COUNTS, Stats
from modelyard.worker.tally import NOTED, Made, Tally, tells_tokens

HAS_TOKENS = "completion_tokens" in Output.DESCRIPTOR.fields_by_name


def test_call_is_counted_with_the_wait_of_each_of_its_requests() -> None:
    tally = Tally()
    tally.count_call([0.5, 0.02], 3, 0.2, 0)
    tally.count_call([0.5], 1, 0.2, 2)
    stats = Stats.decode(tally.encode())
    assert sum(stats.counts["wait_s"]) == 3
    assert stats.totals["wait_s"] == 1.02
    assert stats.counts["batch_inputs"][COUNTS.index(4.0)] == 1
    assert stats.totals["predict_s"] == 0.4
    assert stats.made["outputs"] == 2


def test_outputs_and_tokens_are_added_up() -> None:
    tally, made = Tally(), Made()
    made.outputs += 2
    if HAS_TOKENS:
        told = MultiOutputResponse(outputs=[Output(prompt_tokens=7, completion_tokens=2), Output(completion_tokens=1)])
        assert tells_tokens(told.outputs[1])
        made.add_tokens(told)
    tally.count_made(made)
    tally.count_call([0.1], 1, 0.1, 2)
    assert not tells_tokens(Output())
    stats = Stats.decode(tally.encode())
    assert stats.made["outputs"] == 4
    assert stats.made["completion_tokens"] == (3 if HAS_TOKENS else 0)


def test_calls_of_many_threads_are_all_counted() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(3 * NOTED + 7):
            tally.count_call([0.01], 1, 0.1, 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    stats = Stats.decode(tally.encode())
    assert sum(stats.counts["predict_s"]) == sum(stats.counts["wait_s"]) == 4 * (3 * NOTED + 7)
    assert stats.totals["batch_inputs"] == 4 * (3 * NOTED + 7)
