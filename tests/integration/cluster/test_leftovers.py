"""A second cluster beside the one that other tests use: it comes up over anything, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cluster.cluster import Cluster
from cluster.layout import Layout
from cluster.leftovers import leftovers
from cluster.process import kill, marked
from cluster.programs import CACHE
from integration.cluster.conftest import Pods, pod

pytestmark = [
    pytest.mark.xdist_group("second cluster"),
    pytest.mark.timeout(900),  # the first one may have to build it all, or wait for another run
]


@pytest.fixture
def second():
    """A cluster that is down, and is down in the end."""
    if os.geteuid() != 0:
        pytest.skip("the test cluster needs root")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster-second.users").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster = Cluster(Layout("second", 1))
        cluster.down()
        yield cluster
        cluster.down()
        shutil.rmtree(cluster.layout.folder, ignore_errors=True)


def use(cluster: Cluster) -> None:
    """Run something that would leave a lot behind: a pod with a volume, a policy, a service."""
    cluster.kubectl("wait", "--for=create", "--timeout=30s", "serviceaccount/default")
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
    claim["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    wall = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "wall"}}
    wall["spec"] = {"podSelector": {}, "policyTypes": ["Ingress"]}
    cluster.apply([claim, wall])
    Pods(cluster, "default").start(pod("a", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]))


def traces() -> set[str]:
    """What is on the machine, but for the cluster that other tests use."""
    found = set()
    for command in (
        ["ip", "-oneline", "address"],
        ["ip", "route"],
        ["ip", "netns"],
        ["nft", "list", "ruleset"],
        ["iptables-save"],
        ["ipset", "list", "-name"],
    ):
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found |= {f"{command[0]}: {line}" for line in lines if "rynxs" not in line and not line.startswith("#")}
    found |= {f"mount: {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    found |= {str(group) for group in Path("/sys/fs/cgroup").glob("*/*/") if "rynxs" not in group.name}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            if "cluster-second" in (command := file.read_text()):
                found.add(f"process: {command}")
    return found


def test_down_leaves_nothing(second) -> None:
    before = traces()
    second.up()
    use(second)
    assert len(leftovers(second.layout)) > 20
    second.down()
    assert leftovers(second.layout) == []
    assert traces() - before == set()
    second.down()


def test_up_finds_a_healthy_cluster(second) -> None:
    assert second.up()
    pid = second.processes.pid("apiserver")
    assert not second.up()
    assert second.processes.pid("apiserver") == pid


def test_up_works_over_a_half_dead_cluster(second) -> None:
    second.up()
    use(second)
    for component in ("apiserver", "node1-containerd", "node2-holder"):
        second.kill(component)
    second.stop("etcd")
    assert second.up()
    use(second)


def test_up_works_over_processes_without_state(second) -> None:
    second.up()
    use(second)
    shutil.rmtree(second.layout.folder, ignore_errors=True)  # the kubelet goes on writing
    assert second.up()
    use(second)


def test_up_works_over_state_without_processes(second) -> None:
    second.up()
    use(second)
    while pids := [pid for pid, _ in marked(second.layout.name)]:
        kill(pids)
    assert second.up()
    use(second)
