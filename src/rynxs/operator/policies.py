"""Policies as they stand on the API server, compiled: the operator shows what they are, gateways decide by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from rynxs.api.agent import Agent
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy
from rynxs.api.resource import CLUSTER_POLICIES, POLICIES, read_resource
from rynxs.api.selector import Selector
from rynxs.api.shape import Misshapen, read
from rynxs.kube.client import Client, Object
from rynxs.kube.reflector import Key, Reflector
from rynxs.kube.resource import NAMESPACES
from rynxs.policy.engine import Engine
from rynxs.policy.rule import BrokenPolicy, CompiledPolicy, compile_policy

Standing = Literal["ok", "broken", "none"]


class NotSynced(Exception):
    """The policies have not been read yet. What is known of them may lack the one that denies."""


class Known(NamedTuple):
    """A policy on the API server, and what it was compiled to."""

    uid: str
    spec: Any
    compiled: CompiledPolicy


class Policies:
    """Watches policies and namespaces; `changed` is called after each change of any that can count."""

    def __init__(self, client: Client, changed: Callable[[], None] | None = None) -> None:
        self._subscriber = changed
        self._review: Callable[[Key], None] | None = None
        self._engine: Engine | None = None
        self._known: dict[Key, Known] = {}
        self._policies, self._cluster_policies = (
            Reflector(client, resource, changed=self._policy_changed) for resource in (POLICIES, CLUSTER_POLICIES)
        )
        self._namespaces = Reflector(client, NAMESPACES, changed=self._namespace_changed)
        self._all = (self._policies, self._cluster_policies, self._namespaces)

    def review(self, changed: Callable[[Key], None]) -> None:
        """Have this called with the key of each policy that has changed; one of the cluster has no namespace."""
        self._review = changed

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._all:
                group.create_task(reflector.run())

    async def synced(self) -> None:
        """Wait until everything was read once."""
        for reflector in self._all:
            await reflector.synced.wait()

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard on the one that was silent for longest."""
        return max(reflector.age for reflector in self._all)

    def engine(self) -> Engine:
        """The policies, compiled; the same object until one changes. Raises NotSynced."""
        if not all(reflector.synced.is_set() for reflector in self._all):
            raise NotSynced("the policies have not been read from the Kubernetes API yet")
        if self._engine is None:
            self._engine = Engine(self._all_compiled(), self._labels)
        return self._engine

    def standing(self, agent: Agent) -> tuple[Standing, str]:
        """What the policies that select the agent are, and the first problem of a broken one. Raises NotSynced."""
        selection = self.engine().selection(agent)
        if selection.broken:
            return "broken", selection.broken[0]
        return ("ok" if selection.names else "none"), ""

    def find(self, key: Key) -> tuple[Object, CompiledPolicy] | None:
        """The policy of that key: as the API server gives it, and compiled. None where there is none."""
        item = self._reflector(key).objects.get(key)
        return None if item is None else (item, self._compile(key, item))

    def _all_compiled(self) -> Iterator[CompiledPolicy]:
        for reflector in (self._policies, self._cluster_policies):
            for key, item in reflector.objects.items():
                yield self._compile(key, item)

    def _compile(self, key: Key, item: Object) -> CompiledPolicy:
        """Compile a policy once, until what it says changes: a thousand take a second."""
        if key not in self._known:
            self._known[key] = Known(item["metadata"]["uid"], item.get("spec"), compile_policy(read_policy(item)))
        return self._known[key].compiled

    def _reflector(self, key: Key) -> Reflector:
        return self._policies if key[0] else self._cluster_policies

    def _labels(self, namespace: str) -> Mapping[str, str] | None:
        item = self._namespaces.objects.get(("", namespace))
        if item is None:
            return None
        labels: dict[str, str] = item["metadata"].get("labels", {})
        return labels

    def _policy_changed(self, key: Key) -> None:
        known, item = self._known.get(key), self._reflector(key).objects.get(key)
        if self._review:
            self._review(key)
        if known and item and known[:2] == (item["metadata"]["uid"], item.get("spec")):
            return  # only its status, or what is said about it
        self._known.pop(key, None)
        self._engine = None
        self._tell()

    def _namespace_changed(self, _: Key) -> None:
        self._tell()

    def _tell(self) -> None:
        if self._subscriber:
            self._subscriber()


def read_policy(item: Object) -> AgentPolicy | ClusterAgentPolicy | BrokenPolicy:
    """The policy that an API object is: a schema can't say all that a Struct checks, and versions differ."""
    metadata, spec = item["metadata"], item.get("spec")
    namespace = metadata.get("namespace", "")
    try:
        return read_resource(item, AgentPolicy) if namespace else read_resource(item, ClusterAgentPolicy)
    except Misshapen as misshapen:
        return BrokenPolicy(
            kind=(AgentPolicy if namespace else ClusterAgentPolicy).__name__,
            namespace=namespace,
            name=metadata["name"],
            problem=misshapen.problems[0],
            selector=_selector(spec, "selector"),
            namespace_selector=_selector(spec, "namespaceSelector"),
        )


def _selector(spec: Any, field: str) -> Selector | None:
    """The selector, if it alone can be read."""
    try:
        return read(spec[field], Selector) if isinstance(spec, dict) and field in spec else None
    except Misshapen:
        return None
