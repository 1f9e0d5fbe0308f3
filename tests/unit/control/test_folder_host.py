"""A folder is kept running: edits are followed, failures leave the old model serving, crashes are recovered from."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.errors import BuildFailed, Conflict, ModelLoadFailed, ModelyardError, WorkerCrashed
from modelyard.server.backends.base import WorkerState
from modelyard.server.control.folder_host import FolderHost, FolderMeans, Prepared
from modelyard.server.records import ModelKey
from modelyard.server.routing.router import Router
from modelyard.wire.messages import ModelVersion
from modelyard.wire.reload import FAILED, KEPT, RESTART, SAME, Reloaded
from support.control import METHODS, ScriptedBackend, ScriptedReplica, until

VERSION = "v"
EDIT = frozenset({"1/model.py"})


class House:
    """A host, what it works with, and what it told."""

    def __init__(self) -> None:
        self.backend = ScriptedBackend()
        self.router = Router()
        self.told: list[str] = []
        self.asked: list[list[str]] = []
        self.answer = Reloaded(outcome=KEPT, changed=("predict",), methods=METHODS)
        self.prepare_raises: ModelyardError | None = None
        self.adopt_raises: ModelyardError | None = None
        self.backend.script = self.begin
        self.host = FolderHost(
            FolderMeans(
                folder=Path("model"),
                version_id=VERSION,
                backend=self.backend,
                router=self.router,
                prepare=self.prepare,
                adopt=self.adopt,
                events=self,
                drain_s=1.0,
                back_off_s=(0.001,),
            )
        )

    def begin(self, replica: ScriptedReplica, *, loads: bool = True) -> None:
        """A replica that loads at once, or not by itself, and answers RELOAD."""

        async def reload(payload: bytes) -> bytes:
            self.asked.append(json.loads(payload))
            return self.answer.encode()

        replica.link.reload = reload  # type: ignore[attr-defined]
        if loads:
            replica.ready()

    def prepare(self, stop: threading.Event) -> Prepared:
        if self.prepare_raises:
            raise self.prepare_raises
        key = ModelKey(user_id="ann", app_id="main", model_id="m")
        return Prepared(key=key, model_type_id="text-to-text", spec=ModelVersion(), python=Path("python"), threads=1)

    async def adopt(self, prepared: Prepared) -> None:
        if self.adopt_raises:
            raise self.adopt_raises

    def on_line(self, line: str) -> None:
        pass

    def on_edit(self, paths: frozenset[str], told: Reloaded, elapsed_s: float) -> None:
        self.told.append(f"{told.outcome} {told.message}".strip())

    def on_started(self, paths: frozenset[str], elapsed_s: float) -> None:
        self.told.append("started")

    def on_failed(self, error: ModelyardError, *, is_serving: bool) -> None:
        self.told.append(f"not loaded: {error.message}, serving: {is_serving}")

    def on_crashed(self, message: str, details: str, pause_s: float) -> None:
        self.told.append("crashed")

    async def ask(self) -> bytes:
        return await self.router.call(VERSION, b"", deadline=None)

    async def wait_for(self, *told: str) -> None:
        await until(lambda: self.told == list(told))


@pytest.fixture
def open_house() -> Callable[[], Awaitable[object]]:
    @asynccontextmanager
    async def open_one() -> AsyncIterator[House]:
        house = House()
        await house.host.start()
        running = asyncio.create_task(house.host.run())
        try:
            yield house
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await house.host.close()
            assert house.backend.running == []

    return open_one


Open = Callable[[], object]


async def test_an_edit_that_the_worker_takes_starts_nothing(open_house: Open) -> None:
    async with open_house() as house:
        house.host.edit(EDIT)
        await house.wait_for("started", "kept")

        assert house.asked == [["1/model.py"]]
        assert len(house.backend.replicas) == 1
        assert await house.ask() is not None


async def test_an_edit_that_it_cannot_take_loads_anew_and_the_old_one_goes(open_house: Open) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=RESTART, message="load_model changed")
        house.host.edit(EDIT)
        await house.wait_for("started", "restart load_model changed", "started")

        old, new = house.backend.replicas
        await until(lambda: old.stops == 1)
        await house.ask()
        assert len(new.link.payloads) == 1


async def test_config_and_requirements_need_no_asking(open_house: Open) -> None:
    async with open_house() as house:
        house.host.edit({"config.yaml", "requirements.txt", "1/model.py"})
        await house.wait_for("started", "restart config.yaml and requirements.txt changed", "started")

        assert house.asked == []


@pytest.mark.parametrize("what", ["load", "environment", "name"])
async def test_a_new_start_that_fails_leaves_the_old_one_serving(open_house: Open, what: str) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=RESTART, message="x")
        if what == "load":
            house.backend.script = lambda replica: replica.fail("no")
        elif what == "environment":
            house.prepare_raises = BuildFailed("no")
        else:
            house.adopt_raises = Conflict("no")
        house.host.edit(EDIT)
        await house.wait_for("started", "restart x", "not loaded: no, serving: True")

        await house.ask()
        assert len(house.backend.running) == 1


async def test_what_failed_is_part_of_the_next_edit(open_house: Open) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=FAILED, message="line 3")
        house.host.edit({"1/a.py"})
        await house.wait_for("started", "failed line 3")
        house.answer = Reloaded(outcome=SAME, methods=METHODS)
        house.host.edit({"1/b.py"})
        await until(lambda: len(house.asked) == 2)
        await house.wait_for("started", "failed line 3", "same")
        house.host.edit({"1/c.py"})
        await until(lambda: len(house.asked) == 3)

        assert house.asked == [["1/a.py"], ["1/a.py", "1/b.py"], ["1/c.py"]]


async def test_a_save_of_what_the_new_one_has_read_begins_again(open_house: Open) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=RESTART, message="x")
        house.backend.script = lambda replica: house.begin(replica, loads=False)
        house.host.edit({"1/a.py"})
        await until(lambda: len(house.backend.replicas) == 2)

        house.backend.script = house.begin
        house.host.edit({"1/b.py"})
        await house.wait_for("started", "restart x", "restart x", "started")

        assert [replica.stops for replica in house.backend.replicas[1:]] == [1, 0]
        assert house.asked == [["1/a.py"], ["1/b.py"], ["1/a.py", "1/b.py"]]


async def test_a_save_of_anything_else_lets_the_new_one_go_on(open_house: Open) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=RESTART, message="x")
        house.backend.script = lambda replica: house.begin(replica, loads=False)
        house.host.edit({"1/a.py"})
        await until(lambda: len(house.backend.replicas) == 2)

        house.answer = Reloaded(outcome=SAME, methods=METHODS)
        house.host.edit({"loads.txt"})
        await until(lambda: house.asked[-1] == ["loads.txt"])
        house.backend.replicas[1].ready()
        await house.wait_for("started", "restart x", "started")

        assert house.backend.replicas[1].stops == 0


async def test_what_a_failed_start_wrote_does_not_start_another(open_house: Open, tmp_path: Path) -> None:
    async with open_house() as house:
        (tmp_path / "log.txt").write_text("written while it loaded")
        house.host._means = replace(house.host._means, folder=tmp_path)
        house.answer = Reloaded(outcome=RESTART, message="x")
        house.backend.script = lambda replica: replica.fail("no")
        house.host.edit(EDIT)
        await house.wait_for("started", "restart x", "not loaded: no, serving: True")

        house.host.edit({"log.txt"})
        assert not house.host._wake.is_set()
        house.backend.script = house.begin
        (tmp_path / "labels.txt").write_text("saved since")
        house.host.edit({"labels.txt"})
        await house.wait_for("started", "restart x", "not loaded: no, serving: True", "restart x", "started")


async def test_a_save_while_the_first_one_loads_is_followed() -> None:
    house = House()
    house.answer = Reloaded(outcome=RESTART, message="x")
    house.backend.script = lambda replica: house.begin(replica, loads=False)
    starting = asyncio.create_task(house.host.start())
    await until(lambda: len(house.backend.replicas) == 1)
    house.backend.script = house.begin
    house.host.edit({"1/a.py"})
    await starting

    assert [replica.stops for replica in house.backend.replicas] == [1, 0]
    await house.host.close()


async def test_a_crash_is_recovered_from(open_house: Open) -> None:
    async with open_house() as house:
        house.backend.replicas[0].exit(-11)
        await house.wait_for("started", "crashed", "started")

        await house.ask()


async def test_a_crashed_model_that_does_not_load_again_is_tried_again(open_house: Open) -> None:
    async with open_house() as house:
        house.backend.script = lambda replica: replica.fail("no")
        house.backend.replicas[0].exit(-11)
        await until(lambda: house.told.count("not loaded: no, serving: False") >= 2)
        house.backend.script = house.begin
        await until(lambda: house.told[-1] == "started")


async def test_an_edit_mends_a_model_that_crashed(open_house: Open) -> None:
    async with open_house() as house:
        house.host._means = replace(house.host._means, back_off_s=(60.0,))
        house.backend.replicas[0].exit(-11)
        await house.wait_for("started", "crashed")

        house.host.edit(EDIT)
        await house.wait_for("started", "crashed", "restart no worker runs", "started")


async def test_methods_that_the_edit_added_are_routed(open_house: Open) -> None:
    async with open_house() as house:
        house.answer = Reloaded(outcome=KEPT, methods=METHODS | {"generate"})
        house.host.edit(EDIT)

        await until(lambda: house.router.methods_of(VERSION) == METHODS | {"generate"})


@pytest.mark.parametrize(("state", "error"), [(WorkerState.FAILED, ModelLoadFailed), (None, WorkerCrashed)])
async def test_a_first_load_that_fails_is_raised(state: WorkerState | None, error: type[ModelyardError]) -> None:
    house = House()
    house.backend.script = lambda replica: replica.fail("no") if state else replica.exit(3)

    with pytest.raises(error):
        await house.host.start()
    assert house.backend.running == []
