"""The seam to where agents and policies are kept: files in local mode, the Kubernetes API on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from rynxs.action.request import AgentRef
from rynxs.api.agent import Agent
from rynxs.policy.engine import Engine


@dataclass(frozen=True)
class Registered:
    """An agent that exists: its manifest, its `uid` (one life of the name), and when it was `created` (RFC 3339)."""

    uid: str
    created: str
    agent: Agent

    @property
    def ref(self) -> AgentRef:
        """How requests and events name it."""
        metadata = self.agent.metadata
        return AgentRef(namespace=metadata.namespace, name=metadata.name, uid=self.uid)


class Registry(ABC):
    """Agents and policies as they stand now."""

    @abstractmethod
    def agent(self, namespace: str, name: str) -> Registered:
        """The agent of that name. Raises NotFound."""

    @abstractmethod
    def agents(self) -> Sequence[Registered]:
        """Every agent, sorted by namespace and name."""

    @abstractmethod
    def engine(self) -> Engine:
        """The compiled policies. Raises Unavailable when they may be out of date."""
