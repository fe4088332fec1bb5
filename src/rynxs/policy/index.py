"""The index: which policies select an agent, and which of their rules are for a tool.

Agents with the same namespace and labels are selected by the same policies: that is worked out once for all
of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from rynxs.api.agent import Agent
from rynxs.policy.rule import CompiledPolicy, CompiledRule

MAX_SELECTIONS = 10_000
"""Most combinations of namespace and labels that are remembered."""

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The policies that select an agent: `names`, `hash`, `rules` by tool, and the `broken` ones."""

    names: tuple[str, ...]
    hash: str
    rules: dict[str, tuple[CompiledRule, ...]]
    broken: tuple[CompiledPolicy, ...]


class Index:
    """Compiled policies by the agents that they select."""

    def __init__(self, policies: Iterable[CompiledPolicy]) -> None:
        self._by_namespace: dict[str, list[CompiledPolicy]] = {}
        for compiled in policies:
            self._by_namespace.setdefault(compiled.policy.metadata.namespace, []).append(compiled)
        for there in self._by_namespace.values():
            there.sort(key=lambda compiled: compiled.policy.metadata.name)
        self._selections: dict[_Key, Selection] = {}

    def select(self, agent: Agent) -> Selection:
        """Find what selects the agent: policies in the order of their names, rules as they stand in each."""
        metadata = agent.metadata
        key = (metadata.namespace, tuple(sorted(metadata.labels.items())))
        selection = self._selections.get(key)
        if selection is None:
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.clear()
            selection = self._selections[key] = self._select(metadata.namespace, metadata.labels)
        return selection

    def _select(self, namespace: str, labels: Mapping[str, str]) -> Selection:
        selecting = [
            compiled
            for compiled in self._by_namespace.get(namespace, [])
            if compiled.policy.spec.selector.matches(labels)
        ]
        tools = sorted({tool for compiled in selecting for tool in compiled.rules})
        return Selection(
            names=tuple(compiled.policy.metadata.name for compiled in selecting),
            hash=_hash(selecting),
            rules={
                tool: tuple(rule for compiled in selecting for rule in compiled.rules.get(tool, ())) for tool in tools
            },
            broken=tuple(compiled for compiled in selecting if compiled.problems),
        )


def _hash(selecting: Iterable[CompiledPolicy]) -> str:
    """Over what the policies say, not their labels and annotations, as JSON with sorted keys."""
    said = [
        {"name": c.policy.metadata.name, "namespace": c.policy.metadata.namespace, "spec": c.policy.spec}
        for c in selecting
    ]
    return "sha256:" + hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()
