"""The objects that an agent's computer is made of, as pure functions. One place names and labels them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from rynxs.api.agent import Agent
from rynxs.api.quantity import to_bytes
from rynxs.computer.limits import Limits
from rynxs.computer.pod import BUNDLE, PREPARED, SECRETS, Serve
from rynxs.computer.reach import Target
from rynxs.operator.observation import COMPUTER, NUMBER, SPEC, WALLS, Object, Wanted, digest, network_digest
from rynxs.operator.plan import StartComputer, workspace_name
from rynxs.operator.settings import ComputerSettings

MANAGED = {"app.kubernetes.io/managed-by": "rynxs"}
"""Label of everything that the operator makes."""

AGENT = "rynxs.dev/agent"
"""Label: the agent's name."""

FIRST_UID = 1_000_000_000
_UIDS = 900_000_000

_LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


def user_of(namespace: str, agent: str) -> int:
    """The user and group id of the agent's computer: its own, so that limits of a user are limits of the agent.

    It stays the same for a later agent of that name, which may find the workspace of this one.
    """
    said = hashlib.sha256(f"{namespace}/{agent}".encode()).digest()
    return FIRST_UID + int.from_bytes(said[:8], "big") % _UIDS


def wanted(agent: Agent, settings: ComputerSettings, namespace: str) -> Wanted:
    """The digests of what the agent must have. `namespace` is the system namespace.

    A pod is made from all of the spec but what concerns the volume only, and listens where gateways look for it. Other
    settings of the installation do not count: an upgrade ends no computer.
    """
    spec, workspace = agent.spec, agent.spec.workspace
    pod_spec = msgspec.structs.replace(spec, workspace=type(workspace)(size=workspace.size))
    network = {"spec": _network_spec(agent, settings, namespace)}
    return Wanted(
        workspace=digest(workspace), network=network_digest(network) or "", computer=digest([pod_spec, settings.port])
    )


def volume_claim(agent: Agent, uid: str, digest: str) -> Object:
    """The workspace's volume claim; the agent owns it unless it is to be retained."""
    workspace = agent.spec.workspace
    claim = _object(agent, uid, "v1", "PersistentVolumeClaim", workspace_name(agent.metadata.name), digest)
    if workspace.retain == "Retain":
        del claim["metadata"]["ownerReferences"]
    claim["spec"] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(to_bytes(workspace.size))}},
    }
    if workspace.storage_class_name is not None:
        claim["spec"]["storageClassName"] = workspace.storage_class_name
    return claim


def network_policy(agent: Agent, uid: str, settings: ComputerSettings, namespace: str) -> Object:
    """Nothing leaves the computer, and only gateways of the system namespace come in."""
    name = network_name(agent.metadata.name)
    policy = _object(agent, uid, "networking.k8s.io/v1", "NetworkPolicy", name, "")
    policy["spec"] = _network_spec(agent, settings, namespace)
    return policy


def _network_spec(agent: Agent, settings: ComputerSettings, namespace: str) -> Object:
    gateways = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "rynxs", "app.kubernetes.io/component": "gateway"}},
    }
    return {
        "podSelector": {"matchLabels": labels_of(agent.metadata.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [gateways], "ports": [{"protocol": "TCP", "port": settings.port}]}],
        "egress": [],  # said, so that applying it takes back what somebody else has added
    }


def certificate_secret(agent: Agent, uid: str, name: str, files: dict[str, bytes]) -> Object:
    """The certificate of the computer of that name: `tls.crt`, `tls.key` and `ca.crt`, as text."""
    secret = _object(agent, uid, "v1", "Secret", name, "")
    secret["type"] = "kubernetes.io/tls"
    secret["immutable"] = True
    secret["stringData"] = {key: value.decode() for key, value in files.items()}
    return secret


def pod(agent: Agent, uid: str, step: StartComputer, settings: ComputerSettings, targets: list[Target]) -> Object:
    """The computer: two containers that prepare and probe it, and the agent's image under our daemon.

    `targets` must be silent before it starts; a target's host may be `$(HOST_IP)`, its node's address.
    """
    spec = agent.spec
    user = user_of(agent.metadata.namespace, agent.metadata.name)
    made = _object(agent, uid, "v1", "Pod", step.name, step.digest)
    made["metadata"]["annotations"][NUMBER] = str(step.number)
    limits = Limits(workspace=to_bytes(spec.workspace.size))
    if spec.resources.limits.memory is not None:
        limits = msgspec.structs.replace(limits, memory=to_bytes(spec.resources.limits.memory))
    serve = msgspec.json.encode(Serve(port=settings.port, limits=limits)).decode()
    ours = {"image": settings.daemon_image, "imagePullPolicy": settings.image_pull_policy, "resources": _SMALL}
    program = f"{BUNDLE}/rynxs-computer"
    made["spec"] = {
        "restartPolicy": "Never",  # the pod is the computer's life: what ends does not come back under its name
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},  # names are not resolved here; this fails at once
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            {
                "name": "prepare",
                **ours,
                "command": [program, "prepare"],
                "securityContext": _LOCKED,
                "volumeMounts": [
                    {"name": name, "mountPath": f"{PREPARED}/{name}"}
                    for name in ("bundle", "run", "etc", "certificate")
                ],
            },
            {
                "name": WALLS,
                **ours,
                "command": [program, "walls", msgspec.json.encode(targets).decode()],
                "env": [{"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
                "securityContext": _LOCKED,
            },
        ],
        "containers": [
            {
                "name": COMPUTER,
                "image": spec.image or settings.image,
                "imagePullPolicy": settings.image_pull_policy,
                "command": [program, "serve", serve.replace("$(", "$$(")],
                "workingDir": "/workspace",
                "env": _environment(agent),
                "ports": [{"name": "daemon", "containerPort": settings.port}],
                "resources": _resources(agent),
                "startupProbe": {"tcpSocket": {"port": settings.port}, "periodSeconds": 1, "failureThreshold": 60},
                "securityContext": _LOCKED,
                "volumeMounts": [
                    {"name": "workspace", "mountPath": "/workspace"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside
                    {"name": "bundle", "mountPath": str(BUNDLE), "readOnly": True},
                    {"name": "run", "mountPath": str(SECRETS)},
                    {"name": "etc", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
                    {"name": "etc", "mountPath": "/etc/group", "subPath": "group", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": workspace_name(agent.metadata.name)}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(limits.tmp)}},
            {"name": "bundle", "emptyDir": {}},
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "etc", "emptyDir": {}},
            {"name": "certificate", "secret": {"secretName": step.name, "defaultMode": 0o440}},
        ],
    }
    runtime = spec.runtime_class_name or settings.runtime_class_name
    if runtime is not None:
        made["spec"]["runtimeClassName"] = runtime
    return made


def network_name(agent: str) -> str:
    """The network policy's name."""
    return f"{agent}-computer"


def _object(agent: Agent, uid: str, api_version: str, kind: str, name: str, digest: str) -> dict[str, Any]:
    owner = {
        "apiVersion": agent.api_version,
        "kind": agent.kind,
        "name": agent.metadata.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": agent.metadata.namespace,
            "labels": labels_of(agent.metadata.name),
            "annotations": {SPEC: digest},
            "ownerReferences": [owner],
        },
    }


def labels_of(agent: str) -> dict[str, str]:
    """What everything is labelled with that is made for the agent of that name."""
    return {**MANAGED, AGENT: agent}


def _environment(agent: Agent) -> list[dict[str, str]]:
    values = {"HOME": "/workspace", "LANG": "C.UTF-8", "TMPDIR": "/tmp", "USER": "agent"}  # noqa: S108 - inside
    values |= {variable.name: variable.value for variable in agent.spec.env}
    # Kubernetes would replace $(NAME) by another variable; an Agent means what it says.
    return [{"name": name, "value": value.replace("$(", "$$(")} for name, value in values.items()]


def _resources(agent: Agent) -> dict[str, dict[str, str]]:
    resources = agent.spec.resources
    made = {}
    for kind, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        said = {"cpu": amounts.cpu, "memory": amounts.memory}
        made[kind] = {name: str(value) for name, value in said.items() if value is not None}
    return made
