"""One run in virtual time: gateways are killed, paused and deposed over a faulty store and network, then judged.

The checker is the lifecycle fold over what the log holds in the end, beside what happened at the computers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import looptime
from simulation.gateway import ALICE, SIGNER, Gateway, SimAnchors
from simulation.world import STREAM, Broken, Choices, Process, World

from rynxs.action.lifecycle import Lifecycle, Violation
from rynxs.action.outcome import Outcome
from rynxs.action.record import Finished, read
from rynxs.eventlog import Event, Log, Trust, uuid7, verify
from rynxs.gateway.execution import Execution
from rynxs.gateway.refusal import Busy, Denied, Unavailable


class Simulation:
    """One run: some callers, some chaos, and then the check."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.world = World(choices)
        self.gateways: list[Gateway] = []
        self.told: dict[str, Outcome] = {}
        self.denied: set[str] = set()

    async def run(self) -> None:
        """Live through it, heal, and check."""
        self.start_gateway()
        callers = [asyncio.create_task(self.call(agent, argv)) for agent, argv in self.requests()]
        await self.chaos()
        await self.heal()
        done, waiting = await asyncio.wait(callers, timeout=600)
        if waiting:
            raise Broken(f"promise 2: {len(waiting)} callers wait for an outcome that does not come")
        for caller in done:
            caller.result()
        await self.until_settled()
        await self.check()

    def requests(self) -> Iterator[tuple[str, str]]:
        """Who will ask for what."""
        for _ in range(self.choices.pick(4, 2, 6)):
            yield self.choices.pick("a", "b"), self.choices.pick("good", "good", "bad")

    def start_gateway(self) -> None:
        """A process that takes over."""
        number = len(self.gateways)
        process = Process(f"gateway-{number}")
        self.gateways.append(Gateway(self.world, process, lambda: len(self.gateways) > number + 1))

    async def chaos(self) -> None:
        """Things that go wrong."""
        for _ in range(20):
            await asyncio.sleep(self.choices.pick(0.2, 0.003, 1.0, 3.0))
            gateway = self.gateways[self.choices.pick(*range(len(self.gateways)))]
            match self.choices.pick("nothing", "depose", "kill", "pause", "resume", "crash computer", "outage"):
                case "kill":
                    gateway.process.kill()
                    self.start_gateway()
                case "pause":
                    gateway.process.pause()
                    self.start_gateway()
                case "resume":
                    for each in self.gateways:
                        each.process.resume()
                case "depose":
                    gateway.process.pause()
                    self.start_gateway()
                    await asyncio.sleep(self.choices.pick(1.0, 0.1, 3.0))
                    gateway.process.resume()
                case "crash computer":
                    for daemon in self.world.daemons.values():
                        daemon.crash()
                case "outage":
                    self.world.outage = not self.world.outage

    async def heal(self) -> None:
        """No more faults; the paused wake up, and a last owner takes over."""
        self.choices.calm = True
        self.world.outage = False
        for gateway in self.gateways:
            gateway.process.resume()
        await asyncio.sleep(30)
        self.start_gateway()
        async with asyncio.timeout(300):
            await self.gateways[-1].life

    async def call(self, agent: str, argv: str) -> None:
        """A caller that repeats its action, with the same id, until it has an answer."""
        await asyncio.sleep(self.choices.pick(0.0, 0.5, 3.0))
        id_ = uuid7(int(self.world.now().timestamp() * 1000))
        while id_ not in self.told and id_ not in self.denied:
            gateway = self.gateways[-1]
            try:
                async with asyncio.timeout(self.choices.pick(30.0, 2.0)):
                    await gateway.serving.wait()
                    await self.ask(gateway, agent, argv, id_)
            except Denied:
                self.denied.add(id_)
            except (Unavailable, Busy, TimeoutError):
                await asyncio.sleep(1)

    async def ask(self, gateway: Gateway, agent: str, argv: str, id_: str) -> None:
        """One try."""
        assert gateway.pipeline is not None
        args: dict[str, Any] = {"argv": [argv]}
        async with gateway.pipeline.action(ALICE, "sim", agent, "shell_exec", args, id_=id_) as execution:
            async for item in execution.follow():
                if isinstance(item, Outcome):
                    if isinstance(execution, Execution) and gateway.process.dead:
                        return  # nobody hears a dead process
                    self.told[id_] = item

    async def until_settled(self) -> None:
        """The last owner has no open action any more."""
        shard = self.gateways[-1].shard
        assert shard is not None
        try:
            async with asyncio.timeout(300):
                while shard.lifecycle.open:
                    await asyncio.sleep(1)
        except TimeoutError:
            raise Broken(f"promise 2: no outcome of {list(shard.lifecycle.open)}") from None
        await shard.close()

    async def check(self) -> None:
        """Judge the run by the log and by what happened at the computers."""
        if self.world.broken:
            raise Broken("; ".join(self.world.broken))
        log = await Log.create_or_open(self.world.store)
        trust = Trust(log="simulation", keys=[SIGNER.trusted(["*"])])
        anchors = SimAnchors(self.world, Process("verifier"))
        report = await verify(self.world.store, STREAM, trust, anchors)
        if report.findings:
            raise Broken(f"promise 3: the log does not verify: {report.findings}")
        events: list[Event] = [event async for event in log.read(STREAM)]
        fold = Lifecycle(window=float("inf"))
        try:
            fold.fold(events)
        except Violation as violation:
            raise Broken(f"promise 2: {violation}") from violation
        recorded = {p.action: p.to_outcome() for e in events if isinstance(p := read(e), Finished)}
        for action, count in self.world.runs.items():
            if count > 1:
                raise Broken(f"promise 2: action {action} ran {count} times")
            if action not in recorded:
                raise Broken(f"promise 1: action {action} ran, and the log does not know it")
        for action, outcome in self.told.items():
            if recorded.get(action) is None or recorded[action].ending != outcome.ending:
                raise Broken(
                    f"promise 3: action {action} was answered {outcome.ending}, recorded is {recorded.get(action)}"
                )
        for action in self.denied & self.world.runs.keys():
            raise Broken(f"promise 1: action {action} was denied, and ran")


def play(script: bytes) -> None:
    """Live through the run that the script describes. Raises Broken naming the promise that does not hold."""
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(end=3600)) as runner:
        runner.get_loop().set_exception_handler(lambda *_: None)  # of processes that were killed: nobody awaits them
        runner.run(Simulation(Choices(script)).run())
