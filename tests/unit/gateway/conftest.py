"""A gateway in memory: the real shard, pipeline and application; a store and a computer that the test can trouble.

`journal` is what happened to the world, in its order: what became durable, and what reached the computer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.action.request import Principal
from rynxs.api.manifest import parse
from rynxs.computer.fence import Register
from rynxs.computer.protocol import Ended, Output, Refused, Run
from rynxs.eventlog import Event, Log, MemoryAnchors, MemoryStore, Signer, StoreBroken, Trust, uuid7
from rynxs.gateway.app import create_app
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.identity import Identity, Verb
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.refusal import Forbidden, NotFound, Unauthenticated
from rynxs.gateway.registry import Registered, Registry
from rynxs.gateway.shard import Shard
from rynxs.policy.engine import Engine

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
SIGNER = Signer.generate("gateway-2026")
ALICE = Principal(name="alice")
BOB = Principal(name="bob")
AGENTS = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, namespace: team-a}
---
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: web, namespace: team-a}
"""
POLICY = """
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: team-a}
spec:
  selector: {}
  rules:
  - {name: files, tools: [file_read, file_list, file_write, file_delete], when: "true", effect: Allow}
  - {name: good, tools: [shell_exec], when: 'action.args.argv[0] == "good"', effect: Allow}
  - {name: bad, tools: [shell_exec], when: 'action.args.argv[0] == "bad"', effect: Deny, message: Not here.}
"""
NO_POLICY = (
    "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: none, namespace: team-b}\nspec: {selector: {}}"
)

Behaviour = Callable[["FakeConnection", Run], AsyncIterator[Output | Ended | Refused]]
SHELL = Outcome(ending=Ending.FINISHED, result={"exit_code": 0}, seconds=0.5)
CANCELLED = Outcome(ending=Ending.CANCELLED, error="the caller gave up")


class Store(MemoryStore):
    """Waits at `gate` before each create, is `broken` if set, and journals what became durable."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self.journal = journal
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def create(self, key: str, data: bytes) -> None:
        await self.gate.wait()
        if self.broken:
            raise StoreBroken("the disk is gone")
        await super().create(key, data)
        for line in data.splitlines() if key.startswith("streams/") else []:
            event = json.loads(line)
            if event.get("type") == "action.decided":
                self.journal.append(event["data"]["effect"])
            elif event.get("type") == "action.finished":
                self.journal.append(event["data"]["outcome"])


class FakeConnection:
    """A daemon with the real register; `behave` says what a run does once it was admitted."""

    def __init__(self, world: World, boot: str) -> None:
        self.world = world
        self.register = Register(boot)
        self.cancels: dict[str, asyncio.Event] = {}
        self.deaf = False

    def cancelled(self, action: str) -> asyncio.Event:
        return self.cancels.setdefault(action, asyncio.Event())

    def say(self, run: Run, data: bytes, stream: str = "stdout") -> Output:
        return Output(action=run.action, stream=stream, data=data)  # type: ignore[arg-type]

    def end(self, run: Run, outcome: Outcome) -> Ended:
        self.register.ended(run.action, outcome)
        return Ended(action=run.action, outcome=outcome)

    async def run(self, run: Run) -> AsyncIterator[Output | Ended | Refused]:
        self.world.runs.append(run)
        reason = self.register.admit(run)
        if reason is not None:
            yield Refused(action=run.action, reason=reason)
            return
        self.world.journal.append("run")
        async for message in self.world.behave(self, run):
            yield message

    async def cancel(self, action: str) -> None:
        self.world.journal.append("cancel")
        if not self.deaf:
            self.cancelled(action).set()


async def finish(connection: FakeConnection, run: Run) -> AsyncIterator[Output | Ended]:
    """Say hello, and end well: what each tool gives."""
    if run.tool == "shell_exec":
        yield connection.say(run, b"hello\n")
        captured = Captured(sha256="0" * 64, bytes=6)
        yield connection.end(run, replace(SHELL, stdout=captured, stderr=Captured(sha256="0" * 64, bytes=0)))
        return
    result: dict[str, Any] = {
        "file_read": {"content": "text", "encoding": "utf-8", "size": 4},
        "file_write": {"size": 4},
        "file_list": {"entries": [{"name": "a", "kind": "file", "size": 1, "modified": 1.5}], "truncated": False},
        "file_delete": {"count": 1},
    }[run.tool]
    yield connection.end(run, Outcome(ending=Ending.FINISHED, result=result))


async def hang(connection: FakeConnection, run: Run) -> AsyncIterator[Output | Ended]:
    """Run until it is cancelled."""
    yield connection.say(run, b"up\n")
    await connection.cancelled(run.action).wait()
    yield connection.end(run, CANCELLED)


class FakeComputers(Computers):
    """One computer an agent. `before_open` is awaited before it is there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connections: dict[str, FakeConnection] = {}
        self.before_open: Callable[[], Awaitable[None]] | None = None

    async def open(self, registered: Registered) -> Computer:
        self.world.journal.append("open")
        if self.before_open is not None:
            await self.before_open()
        connection = self.connections.get(registered.uid)
        if connection is None:
            connection = self.connections[registered.uid] = FakeConnection(self.world, f"boot-{registered.uid}")
            connection.register.claim(self.world.shard.fence, [])
        return Computer(name=str(registered.ref), boot=connection.register.boot, connection=connection)

    async def conclude(self, action: Action) -> Outcome:
        self.world.journal.append("conclude")
        connection = self.connections.get(action.agent.uid)
        state = connection.register.query(action.id) if connection else "unknown"
        return state if isinstance(state, Outcome) else Outcome(ending=Ending.INTERRUPTED, error="it may have happened")

    async def settle(self, action: Action) -> None:
        self.world.journal.append("settle")
        connection = self.connections.get(action.agent.uid)
        if connection is not None:
            connection.register.settled(action.id)

    async def remove(self, registered: Registered) -> None:
        self.connections.pop(registered.uid, None)


class FakeRegistry(Registry):
    """Agents and policies that the test sets."""

    def __init__(self) -> None:
        self.items = {
            agent.metadata.name: Registered(
                uid=f"uid-{agent.metadata.name}", created="2026-11-23T14:00:00Z", agent=agent
            )
            for agent in parse(AGENTS, "test")
        }
        self.apply(POLICY)

    def apply(self, policy: str) -> None:
        self._engine = Engine(parse(policy, "test"))

    def agent(self, namespace: str, name: str) -> Registered:
        if namespace != "team-a" or name not in self.items:
            raise NotFound(f"there is no agent {name} in namespace {namespace}: rynxs get agents")
        return self.items[name]

    def agents(self) -> Sequence[Registered]:
        return [self.items[name] for name in sorted(self.items)]

    def engine(self) -> Engine:
        return self._engine


class FakeIdentity(Identity):
    """Tokens are names; eve may nothing."""

    async def authenticate(self, token: str) -> Principal:
        if token not in ("alice", "bob", "eve"):
            raise Unauthenticated("this is no token")
        return Principal(name=token)

    async def authorize(self, principal: Principal, verb: Verb, namespace: str = "", agent: str = "") -> None:
        if principal.name == "eve":
            raise Forbidden(f"eve may not {verb}")


class World:
    """Everything of one gateway."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.runs: list[Run] = []
        self.behave: Behaviour = finish
        self.finish, self.hang = finish, hang
        self.alice, self.bob = ALICE, BOB
        self.store = Store(self.journal)
        self.signer, self.trust = SIGNER, Trust(log="test", keys=[SIGNER.trusted(["*"])])
        self.anchors = MemoryAnchors()
        self.registry = FakeRegistry()
        self.computers = FakeComputers(self)
        self.identity = FakeIdentity()
        self.no_policy = NO_POLICY
        self._shards: list[Shard] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def id(self, age: float = 0.0) -> str:
        """An action id made `age` seconds ago."""
        return uuid7(int((self.now().timestamp() - age) * 1000))

    async def claim(self, writer: str = "first") -> Shard:
        """Own the stream, as a new process would."""
        self.log = await Log.create_or_open(self.store, "test")
        self.shard = await Shard.claim(
            self.log, "shard-0", writer=writer, signer=SIGNER, trust=self.trust, anchor=self.anchors, now=self.now
        )
        self._shards.append(self.shard)
        self.pipeline = Pipeline(self.shard, self.registry, self.computers, now=self.now)
        return self.shard

    async def ask(self, *argv: str, id_: str | None = None, by: Principal = ALICE, agent: str = "dev") -> list[Any]:
        """Everything that a caller who stays sees of one shell_exec."""
        args = {"argv": list(argv)}
        async with self.pipeline.action(by, "team-a", agent, "shell_exec", args, id_=id_) as execution:
            return [item async for item in execution.follow()]

    def asking(self, *argv: str, **options: Any) -> asyncio.Task[list[Any]]:
        return asyncio.create_task(self.ask(*argv, **options))

    async def until(self, *tail: str) -> None:
        """Wait until the journal ends like this."""
        async with asyncio.timeout(60):
            while tuple(self.journal[-len(tail) :]) != tail:
                await asyncio.sleep(0)

    async def events(self) -> list[Event]:
        """The actions' events in the log."""
        found = [event async for event in self.log.read("shard-0")]
        return [event for event in found if event.type.startswith("action.")]

    def app(self, **options: Any) -> Any:
        return create_app(
            self.pipeline, self.registry, self.identity, self.log, self.shard, **({"hosts": ["gateway"]} | options)
        )

    @contextlib.asynccontextmanager
    async def http(self, token: str = "alice", **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
        """A client of the application."""
        app = self.app()
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app),
                base_url="http://gateway",
                headers={"Authorization": f"Bearer {token}"} | headers,
            ) as client,
        ):
            yield client

    async def close(self) -> None:
        self.store.gate.set()
        for shard in self._shards:
            with contextlib.suppress(Exception):
                await shard.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.claim()
    yield made
    await made.close()
