"""What can be done to the cluster, and that it recovers."""

from __future__ import annotations

import subprocess

import pytest
from integration.cluster.conftest import pod
from integration.cluster.test_cluster import eventually

pytestmark = pytest.mark.faults


def ready(cluster, node: str) -> str:
    path = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return cluster.kubectl("get", "node", node, path)


def test_a_partitioned_node_is_noticed_and_comes_back(cluster, pods) -> None:
    pods.start(pod("a", "node1"), pod("b", "node2"))
    cluster.partition("node2")
    eventually(lambda: ready(cluster, "node2") == "Unknown", 60)
    assert not pods.reaches("a", pods.address("b"))
    cluster.heal("node2")
    eventually(lambda: ready(cluster, "node2") == "True", 60)
    assert pods.fetch("a", f"{pods.address('b')}:8080") == "b\n"
    assert (
        cluster.get("pod", "b", f"--namespace={pods.namespace}")["status"]["containerStatuses"][0]["restartCount"] == 0
    )


def test_nothing_is_scheduled_until_the_scheduler_is_back(cluster, pods) -> None:
    cluster.kill("scheduler")
    cluster.apply(pod("a"), f"--namespace={pods.namespace}")
    assert not cluster.healthy()
    assert pods.kubectl("get", "pod", "a", "--output=jsonpath={.spec.nodeName}") == ""
    cluster.start("scheduler")
    pods.ready("a")


def test_a_paused_api_server_answers_nobody_and_then_goes_on(cluster) -> None:
    cluster.stop("apiserver")
    with pytest.raises(subprocess.CalledProcessError):
        cluster.kubectl("get", "nodes", "--request-timeout=1s")
    cluster.cont("apiserver")
    assert cluster.kubectl("get", "nodes", "--request-timeout=30s")


@pytest.mark.parametrize("component", ["etcd", "apiserver"])
def test_the_cluster_outlives_its_control_plane(cluster, pods, component) -> None:
    pods.start(pod("a"))
    cluster.kill(component)
    cluster.start(component)
    assert pods.run("a", "hostname") == "a\n"
    cluster.mend()


def test_a_killed_node_starts_again_with_its_pods(cluster, pods) -> None:
    pods.start(pod("a", "node1"), pod("b", "node2"))
    cluster.kill_node("node2")
    assert ready(cluster, "node1") == "True"
    eventually(lambda: ready(cluster, "node2") == "Unknown", 60)
    cluster.start_node("node2")
    eventually(lambda: ready(cluster, "node2") == "True", 60)
    pods.ready("b")
    assert pods.fetch("a", f"{pods.address('b')}:8080") == "b\n"


def test_a_killed_container_starts_again_in_its_pod(cluster, pods) -> None:
    pods.start(pod("a"))
    cluster.end_container(pods.namespace, "a", "main")

    def restarts() -> int:
        return cluster.get("pod", "a", f"--namespace={pods.namespace}")["status"]["containerStatuses"][0][
            "restartCount"
        ]

    eventually(lambda: restarts() == 1)


def test_fake_nodes_run_pods_that_contain_nothing(cluster, pods) -> None:
    [name, _, _] = cluster.add_fake_nodes(3)
    try:
        tolerations = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]
        pods.start(pod("a", name, tolerations=tolerations))
        assert pods.kubectl("get", "pod", "a", "--output=jsonpath={.spec.nodeName}") == name
    finally:
        cluster.remove_fake_nodes()
