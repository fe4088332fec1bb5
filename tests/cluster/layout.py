"""Where one cluster lives on the machine: its folder, its names and its addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.programs import CACHE


@dataclass(frozen=True)
class Layout:
    """One cluster of a machine. Two of them with different names and indexes may run side by side."""

    name: str = "rynxs"
    index: int = 0
    zones: tuple[str, ...] = ("zone-a", "zone-b")

    @property
    def folder(self) -> Path:
        """Everything the cluster keeps."""
        return CACHE / ("cluster" if self.name == "rynxs" else f"cluster-{self.name}")

    @property
    def nodes(self) -> tuple[str, ...]:
        """Their names, one for each zone."""
        return tuple(f"node{number}" for number in range(1, len(self.zones) + 1))

    @property
    def bridge(self) -> str:
        """The interface that joins the nodes and the control plane."""
        return f"{self.name}0"

    @property
    def network(self) -> str:
        """The range of the bridge."""
        return f"192.168.{77 + self.index}.0/24"

    @property
    def address(self) -> str:
        """The control plane's address."""
        return f"192.168.{77 + self.index}.1"

    @property
    def pods(self) -> str:
        """The range of all pods."""
        return f"10.{244 + self.index}.0.0/16"

    @property
    def services(self) -> str:
        """The range of services."""
        return f"10.{96 + self.index}.0.0/16"

    @property
    def dns(self) -> str:
        """The service address of the cluster's DNS."""
        return f"10.{96 + self.index}.0.10"

    @property
    def kubernetes(self) -> str:
        """The service address of the API server."""
        return f"10.{96 + self.index}.0.1"

    def node_address(self, node: str) -> str:
        """A node's address on the bridge."""
        return f"192.168.{77 + self.index}.{11 + self.nodes.index(node)}"

    def node_pods(self, node: str) -> str:
        """The range of a node's pods."""
        return f"10.{244 + self.index}.{1 + self.nodes.index(node)}.0/24"

    def link(self, node: str) -> str:
        """The bridge's end of a node's cable."""
        return f"{self.name}-{node}"

    def cgroup(self, node: str) -> str:
        """The control group that a node's pods are below, in every hierarchy."""
        return f"{self.name}-{node}"
