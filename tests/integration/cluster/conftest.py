"""The cluster's own tests need one of ours: they use its test image and break its parts."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
from cluster.client import Client
from cluster.cluster import Cluster
from cluster.images import BUSYBOX


@dataclass
class Pods:
    """Busybox pods in one namespace."""

    cluster: Client
    namespace: str

    def start(self, *pods: dict[str, Any]) -> None:
        """Start them and wait until all are ready."""
        self.cluster.apply(list(pods), f"--namespace={self.namespace}")
        self.ready(*(pod["metadata"]["name"] for pod in pods))

    def ready(self, *names: str) -> None:
        """Wait until they are ready."""
        pods = [f"pod/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *pods)

    def address(self, name: str) -> str:
        """A pod's address."""
        return self.kubectl("get", "pod", name, "--output=jsonpath={.status.podIP}")

    def restarts(self, name: str) -> int:
        """How often a pod's container was started again."""
        return int(self.kubectl("get", "pod", name, "--output=jsonpath={.status.containerStatuses[0].restartCount}"))

    def fetch(self, name: str, host: str) -> str:
        """What the server there answers to a pod."""
        return self.run(name, "timeout", "5", "wget", "-q", "-O", "-", f"http://{host}/")

    def run(self, name: str, *command: str) -> str:
        """Run a command in a pod and return what it prints."""
        return self.kubectl("exec", name, "--", *command)

    def reaches(self, name: str, address: str, port: int = 8080) -> bool:
        """Whether a connection from a pod comes about within two seconds."""
        try:
            # Busybox, linked statically, dies of its own timeouts: hence another program's.
            self.run(name, "timeout", "2", "nc", address, str(port), "-e", "true")
        except subprocess.CalledProcessError as error:
            if error.returncode not in (1, 143):  # refused, or not answered
                raise
            return False
        return True

    def kubectl(self, *arguments: str) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments)


def pod(name: str, node: str | None = None, **spec: Any) -> dict[str, Any]:
    """A pod that serves its name over HTTP on port 8080; it satisfies the restricted standard."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sh", "-c", "mkdir /tmp/www; hostname >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": volume["name"], "mountPath": "/data"} for volume in spec.get("volumes", ())],
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    placed = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "securityContext": security,
            "terminationGracePeriodSeconds": 0,
            **placed,
            **spec,
        },
    }


@pytest.fixture(autouse=True)
def _ours(request: pytest.FixtureRequest) -> None:
    if "cluster" in request.fixturenames and not isinstance(request.getfixturevalue("cluster"), Cluster):
        pytest.skip("tests the cluster that the project builds")


@pytest.fixture
def pods(cluster: Client, namespace: str) -> Pods:
    """Pods in this test's namespace."""
    return Pods(cluster, namespace)
