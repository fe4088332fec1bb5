"""The world of a simulation: one store, the computers, the clock, and gateway processes that stop at any await.

Everything that a gateway does to the world passes its process's gate before it is sent and before its answer is
seen. A paused process (SIGSTOP) waits there; a killed one waits for ever. What was sent before still arrives.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

from rynxs.action.outcome import Ending, Outcome
from rynxs.computer.fence import Register
from rynxs.computer.protocol import Fence, Run
from rynxs.eventlog import MemoryStore, StoreError

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
STREAM = "shard-0"


class Broken(AssertionError):
    """A promise does not hold in this run."""


class Choices:
    """Where a run is left open, Hypothesis has chosen: by a script of bytes, after which all is harmless.

    Half of a byte's values mean the first, harmless option, so that runs are troubled but get somewhere.
    """

    def __init__(self, script: bytes) -> None:
        self._script = iter(script)
        self.calm = False

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        byte = 0 if self.calm else next(self._script, 0)
        return options[(byte & 0x7F) % len(options) if byte & 0x80 else 0]


class Process:
    """One gateway process: it runs, is paused, or is dead."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self._running = asyncio.Event()
        self._running.set()

    async def gate(self) -> None:
        """Pass when the process runs."""
        await self._running.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self._running.clear()

    def resume(self) -> None:
        """SIGCONT."""
        if not self.dead:
            self._running.set()

    def kill(self) -> None:
        """SIGKILL."""
        self.dead = True
        self._running.clear()


class World:
    """What outlives every gateway."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.store = MemoryStore()
        self.outage = False
        self.anchors: dict[str, bytes] = {}
        self.runs: Counter[str] = Counter()
        self.broken: list[str] = []
        self.daemons: dict[str, Daemon] = {}
        self._sent: set[asyncio.Task[Any]] = set()

    def now(self) -> datetime:
        """Virtual time."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def send(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        """Something that arrives, whatever becomes of its sender."""
        task = asyncio.ensure_future(work)
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)
        return task

    def daemon(self, agent: str) -> Daemon:
        """The agent's computer."""
        return self.daemons.setdefault(agent, Daemon(self))

    def fail(self, message: str) -> None:
        """Note a broken promise."""
        self.broken.append(message)

    async def recorded(self, action: str) -> list[str]:
        """What the store holds of an action, now: the effect of its decision, then its outcome."""
        found = []
        async for key in self.store.list(f"streams/{STREAM}/"):
            for line in (await self.store.get(key)).splitlines():
                event = json.loads(line)
                if event.get("type") == "action.decided" and event["data"]["action"]["id"] == action:
                    found.append(event["data"]["effect"])
                elif event.get("type") == "action.finished" and event["data"]["action"] == action:
                    found.append(event["data"]["outcome"])
        return found


class Store:
    """The world's store as one process sees it: slow, failing, losing answers."""

    url = "memory://simulation"

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def create(self, key: str, data: bytes) -> None:
        """Conditional create, as unreliable as HTTP."""
        await self._process.gate()
        fault = self._world.choices.pick("ok", "ok", "slow", "very slow", "not sent", "answer lost", "late")
        if fault == "not sent" or self._world.outage:
            await asyncio.sleep(0.5)
            raise StoreError(f"{key}: reset before it was sent")
        delay = {"ok": 0.001, "slow": 2.5, "very slow": 7.0, "answer lost": 0.01, "late": 6.0}[fault]
        landing = self._world.send(self._land(key, data, delay))
        if fault == "late":
            await asyncio.sleep(1)
            await self._process.gate()
            raise StoreError(f"{key}: time out; it may arrive yet")
        try:
            await asyncio.shield(landing)
        finally:
            await self._process.gate()
        if fault == "answer lost":
            raise StoreError(f"{key}: reset after it was sent")

    async def _land(self, key: str, data: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._world.store.create(key, data)

    async def get(self, key: str) -> bytes:
        """Read, or fail."""
        await self._reach(key)
        data = await self._world.store.get(key)
        await self._process.gate()
        return data

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """List, or fail."""
        await self._reach(prefix)
        async for key in self._world.store.list(prefix, after):
            yield key

    async def _reach(self, key: str) -> None:
        await self._process.gate()
        fault = self._world.choices.pick("ok", "ok", "ok", "slow", "fails")
        if fault == "fails" or self._world.outage:
            await asyncio.sleep(0.2)
            raise StoreError(f"{key}: 503")
        await asyncio.sleep(1.0 if fault == "slow" else 0.001)
        await self._process.gate()


class Daemon:
    """A computer's daemon: the real register, and runs that are counted instead of run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._highest = Fence(0, 0)
        self._start()

    def _start(self) -> None:
        self.boot = str(uuid.uuid4())
        self.register = Register(self.boot)
        self.over = asyncio.Event()
        self._ends: dict[str, asyncio.Event] = {}
        self._acting: dict[str, asyncio.Task[None]] = {}

    def crash(self) -> None:
        """The pid namespace ends, and a new boot begins."""
        for task in self._acting.values():
            task.cancel()
        self.over.set()
        self._start()

    def claim(self, fence: Fence, open_ids: list[str]) -> None:
        """As the daemon does it. Raises computer.fence.Fenced."""
        for action in self.register.claim(fence, open_ids):
            self._end(action, Outcome(ending=Ending.CANCELLED, error="not open"))
        self._highest = max(self._highest, fence)

    async def run(self, run: Run) -> str | None:
        """Take a run that arrives now; gives the reason of a refusal."""
        reason = self.register.admit(run)
        if reason is not None:
            return reason
        self._world.runs[run.action] += 1
        if run.fence < self._highest:
            self._world.fail(f"promise 3: {run.fence} started action {run.action} after {self._highest} had claimed")
        self._ends[run.action] = asyncio.Event()
        self._acting[run.action] = self._world.send(self._act(run))
        recorded = await self._world.recorded(run.action)
        if recorded != ["Allow"]:
            number = 2 if recorded[:1] == ["Allow"] else 1
            self._world.fail(f"promise {number}: action {run.action} was started when the log had {recorded} of it")
        return None

    async def _act(self, run: Run) -> None:
        await asyncio.sleep(self._world.choices.pick(0.05, 0.5, 4.0, 20.0))
        self._end(run.action, Outcome(ending=Ending.FINISHED, result={"exit_code": 0}))

    def cancel(self, action: str) -> None:
        """Kill what the action started."""
        if action in self._acting:
            self._end(action, Outcome(ending=Ending.CANCELLED, error="cancelled"))

    def _end(self, action: str, outcome: Outcome) -> None:
        task = self._acting.pop(action)
        if task is not asyncio.current_task():
            task.cancel()
        self.register.ended(action, outcome)
        self._ends[action].set()

    async def end(self, action: str) -> Outcome | None:
        """The outcome once there is one, or None when the boot was over first."""
        register = self.register
        waits = {asyncio.ensure_future(self._ends[action].wait()), asyncio.ensure_future(self.over.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        state = register.query(action)
        return state if isinstance(state, Outcome) else None
