"""A cluster's gateway without a cluster: its registry, computers, shard and pipeline, and pods on loopback.

The daemons in the pods are the real ones behind real TLS; only their tools are the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unit.cluster.kubernetes import Kubernetes

from rynxs.action.outcome import Ending, Outcome
from rynxs.action.request import Principal
from rynxs.cluster.computers import ClusterComputers
from rynxs.cluster.pod import WALLS
from rynxs.cluster.registry import ClusterRegistry
from rynxs.computer import listener
from rynxs.computer.daemon import Daemon
from rynxs.computer.fence import Fenced, Register
from rynxs.computer.frame import LIMIT
from rynxs.computer.protocol import ProtocolError
from rynxs.computer.stop import Stop
from rynxs.eventlog import Event, Log, MemoryAnchors, MemoryStore, Signer, Trust
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.recovery import recover
from rynxs.gateway.shard import Shard
from rynxs.operator.certificate import Authority, computer_host

ALICE = Principal(name="alice")
FINISHED = Outcome(ending=Ending.FINISHED, result={"exit_code": 0})
SIGNER = Signer.generate("gateway")
TRUST = Trust(log="test", keys=[SIGNER.trusted(["shard-*"])])
PODS, AGENTS = "api/v1/pods", "apis/rynxs.dev/v1alpha1/agents"
POLICIES = "apis/rynxs.dev/v1alpha1/agentpolicies"

Act = Callable[["Pod", Any, Stop, Callable[[str, bytes], None]], Awaitable[Outcome]]


async def finish(pod: Pod, args: Any, stop: Stop, emit: Callable[[str, bytes], None]) -> Outcome:
    """Say something and end well."""
    emit("stdout", b"hello\n")
    return FINISHED


async def hold(pod: Pod, args: Any, stop: Stop, emit: Callable[[str, bytes], None]) -> Outcome:
    """Run until the test lets go, or the action is stopped."""
    emit("stdout", b"up\n")
    going = asyncio.ensure_future(pod.go.wait())
    await asyncio.wait({going, stop.asked}, return_when=asyncio.FIRST_COMPLETED)
    going.cancel()
    if stop.ending is not None:
        return Outcome(ending=stop.ending, error=stop.error)
    emit("stdout", b"done\n")
    return FINISHED


class Pod:
    """A computer: a boot of the daemon, and a listener that can be shut."""

    def __init__(self, world: Any, address: str, name: str, namespace: str = "team-a") -> None:
        self.world = world
        self.address = address
        self.name = name
        self.act: Act = finish
        self.runs: list[Any] = []
        self.running = asyncio.Event()
        self.go = asyncio.Event()
        self.walls = dict(WALLS)
        self.files = world.folder / name
        self.certify(world.authority, computer_host(namespace, name))
        self.boot("boot-1")
        self._connections: set[asyncio.StreamWriter] = set()

    def certify(self, authority: Authority, host: str) -> None:
        write(self.files, authority.sign(self.name, [host], datetime.now(UTC)))

    def boot(self, boot: str) -> None:
        """A new life of the daemon."""
        self.register = Register(boot)
        self.daemon = Daemon(self.register, self)  # type: ignore[arg-type]

    async def run(self, args: Any, stop: Stop, max_output: int, emit: Callable[[str, bytes], None]) -> Outcome:
        """In the place of the tools."""
        self.runs.append(args)
        self.running.set()
        return await self.act(self, args, stop, emit)

    async def listen(self) -> None:
        """Let gateways in, as `listener.serve` does."""
        with contextlib.suppress(RuntimeError):
            await self.daemon.__aenter__()
        self._server = await asyncio.start_server(
            self._connected, self.address, self.world.port, ssl=listener.context(self.files), limit=LIMIT
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            listener._check_peer(writer)
            await self.daemon.serve(reader, writer, self.walls)
        except (ProtocolError, Fenced, OSError) as error:
            self.world.refused.append(str(error))
        finally:
            writer.transport.abort()
            self._connections.discard(writer)

    async def shut(self) -> None:
        """Let nobody in any more, and end what is open; the daemon lives."""
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        for writer in list(self._connections):
            writer.transport.abort()

    def show(self, **status: Any) -> None:
        """What the API server says of the pod."""
        state = status.pop("state", {"running": {}})
        ready = status.pop("ready", "True")
        self.world.kubernetes.put(
            PODS,
            {
                "metadata": {
                    "name": self.name,
                    "namespace": "team-a",
                    "labels": {"app.kubernetes.io/managed-by": "rynxs", "rynxs.dev/agent": "dev"},
                    "annotations": {"rynxs.dev/computer-number": "1"},
                    "ownerReferences": [{"kind": "Agent", "name": "dev", "uid": self.world.uid, "controller": True}],
                }
                | status.pop("metadata", {}),
                "status": {
                    "phase": "Running",
                    "podIP": self.address,
                    "conditions": [{"type": "Ready", "status": ready}],
                    "containerStatuses": [{"name": "computer", "state": state}],
                }
                | status,
            },
        )


class Gateway:
    """One life of a gateway."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = world.kubernetes.client()
        self.registry = ClusterRegistry(self.client)
        self.computers = ClusterComputers(
            self.client, self.registry.standing, port=world.port, certificates=world.folder / "gateway"
        )
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> Gateway:
        for each in (self.registry, self.computers):
            self.tasks.append(asyncio.create_task(each.run()))
        await self.registry.synced()
        await self.computers.synced()
        log = await Log.create_or_open(self.world.store, "test")
        self.log = log
        self.shard = await Shard.claim(
            log, "shard-0", writer="w", signer=SIGNER, trust=TRUST, anchor=self.world.anchors, now=_now
        )
        self.computers.claim(self.shard)
        self.recovering = asyncio.create_task(recover(self.shard, self.computers))
        self.pipeline = Pipeline(self.shard, self.registry, self.computers, now=_now)
        return self

    async def ask(self, *argv: str, id_: str | None = None, tool: str = "shell_exec", **args: Any) -> list[Any]:
        """Everything that a caller who stays sees of one action."""
        given = {"argv": list(argv)} if tool == "shell_exec" else args
        async with self.pipeline.action(ALICE, "team-a", "dev", tool, given, id_=id_) as execution:
            return [item async for item in execution.follow()]

    def asking(self, *argv: str, **more: Any) -> asyncio.Task[list[Any]]:
        return asyncio.create_task(self.ask(*argv, **more))

    async def die(self) -> None:
        """SIGKILL: nothing more is recorded or said, and the connections break."""
        for execution, task in list(self.pipeline._running.values()):
            execution.leave()
            task.cancel()
        self.recovering.cancel()
        await self.computers.close()
        await self.end()

    async def leave(self) -> None:
        """SIGTERM."""
        await self.pipeline.leave()
        self.recovering.cancel()
        await self.computers.close()
        await self.shard.close()
        await self.end()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, self.recovering, return_exceptions=True)
        await self.client.http.aclose()


class World:
    """What outlives every gateway."""

    uid = "uid-dev"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubernetes = Kubernetes()
        self.store = MemoryStore()
        self.anchors = MemoryAnchors()
        self.authority = Authority.create("rynxs", datetime.now(UTC))
        self.refused: list[str] = []
        self.port = free_port()
        self.pods: list[Pod] = []
        self.gateways: list[Gateway] = []
        self._numbers = itertools.count(2)
        self.certify_gateway()
        self.kubernetes.put("api/v1/namespaces", {"metadata": {"name": "team-a", "labels": {}}})
        self.show_agent()
        self.kubernetes.put(
            POLICIES,
            {
                "apiVersion": "rynxs.dev/v1alpha1",
                "kind": "AgentPolicy",
                "metadata": {"name": "all", "namespace": "team-a", "generation": 1},
                "spec": {
                    "selector": {},
                    "rules": [{"name": "all", "tools": ["shell_exec", "file_read"], "when": "true", "effect": "Allow"}],
                },
            },
        )

    def certify_gateway(self, name: str = "rynxs-gateway", authority: Authority | None = None) -> None:
        made = (authority or self.authority).sign(name, ["rynxs-gateway"], datetime.now(UTC), client=True)
        write(self.folder / "gateway", made | {"ca.crt": self.authority.certificate})

    def show_agent(self, **changes: Any) -> None:
        """What the API server says of the Agent."""
        item = {
            "apiVersion": "rynxs.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"name": "dev", "namespace": "team-a", "uid": self.uid, "generation": 1},
            "spec": {},
        }
        self.kubernetes.put(AGENTS, item | changes)

    async def pod(self, name: str = "dev-1", *, shown: bool = True) -> Pod:
        """A pod that runs."""
        pod = Pod(self, f"127.0.0.{next(self._numbers)}", name)
        self.pods.append(pod)
        await pod.listen()
        if shown:
            pod.show()
        return pod

    async def gateway(self) -> Gateway:
        """A gateway that serves."""
        self.gateways.append(await Gateway(self).start())
        return self.gateways[-1]

    async def events(self) -> list[Event]:
        """The actions' events in the log."""
        log = await Log.open(self.store)
        found = [event async for event in log.read("shard-0")]
        return [event for event in found if event.type.startswith("action.")]

    async def close(self) -> None:
        for pod in self.pods:
            pod.go.set()
            await pod.shut()
        for gateway in self.gateways:
            await gateway.pipeline.leave()
            gateway.recovering.cancel()
            await gateway.computers.close()
            await gateway.end()
            with contextlib.suppress(Exception):
                await gateway.shard.close()


@contextlib.asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    made = World(folder)
    yield made
    await made.close()


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
        return port


async def until(done: Callable[[], Any]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.005)


def _now() -> datetime:
    return datetime.now(UTC)
