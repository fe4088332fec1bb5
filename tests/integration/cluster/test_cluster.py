"""What a workload may expect of the cluster."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from integration.cluster.conftest import pod


def eventually(check, seconds: float = 30) -> None:
    """Look until it is so: the cluster follows what it is told after a moment."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(0.1)


def service(name: str) -> dict:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def test_two_nodes_in_two_zones_are_ready(cluster) -> None:
    nodes = cluster.get("nodes", "--selector=type!=kwok")["items"]
    zones = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"node1": "zone-a", "node2": "zone-b"}
    ranges = [node["spec"]["podCIDR"] for node in nodes]
    assert len(set(ranges)) == 2


def test_pods_reach_each_other_across_nodes(pods) -> None:
    pods.start(pod("a", "node1"), pod("b", "node2"))
    assert pods.fetch("a", f"{pods.address('b')}:8080") == "b\n"
    assert pods.fetch("b", f"{pods.address('a')}:8080") == "a\n"


def test_a_service_spreads_over_its_pods_and_has_a_name(cluster, pods) -> None:
    backends = [pod("a", "node1"), pod("b", "node2")]
    for each in backends:
        each["metadata"]["labels"] = {"app": "web"}
    cluster.apply(service("web"), f"--namespace={pods.namespace}")
    pods.start(*backends)
    eventually(lambda: {pods.fetch("a", "web") for _ in range(4)} == {"a\n", "b\n"})
    found = pods.run("b", "nslookup", f"web.{pods.namespace}.svc.cluster.local")
    assert pods.kubectl("get", "service", "web", "--output=jsonpath={.spec.clusterIP}") in found


def test_pods_reach_the_api_server_by_its_service(cluster, pods) -> None:
    pods.start(pod("a"))
    found = pods.run("a", "nslookup", "kubernetes.default.svc.cluster.local")
    assert cluster.layout.kubernetes in found
    assert pods.reaches("a", "kubernetes.default", 443)


def test_exec_gives_the_exit_code_and_logs_give_the_output(pods) -> None:
    speaking = pod("a")
    speaking["spec"]["containers"][0]["command"][2] = "echo hello; sleep 1000"
    del speaking["spec"]["containers"][0]["readinessProbe"]
    pods.start(speaking)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        pods.run("a", "sh", "-c", "echo oops >&2; exit 7")
    assert failed.value.returncode == 7
    assert "oops" in failed.value.stderr
    assert pods.kubectl("logs", "a") == "hello\n"


def test_a_volume_outlives_its_pod_and_goes_with_its_claim(cluster, pods) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    mounting = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    cluster.apply(claim, f"--namespace={pods.namespace}")
    pods.start(pod("a", **mounting))
    pods.run("a", "sh", "-c", "echo kept >/data/file")
    volume = pods.kubectl("get", "pvc", "data", "--output=jsonpath={.spec.volumeName}")
    folder = Path(cluster.get("pv", volume)["spec"]["hostPath"]["path"])
    pods.kubectl("delete", "pod", "a")
    pods.start(pod("b", **mounting))
    assert pods.run("b", "cat", "/data/file") == "kept\n"
    assert (folder / "file").read_text() == "kept\n"
    pods.kubectl("delete", "pod", "b")
    pods.kubectl("delete", "pvc", "data")
    cluster.kubectl("wait", "--for=delete", "--timeout=60s", f"pv/{volume}")
    assert not folder.exists()


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_a_network_policy_denies_and_then_allows(cluster, pods, node) -> None:
    pods.start(pod("server", "node1"), pod("friend", node), pod("stranger", node))
    address = pods.address("server")

    def apply(ingress: list[dict]) -> None:
        spec = {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"], "ingress": ingress}
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "wall"}}
        cluster.apply({**policy, "spec": spec}, f"--namespace={pods.namespace}")

    assert pods.reaches("friend", address)
    assert pods.reaches("stranger", address)
    apply([])
    eventually(lambda: not pods.reaches("friend", address) and not pods.reaches("stranger", address))
    apply([{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}])
    eventually(lambda: pods.reaches("friend", address))
    assert not pods.reaches("stranger", address)


def test_egress_policies_hold_for_the_api_server_and_the_kubelet_too(cluster, pods) -> None:
    pods.start(pod("a", "node1"))
    layout = cluster.layout
    kubelet = layout.node_address("node1")
    targets = [(layout.kubernetes, 443), (layout.address, 6443), (kubelet, 10250), (layout.dns, 53)]
    assert [target for target in targets if not pods.reaches("a", *target)] == []
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    wall = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "wall"}, "spec": spec}
    cluster.apply(wall, f"--namespace={pods.namespace}")
    eventually(lambda: not any(pods.reaches("a", *target) for target in targets))


def test_restricted_pod_security_is_enforced(cluster, restricted_namespace) -> None:
    privileged = pod("p")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    with pytest.raises(subprocess.CalledProcessError) as refused:
        cluster.apply(privileged, f"--namespace={restricted_namespace}")
    assert 'violates PodSecurity "restricted:latest"' in refused.value.stderr
    cluster.apply(pod("a"), f"--namespace={restricted_namespace}")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/a", f"--namespace={restricted_namespace}", "--timeout=60s")


def test_pods_spread_over_the_zones(cluster, pods) -> None:
    template = pod("x")
    labels = {"app": "spread"}
    spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    spec = {**template["spec"], "topologySpreadConstraints": [{**spread, "labelSelector": {"matchLabels": labels}}]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "spread"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    cluster.apply(deployment, f"--namespace={pods.namespace}")
    pods.kubectl("rollout", "status", "deployment/spread", "--timeout=60s")
    found = cluster.get("pods", f"--namespace={pods.namespace}", "--selector=app=spread")["items"]
    assert sorted(each["spec"]["nodeName"] for each in found) == ["node1", "node1", "node2", "node2"]


def test_helm_installs(cluster, namespace, tmp_path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: trial\nversion: 0.0.1\n")
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: trial}\ndata: {release: '{{ .Release.Name }}'}\n"
    (tmp_path / "templates" / "settings.yaml").write_text(settings)
    cluster.helm("install", "first", str(tmp_path), f"--namespace={namespace}")
    assert cluster.get("configmap", "trial", f"--namespace={namespace}")["data"] == {"release": "first"}
    cluster.helm("uninstall", "first", f"--namespace={namespace}")
