"""A gateway of the simulation: the real shard, pipeline, execution and recovery, on the world's store and computers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from simulation.world import STREAM, Broken, Daemon, Process, Store, World

from rynxs.action.lifecycle import Action, Violation
from rynxs.action.outcome import Ending, Outcome
from rynxs.action.request import Principal
from rynxs.api.manifest import parse
from rynxs.computer import fence
from rynxs.computer.client import ConnectionLost
from rynxs.computer.protocol import Ended, Fence, Output, Refused, Run
from rynxs.eventlog import Corrupted, Fenced, Log, LogError, Signer, StoreError, Trust
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.recovery import recover
from rynxs.gateway.refusal import NotFound, Unavailable
from rynxs.gateway.registry import Registered, Registry
from rynxs.gateway.shard import Shard
from rynxs.policy.engine import Engine

MANIFESTS = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: a, namespace: sim}
---
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: b, namespace: sim}
---
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: p, namespace: sim}
spec:
  selector: {}
  rules:
  - {name: good, tools: [shell_exec], when: 'action.args.argv[0] == "good"', effect: Allow}
"""

SIGNER = Signer.generate("simulation")
ALICE = Principal(name="alice")


class SimRegistry(Registry):
    """Two agents, one policy."""

    def __init__(self) -> None:
        agents: Sequence[Any] = parse(MANIFESTS, "simulation")
        self._agents = [Registered(uid=f"uid-{x.metadata.name}", created="", agent=x) for x in agents[:2]]
        self._engine = Engine(agents[2:])

    def agent(self, namespace: str, name: str) -> Registered:
        for registered in self._agents:
            if registered.ref.name == name:
                return registered
        raise NotFound(name)

    def agents(self) -> Sequence[Registered]:
        return self._agents

    def engine(self) -> Engine:
        return self._engine


class SimAnchors:
    """The anchors, through the process's gate."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def read(self, stream: str) -> bytes | None:
        await self._process.gate()
        return self._world.anchors.get(stream)

    async def write(self, stream: str, note: bytes) -> None:
        await self._process.gate()
        self._world.anchors[stream] = note


class SimConnection:
    """A connection to one boot of a daemon, over a network that loses requests and answers."""

    def __init__(self, world: World, process: Process, daemon: Daemon) -> None:
        self._world = world
        self._process = process
        self._daemon = daemon
        self._boot = daemon.boot

    async def run(self, run: Run) -> AsyncIterator[Output | Ended | Refused]:
        await asyncio.sleep(self._world.choices.pick(0.0, 2.0))
        await self._process.gate()
        fault = self._world.choices.pick("ok", "ok", "ok", "request lost", "answer lost", "late")
        if fault == "request lost":
            raise ConnectionLost("reset before it was sent")
        delay = self._world.choices.pick(4.0, 1.0, 12.0) if fault == "late" else 0.002
        arriving = self._world.send(self._arrive(run, delay))
        if fault == "late":
            raise ConnectionLost("reset; it may arrive yet")
        reason = await asyncio.shield(arriving)
        await self._process.gate()
        if reason is not None:
            yield Refused(action=run.action, reason=reason)
            return
        if fault == "answer lost" or self._daemon.boot != self._boot:
            raise ConnectionLost("reset after it was sent")
        outcome = await self._daemon.end(run.action)
        await self._process.gate()
        if outcome is None:
            raise ConnectionLost("the computer ended")
        yield Ended(action=run.action, outcome=outcome)

    async def _arrive(self, run: Run, delay: float) -> str | None:
        await asyncio.sleep(delay)
        return await self._daemon.run(run)

    async def cancel(self, action: str) -> None:
        await self._process.gate()
        if self._daemon.boot == self._boot:
            self._daemon.cancel(action)


class SimComputers(Computers):
    """The world's daemons, claimed with the shard's fence."""

    def __init__(self, world: World, process: Process, shard: Shard) -> None:
        self._world = world
        self._process = process
        self._shard = shard

    async def open(self, registered: Registered) -> Computer:
        daemon = await self._claimed(registered.uid)
        connection = SimConnection(self._world, self._process, daemon)
        return Computer(name=f"computer-{registered.ref.name}", boot=daemon.boot, connection=connection)

    async def conclude(self, action: Action) -> Outcome:
        try:
            daemon = await self._claimed(action.agent.uid)
        except Unavailable:
            await asyncio.Event().wait()  # deposed: the action is its new owner's to conclude
        while self._world.choices.pick("reached", "unreachable", "unreachable") == "unreachable":
            await asyncio.sleep(self._world.choices.pick(0.5, 5.0))
        await self._process.gate()
        if daemon.boot == action.boot:
            state = daemon.register.query(action.id)
            outcome = await daemon.end(action.id) if state == "running" else state
            await self._process.gate()
            if isinstance(outcome, Outcome):
                return outcome
        return Outcome(ending=Ending.INTERRUPTED, error="it may have happened")

    async def settle(self, action: Action) -> None:
        await self._process.gate()
        daemon = self._world.daemon(action.agent.uid)
        if daemon.boot == action.boot:
            daemon.register.settled(action.id)

    async def remove(self, registered: Registered) -> None:
        raise NotImplementedError("agents of the simulation stay")

    async def _claimed(self, uid: str) -> Daemon:
        await self._process.gate()
        daemon = self._world.daemon(uid)
        ours: Fence = self._shard.fence
        if daemon.register.fence != ours:
            open_ids = [a.id for a in self._shard.lifecycle.open.values() if a.agent.uid == uid]
            try:
                daemon.claim(ours, open_ids)
            except fence.Fenced as error:
                raise Unavailable(str(error)) from error
        return daemon


class Gateway:
    """One life of a gateway process."""

    def __init__(self, world: World, process: Process, deposed: Callable[[], bool]) -> None:
        """`deposed` says whether a newer process was started."""
        self._world = world
        self._deposed = deposed
        self.process = process
        self.pipeline: Pipeline | None = None
        self.shard: Shard | None = None
        self.serving = asyncio.Event()
        self.ready = asyncio.Event()
        self.life = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        """Start; a failed start is tried again, as whatever started the process would, until it is deposed."""
        while not self.ready.is_set():
            try:
                await self._start()
            except Fenced:
                if self._deposed():
                    return
            except Violation as problem:
                raise Broken(f"promise 2: {problem}") from problem
            except Corrupted as problem:
                raise Broken(f"promise 3: {problem}") from problem
            except (LogError, StoreError):
                await asyncio.sleep(0.5)

    async def _start(self) -> None:
        log = await Log.create_or_open(Store(self._world, self.process), log_id="simulation")
        self.shard = shard = await Shard.claim(
            log,
            STREAM,
            writer=self.process.name,
            signer=SIGNER,
            trust=Trust(log="simulation", keys=[SIGNER.trusted(["*"])]),
            anchor=SimAnchors(self._world, self.process),
            now=self._world.now,
        )
        computers = SimComputers(self._world, self.process, shard)
        self.pipeline = Pipeline(shard, SimRegistry(), computers, now=self._world.now)
        self.serving.set()
        await recover(shard, computers)
        self.ready.set()
