"""A client of a cluster whose components run on this machine, and can be ended, paused and started again."""

from __future__ import annotations

import signal
from pathlib import Path

from cluster.client import Client
from cluster.controlplane import ControlPlane
from cluster.process import Processes
from cluster.programs import kubectl, program


class Components(Client):
    """The cluster of that control plane. Components are named as in `processes`: etcd, apiserver, node1-kubelet, ..."""

    def __init__(self, control: ControlPlane, processes: Processes) -> None:
        super().__init__(control.kubeconfig)
        self.control = control
        self.processes = processes

    def kill(self, component: str) -> None:
        """End it at once."""
        self.processes.kill(component)

    def start(self, component: str) -> None:
        """Start it again as it was started before. After etcd or the API server the API answers again."""
        self.processes.restart(component)
        if component in ("etcd", "apiserver"):
            self.processes.wait(component, self.control.ready)

    def stop(self, component: str) -> None:
        """Pause it: it holds its connections and its leases, and does nothing."""
        self.processes.signal(component, signal.SIGSTOP)

    def cont(self, component: str) -> None:
        """Let it go on after `stop`."""
        self.processes.signal(component, signal.SIGCONT)

    def collect(self, folder: Path) -> None:
        """What `Client.collect` does, and the components' logs."""
        super().collect(folder)
        for log in self.processes.logs.glob("*.log"):
            (folder / log.name).write_bytes(log.read_bytes())

    def _program(self, name: str) -> str:
        return str(kubectl() if name == "kubectl" else program(name))
