"""The computers of a cluster: pods that the operator makes, and whose daemons outlive the gateways they talk to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import httpx2
import msgspec

from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Ending, Outcome, credible
from rynxs.action.tool import TOOLS
from rynxs.cluster.connection import PodConnection, connect
from rynxs.cluster.pod import hole, over, owner_of, ready_pod
from rynxs.computer.client import Client, ConnectionLost
from rynxs.computer.protocol import Ended
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.refusal import Unavailable
from rynxs.gateway.registry import Registered
from rynxs.gateway.shard import Shard
from rynxs.kube.client import Client as Kubernetes
from rynxs.kube.client import Object, selector
from rynxs.kube.reflector import Key, Reflector
from rynxs.kube.resource import PODS
from rynxs.operator.certificate import computer_host
from rynxs.operator.resources import MANAGED

OPEN_TIMEOUT = 30.0
"""Seconds that an action waits for its computer to be ready."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_logger = logging.getLogger(__name__)


class ClusterComputers(Computers):
    """One connection a pod. An executor is named by its pod; the action's agent says in which namespace.

    `standing` says how the operator sees an agent's computer; `port` is the daemons', `certificates` our folder.
    """

    def __init__(
        self, client: Kubernetes, standing: Callable[[Registered], str], *, port: int, certificates: Path
    ) -> None:
        self._kubernetes = client
        self._standing = standing
        self._port = port
        self._certificates = certificates
        self._pods = Reflector(client, PODS, labels=selector(MANAGED), changed=self._changed)
        self._owners: dict[Key, str] = {}
        self._owned: dict[str, set[Key]] = {}
        self._connections: dict[Key, PodConnection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._shard: Shard | None = None

    async def run(self) -> None:
        """Watch pods for ever."""
        await self._pods.run()

    async def synced(self) -> None:
        """Wait until the pods were read once."""
        await self._pods.synced.wait()

    def claim(self, shard: Shard) -> None:
        """Speak for this owner of the shard from now on."""
        self._shard = shard

    async def open(self, registered: Registered) -> Computer:
        """The agent's pod; waits for it for OPEN_TIMEOUT. Raises Unavailable with what the operator says of it."""
        lost = ""
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                while True:
                    news = self._news
                    pod = ready_pod(registered.uid, self._pods_of(registered.uid))
                    if pod is None:
                        await news.wait()
                        continue
                    try:
                        return await self._computer(registered, pod["metadata"]["name"])
                    except ConnectionLost as error:
                        lost = str(error)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await news.wait()
        except TimeoutError:
            why = f"can't be reached: {lost}" if lost else f"is not ready ({self._standing(registered)})"
            raise Unavailable(f"the computer of agent {registered.ref} {why}. Nothing was run.") from None

    async def conclude(self, action: Action) -> Outcome:
        """Ask the daemon, and wait while it says that the action runs; ask again until it answers, or its boot is over.

        What it answers is its own word; a boot is over when its pod is gone or ended, or another boot answers there.
        """
        key = action.agent.namespace, action.executor
        pause, told = _FIRST_PAUSE, False
        while True:
            try:
                if over(await self._find(key)):
                    return _interrupted("the computer ended before it said how the action ended")
                client = await self._connection(key, action.agent.uid).client()
                if client.hello.boot != action.boot:
                    return _interrupted("the computer's daemon was started anew before it said how the action ended")
                answer = await client.wait(action.id)
            except ConnectionLost as error:
                if not told:
                    _logger.warning("action %s waits for computer %s/%s: %s", action.id, *key, error)
                told = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if isinstance(answer, Ended):
                return _told(action, answer.outcome)
            said = "the computer says that it has not started the action, and will not any more"
            return Outcome(ending=Ending.INTERRUPTED, error=said)

    async def settle(self, action: Action) -> None:
        """Tell the daemon; where that fails the next claim does, which names the actions that are open."""
        connection = self._connections.get((action.agent.namespace, action.executor))
        if connection is not None:
            with contextlib.suppress(ConnectionLost):
                await connection.settle(action.id)

    async def remove(self, registered: Registered) -> None:
        """The operator does."""

    async def close(self) -> None:
        """End the connections. What runs in the computers goes on."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()), *self._closing)

    async def _computer(self, registered: Registered, name: str) -> Computer:
        connection = self._connection((registered.ref.namespace, name), registered.uid)
        client = await connection.client()
        if wrong := hole(client.hello.walls):
            raise Unavailable(
                f"computer {name} of agent {registered.ref} is not confined as it must be: {wrong}. Nothing was run."
            )
        return Computer(name=name, boot=client.hello.boot, connection=connection)

    def _connection(self, key: Key, uid: str) -> PodConnection:
        found = self._connections.get(key)
        if found is None:
            found = PodConnection(lambda: self._connect(key), lambda client: self._claim(client, uid))
            self._connections[key] = found
        return found

    async def _connect(self, key: Key) -> Client:
        item = await self._find(key)
        address = item["status"].get("podIP", "") if item else ""
        return await connect(address, self._port, computer_host(*key), self._certificates)

    async def _claim(self, client: Client, uid: str) -> None:
        assert self._shard is not None, "claim() comes before the first action"
        opened = self._shard.lifecycle.open.values()
        await client.claim(self._shard.fence, [action.id for action in opened if action.agent.uid == uid])

    async def _find(self, key: Key) -> Object | None:
        """The pod. That we do not see it proves nothing: our view may be behind. Raises ConnectionLost."""
        await self.synced()
        try:
            return self._pods.objects.get(key) or await self._kubernetes.get(PODS, *key)
        except httpx2.HTTPError as error:
            raise ConnectionLost(f"the Kubernetes API can't say how it stands: {str(error) or repr(error)}") from error

    def _pods_of(self, uid: str) -> list[Object]:
        return [self._pods.objects[key] for key in self._owned.get(uid, ())]

    def _changed(self, key: Key) -> None:
        item = self._pods.objects.get(key)
        if (before := self._owners.pop(key, None)) is not None:
            self._owned[before].discard(key)
            if not self._owned[before]:
                del self._owned[before]
        if item is not None and (uid := owner_of(item)):
            self._owners[key] = uid
            self._owned.setdefault(uid, set()).add(key)
        if over(item) and (connection := self._connections.pop(key, None)) is not None:
            # A node that is gone closes no connection, and those who wait for it must look again.
            task = asyncio.get_running_loop().create_task(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        news, self._news = self._news, asyncio.Event()
        news.set()


def _told(action: Action, outcome: Outcome) -> Outcome:
    tool = TOOLS.get(action.tool)  # a later version may have had more of them
    return credible(outcome, tool.result) if tool else msgspec.structs.replace(outcome, result=None)


def _interrupted(what: str) -> Outcome:
    return Outcome(ending=Ending.INTERRUPTED, error=f"{what}: it may have happened, in whole or in part")
