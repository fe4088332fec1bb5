"""Agents and policies of a cluster: watched, and refused when the API server has been silent for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rynxs.api.agent import Agent
from rynxs.api.resource import AGENTS, read_resource
from rynxs.api.shape import Misshapen
from rynxs.gateway.refusal import NotFound, Unavailable
from rynxs.gateway.registry import Registered, Registry
from rynxs.kube.client import Client, Object
from rynxs.kube.reflector import Key, Reflector
from rynxs.operator.policies import Policies
from rynxs.policy.engine import Engine

MAX_AGE = 30.0
"""Seconds of silence after which nothing is decided any more: what was known may be out of date."""


class ClusterRegistry(Registry):
    """The Agents and policies of all namespaces. Every question raises Unavailable while the answer may be stale.

    An Agent that can't be read (the schema can't say all that we check) is refused alone, with its reason; one that
    is being deleted is gone.
    """

    def __init__(self, client: Client) -> None:
        self._agents = Reflector(client, AGENTS, changed=self._changed)
        self._policies = Policies(client)
        self._read: dict[Key, Registered | Misshapen] = {}

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._agents.run())
            group.create_task(self._policies.run())

    async def synced(self) -> None:
        """Wait until everything was read once."""
        await self._agents.synced.wait()
        await self._policies.synced()

    @property
    def problem(self) -> str:
        """Why nothing can be decided now, or an empty string."""
        age = max(self._agents.age, self._policies.age)
        if age <= MAX_AGE:
            return ""
        if age == float("inf"):
            return "agents and policies have not been read from the Kubernetes API yet"
        return f"the Kubernetes API has been silent for {age:.0f} s: agents and policies may be out of date"

    def agent(self, namespace: str, name: str) -> Registered:
        """The agent of that name. Raises NotFound, and Unavailable for one that can't be used."""
        self._check()
        found = self._registered((namespace, name))
        if found is None:
            raise NotFound(f"there is no agent {name} in namespace {namespace}: rynxs get agents")
        if isinstance(found, Misshapen):
            raise Unavailable(f"agent {namespace}/{name} can't be used: {found}. Nothing was run.")
        return found

    def agents(self) -> Sequence[Registered]:
        """Every agent that can be read, sorted by namespace and name. Raises Unavailable."""
        self._check()
        found = [self._registered(key) for key in sorted(self._agents.objects)]
        return [each for each in found if isinstance(each, Registered)]

    def engine(self) -> Engine:
        """The compiled policies. Raises Unavailable when they may be out of date."""
        self._check()
        return self._policies.engine()

    def standing(self, registered: Registered) -> str:
        """What the operator says of the agent's computer: that its walls have a hole, else its condition `Ready`."""
        item = self._agents.objects.get((registered.ref.namespace, registered.ref.name), {})
        conditions = {each["type"]: each for each in item.get("status", {}).get("conditions", ())}
        walls, ready = conditions.get("WallsUp"), conditions.get("Ready")
        said = walls if walls and walls.get("status") == "False" else ready
        return f"{said['reason']}: {said['message']}" if said else "the operator has not looked at the agent yet"

    def _check(self) -> None:
        if problem := self.problem:
            raise Unavailable(f"{problem}. Nothing was run.")

    def _registered(self, key: Key) -> Registered | Misshapen | None:
        item = self._agents.objects.get(key)
        if item is None or item["metadata"].get("deletionTimestamp"):
            return None
        if (found := self._read.get(key)) is None:
            found = self._read[key] = _read(item)
        return found

    def _changed(self, key: Key) -> None:
        self._read.pop(key, None)


def _read(item: Object) -> Registered | Misshapen:
    metadata: Mapping[str, str] = item["metadata"]
    try:
        agent = read_resource(item, Agent)
    except Misshapen as misshapen:
        return misshapen
    return Registered(uid=metadata["uid"], created=metadata["creationTimestamp"], agent=agent)
