from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelyard.errors import WorkerCrashed
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from support.links import PREDICT, FakeLink, call, settle


class Callers(RuleBasedStateMachine):
    """Whatever callers and replicas do: no slot is lost, none is given twice, and every caller hears of its request."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.router = Router(queue=QueueLimits(size=4), orphan_s=1000)
        self.links: dict[str, FakeLink] = {}
        self.tasks: list[asyncio.Task[bytes]] = []
        self.last = 0

    def do(self, work: Callable[[], object]) -> None:
        async def settled() -> None:
            work()
            await settle()

        self.loop.run_until_complete(settled())

    @rule(caller=st.sampled_from("abc"))
    def ask(self, caller: str) -> None:
        self.do(lambda: self.tasks.append(call(self.router, caller=caller)))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        able = [link for link in self.links.values() if any(not one.done() for one in link.calls)]
        if able:
            link = data.draw(st.sampled_from(able))
            index = data.draw(st.sampled_from([at for at, one in enumerate(link.calls) if not one.done()]))
            self.do(lambda: link.answer(index))

    @rule(data=st.data(), is_settled=st.booleans())
    def leave(self, data: st.DataObject, is_settled: bool) -> None:
        waiting = [one for one in self.tasks if not one.done()]
        if waiting:
            task = data.draw(st.sampled_from(waiting))
            if not is_settled:  # in the same turn of the loop in which a slot becomes free
                able = [link for link in self.links.values() if any(not one.done() for one in link.calls)]
                if able:
                    index = next(at for at, one in enumerate(able[0].calls) if not one.done())
                    self.do(lambda: (able[0].answer(index), self.loop.call_soon(task.cancel)))
                    return
            self.do(task.cancel)

    @rule(size=st.integers(1, 3))
    def add_replica(self, size: int) -> None:
        if len(self.links) < 3:
            self.last += 1
            name, link = f"r{self.last}", FakeLink()
            self.links[name] = link
            self.do(lambda: self.router.add(name, "v", link, size, PREDICT))

    @rule(data=st.data(), is_crash=st.booleans())
    def lose_replica(self, data: st.DataObject, is_crash: bool) -> None:
        if self.links:
            name = data.draw(st.sampled_from(sorted(self.links)))
            link = self.links.pop(name)
            if is_crash:
                link.is_open = False
                self.do(lambda: [one.set_exception(WorkerCrashed("gone")) for one in link.calls if not one.done()])
            self.do(lambda: self.router.remove(name))
            if not is_crash:
                self.do(lambda: [one.set_result(b"answer") for one in link.calls if not one.done()])

    @invariant()
    def slots_are_what_runs(self) -> None:
        for name, link in self.links.items():
            assert self.router.in_flight(name) == sum(not one.done() for one in link.calls)

    @invariant()
    def nobody_waits_beside_a_free_replica(self) -> None:
        running = sum(not one.done() for link in self.links.values() for one in link.calls)
        if self.links and not running:
            assert all(task.done() for task in self.tasks)

    def teardown(self) -> None:
        while self.links and any(not one.done() for link in self.links.values() for one in link.calls):
            link = next(one for one in self.links.values() if any(not call.done() for call in one.calls))
            index = next(at for at, one in enumerate(link.calls) if not one.done())
            self.do(lambda link=link, index=index: link.answer(index))
        assert not self.links or all(task.done() for task in self.tasks)
        self.do(lambda: [task.cancel() for task in self.tasks])
        assert all(task.done() and (task.cancelled() or task.exception() or True) for task in self.tasks)
        for name in self.links:
            assert self.router.in_flight(name) == 0
        self.loop.close()


TestCallers = Callers.TestCase
TestCallers.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
