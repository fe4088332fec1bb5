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

_Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, _Labels, _Labels]


@dataclass(frozen=True, slots=True)
class Level:
    """The policies of one level that select an agent: their `names`, and their `rules` by tool."""

    names: tuple[str, ...]
    rules: Mapping[str, tuple[CompiledRule, ...]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The policies that select an agent: two `levels`, the cluster's first, and the `hash` of both.

    `broken` says, for each problem that lets everything be denied, what it is.
    """

    levels: tuple[Level, Level]
    hash: str
    broken: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The policies of both levels."""
        return tuple(name for level in self.levels for name in level.names)


class Index:
    """Compiled policies by the agents that they select."""

    def __init__(self, policies: Iterable[CompiledPolicy]) -> None:
        self._of_cluster: list[CompiledPolicy] = []
        self._by_namespace: dict[str, list[CompiledPolicy]] = {}
        for compiled in sorted(policies, key=lambda compiled: compiled.name):
            if compiled.of_cluster:
                self._of_cluster.append(compiled)
            else:
                self._by_namespace.setdefault(compiled.namespace, []).append(compiled)
        self._selections: dict[_Key, Selection] = {}

    def select(self, agent: Agent, namespace_labels: Mapping[str, str]) -> Selection:
        """Find what selects the agent: policies in the order of their names, rules as they stand in each."""
        metadata = agent.metadata
        key = (metadata.namespace, tuple(sorted(metadata.labels.items())), tuple(sorted(namespace_labels.items())))
        selection = self._selections.get(key)
        if selection is None:
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.clear()
            selection = self._selections[key] = self._select(metadata.namespace, namespace_labels, metadata.labels)
        return selection

    def _select(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> Selection:
        of_cluster, own = (
            [compiled for compiled in there if compiled.selects(namespace, namespace_labels, labels)]
            for there in (self._of_cluster, self._by_namespace.get(namespace, []))
        )
        return Selection(
            levels=(_level(of_cluster), _level(own)),
            hash=_hash(of_cluster + own),
            broken=tuple(compiled.why(problem) for compiled in of_cluster + own for problem in compiled.problems),
        )


def _level(selecting: list[CompiledPolicy]) -> Level:
    tools = {tool for compiled in selecting for tool in compiled.rules}
    return Level(
        names=tuple(compiled.name for compiled in selecting),
        rules={tool: tuple(rule for compiled in selecting for rule in compiled.rules.get(tool, ())) for tool in tools},
    )


def _hash(selecting: list[CompiledPolicy]) -> str:
    """Over what the policies say, as JSON with sorted keys."""
    said = [compiled.said() for compiled in selecting]
    return "sha256:" + hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()
