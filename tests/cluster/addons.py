"""What a cluster needs besides its nodes: DNS, volumes, and fake nodes for those who ask. They run on the host."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from cluster.images import BUSYBOX
from cluster.layout import Layout
from cluster.process import Processes
from cluster.programs import GO, program

VOLUMES = "local-path-storage"
FAKE = {"kwok.x-k8s.io/node": "fake"}


def start_dns(layout: Layout, processes: Processes, kubeconfig: Path) -> list[dict[str, Any]]:
    """Start CoreDNS on the bridge; names outside of the cluster go to the host's own servers. Returns its objects."""
    corefile = layout.folder / "Corefile"
    corefile.write_text(
        f""".:53 {{
            bind {layout.address}
            errors
            kubernetes cluster.local in-addr.arpa ip6.arpa {{
                kubeconfig {kubeconfig}
                pods insecure
                ttl 5
            }}
            forward . /etc/resolv.conf
            cache 5
        }}\n"""
    )
    processes.start("dns", [str(program("coredns")), "-conf", str(corefile)])
    names = [{"name": protocol.lower(), "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return [
        _object("v1", "Service", "kube-dns", "kube-system", spec={"clusterIP": layout.dns, "ports": names}),
        _object(
            *("discovery.k8s.io/v1", "EndpointSlice", "kube-dns", "kube-system"),
            labels={"kubernetes.io/service-name": "kube-dns"},
            addressType="IPv4",
            endpoints=[{"addresses": [layout.address], "conditions": {"ready": True}}],
            ports=names,
        ),
    ]


def start_volumes(layout: Layout, processes: Processes, kubeconfig: Path) -> list[dict[str, Any]]:
    """Start the provisioner of the class `standard`, whose volumes are folders of the nodes. Returns its objects."""
    paths = [{"node": node, "paths": [str(layout.folder / node / "volumes")]} for node in layout.nodes]
    config, pod = layout.folder / "volumes.json", layout.folder / "volumes-pod.json"
    config.write_text(json.dumps({"nodePathMap": paths}))
    container = {"name": "helper", "image": BUSYBOX, "imagePullPolicy": "Never"}
    pod.write_text(json.dumps(_object("v1", "Pod", "helper", spec={"containers": [container]})))
    command = [str(program("local-path-provisioner")), "start", "--kubeconfig", str(kubeconfig)]
    command += ["--config", str(config), "--helper-pod-file", str(pod), "--helper-image", BUSYBOX]
    command += ["--configmap-name", "scripts", "--namespace", VOLUMES, "--service-account-name", "default"]
    processes.start("volumes", command)
    scripts = {"setup": 'mkdir -m 0777 -p "$VOL_DIR"\n', "teardown": 'rm -rf "$VOL_DIR"\n'}
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        _object("v1", "Namespace", VOLUMES),
        _object("v1", "ConfigMap", "scripts", VOLUMES, data=scripts),
        _object(
            *("storage.k8s.io/v1", "StorageClass", "standard"),
            annotations=default,
            provisioner="rancher.io/local-path",
            volumeBindingMode="WaitForFirstConsumer",
            reclaimPolicy="Delete",
        ),
    ]


def nodes(layout: Layout) -> list[dict[str, Any]]:
    """The objects of the nodes, made before their kubelets so that each has its own range and zone.

    They say their addresses already: kube-router ends when it finds none.
    """
    return [
        _object(
            *("v1", "Node", node),
            labels={
                "kubernetes.io/hostname": node,
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": "region",
            },
            spec={"podCIDR": layout.node_pods(node), "podCIDRs": [layout.node_pods(node)]},
            status={"addresses": [{"type": "InternalIP", "address": layout.node_address(node)}]},
        )
        for node, zone in zip(layout.nodes, layout.zones, strict=True)
    ]


def start_fakes(layout: Layout, processes: Processes, kubeconfig: Path) -> None:
    """Start kwok, which plays the kubelet of fake nodes, by the rules that come with its module."""
    stages = layout.folder / "kwok"
    shutil.rmtree(stages, ignore_errors=True)
    stages.mkdir()
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]
    module = Path(subprocess.run(command, cwd=GO / "kwok", capture_output=True, text=True, check=True).stdout.strip())
    arguments = []
    for group in ("pod/fast", "node/fast", "node/heartbeat-with-lease"):
        for file in sorted((module / "kustomize/stage" / group).glob("*.yaml")):
            if file.name != "kustomization.yaml":
                copy = stages / f"{group.replace('/', '-')}-{file.name}"
                copy.write_bytes(file.read_bytes())
                arguments += ["--config", str(copy)]
    arguments += ["--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"]
    arguments += ["--kubeconfig", str(kubeconfig), "--node-lease-duration-seconds=40"]
    processes.start("kwok", [str(program("kwok")), *arguments])


def fakes(count: int) -> list[dict[str, Any]]:
    """The objects of that many fake nodes. Only pods that tolerate the taint `kwok.x-k8s.io/node` come to them."""
    taint = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
    return [
        _object(
            *("v1", "Node", f"fake-{number}"),
            annotations=FAKE,
            labels={"kubernetes.io/hostname": f"fake-{number}", "type": "kwok"},
            spec={"taints": [taint]},
        )
        for number in range(count)
    ]


def _object(
    version: str,
    kind: str,
    name: str,
    namespace: str | None = None,
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **fields: object,
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    metadata = {key: value for key, value in metadata.items() if value}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
