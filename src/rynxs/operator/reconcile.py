"""The operator's loop: observe an agent, plan, record the plan, carry it out, and show how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from rynxs import __version__
from rynxs.api.agent import Agent
from rynxs.api.resource import AGENTS, read_resource
from rynxs.api.shape import Misshapen
from rynxs.eventlog import Draft, Event, uuid7
from rynxs.kube.client import ApiError, Client, Object, selector
from rynxs.kube.controller import Controller
from rynxs.kube.reflector import Key, Reflector
from rynxs.kube.resource import NETWORK_POLICIES, PODS, VOLUME_CLAIMS
from rynxs.operator.observation import Observation, made_from, network_digest, pods_of
from rynxs.operator.plan import Plan, StartComputer, plan, workspace_name
from rynxs.operator.policies import Policies
from rynxs.operator.resources import MANAGED, labels_of, network_name
from rynxs.operator.review import Review
from rynxs.operator.status import MOST_SAID, invalid, refused, show, status_of, time_of
from rynxs.operator.steps import Steps

REFUSED_PAUSE = 30.0
"""Seconds until a step that the API server refused is tried again."""

_REFUSALS = (400, 403, 404, 413, 422)
"""Answers that stay the same until somebody changes something: no quota, no such class, a namespace that ends."""


class Operator:
    """Keeps every Agent's computer as its Agent says.

    `record` makes an event durable: a plan is recorded before it is carried out, and that it was.
    """

    def __init__(
        self,
        client: Client,
        steps: Steps,
        record: Callable[[Draft], Awaitable[list[Event]]],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._steps = steps
        self._record = record
        self._now = now
        self._recorded: dict[Key, Plan] = {}
        self._controller = Controller(self._reconcile)
        self._policies = Policies(client, changed=self._all_changed)
        self._review = Review(client, self._policies, now)
        self._agents = Reflector(client, AGENTS, changed=self._controller.queue.add)
        self._pods, self._claims, self._networks = (
            Reflector(client, resource, labels=selector(MANAGED), changed=self._changed)
            for resource in (PODS, VOLUME_CLAIMS, NETWORK_POLICIES)
        )
        self._watched = (self._agents, self._pods, self._claims, self._networks)

    async def run(self, workers: int = 4) -> None:
        """Work for ever. Raises LogError when nothing can be recorded, in an ExceptionGroup."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._policies.run())
            for reflector in self._watched:
                group.create_task(reflector.run())
            for reflector in self._watched:
                await reflector.synced.wait()
            await self._policies.synced()
            group.create_task(self._review.run())
            group.create_task(self._controller.run(workers))

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard on what was silent longest; infinite before the first list."""
        return max(self._policies.age, *(reflector.age for reflector in self._watched))

    async def _reconcile(self, key: Key) -> float | None:
        item = self._agents.objects.get(key)
        if item is None or item["metadata"].get("deletionTimestamp"):
            self._recorded.pop(key, None)
            return None  # what the agent owned goes with it: its objects name it as their owner
        try:
            agent, seen = self._observe(item, self._pods.objects.values())
            planned = plan(seen)
            if any(isinstance(step, StartComputer) for step in planned.steps):
                # Our view may be behind, and a second computer would be worse than a look at the server itself.
                found = await self._client.get(AGENTS, *key)
                if found is None or found["metadata"].get("deletionTimestamp"):
                    return None
                item = found
                agent, seen = self._observe(item, await self._client.list(PODS, key[0], selector(labels_of(key[1]))))
                planned = plan(seen)
        except Misshapen as misshapen:
            await show(self._client, AGENTS, item, invalid(item, misshapen, time_of(self._now())))
            return None
        status, again = planned.status, planned.again
        if planned.steps:
            try:
                await self._carry_out(key, agent, seen, planned)
            except ApiError as error:
                if error.code not in _REFUSALS:
                    raise
                status, again = refused(status, error, seen), REFUSED_PAUSE
        await show(self._client, AGENTS, item, status)
        return again

    async def _carry_out(self, key: Key, agent: Agent, seen: Observation, planned: Plan) -> None:
        """Record the plan, unless it is the one that was recorded last and came to nothing, and carry it out."""
        before = self._recorded.get(key)
        if before is None or before.steps != planned.steps:
            await self._record(_planned(seen, planned))
            self._recorded[key] = planned
        for step in planned.steps:
            await self._steps.run(step, agent, seen.uid, self._now())
        await self._record(_applied(seen, planned))
        self._recorded.pop(key, None)

    def _observe(self, item: Object, pods: Iterable[Object]) -> tuple[Agent, Observation]:
        """Raises Misshapen."""
        agent = read_resource(item, Agent)
        namespace, name = agent.metadata.namespace, agent.metadata.name
        policy, problem = self._policies.standing(agent)
        seen = Observation(
            namespace=namespace,
            name=name,
            uid=item["metadata"]["uid"],
            generation=item["metadata"]["generation"],
            wanted=self._steps.wanted(agent),
            status=status_of(item),
            policy=policy,
            policy_problem=problem[:MOST_SAID],
            pods=pods_of(item["metadata"]["uid"], pods),
            workspace=made_from(self._claims.objects.get((namespace, workspace_name(name)))),
            network=network_digest(self._networks.objects.get((namespace, network_name(name)))),
            now=time_of(self._now()),
        )
        return agent, seen

    def _changed(self, key: Key) -> None:
        """What is ours is named `<agent>-<something>`."""
        namespace, name = key
        self._controller.queue.add((namespace, name.rpartition("-")[0]))

    def _all_changed(self) -> None:
        for key in self._agents.objects:
            self._controller.queue.add(key)


def _planned(seen: Observation, planned: Plan) -> Draft:
    """The plan with all that it was made from, and the version that made it: whoever has both can make it again."""
    data = {"rynxs": __version__, "observed": msgspec.to_builtins(seen), "steps": msgspec.to_builtins(planned.steps)}
    return _draft("agent.planned", seen, data)


def _applied(seen: Observation, planned: Plan) -> Draft:
    data = {"agent": seen.uid, "generation": seen.generation, "steps": msgspec.to_builtins(planned.steps)}
    return _draft("agent.applied", seen, data)


def _draft(type_: str, seen: Observation, data: dict[str, Any]) -> Draft:
    return Draft(id=uuid7(), type=type_, subject=f"{seen.namespace}/{seen.name}", actor="operator", data=data)
