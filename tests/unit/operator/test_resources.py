"""The objects that a computer is made of."""

from __future__ import annotations

import json

import msgspec
import pytest

from rynxs.api.agent import Agent
from rynxs.api.shape import read
from rynxs.computer.limits import Limits
from rynxs.computer.pod import BUNDLE, PREPARED, SECRETS, Serve
from rynxs.computer.reach import Target
from rynxs.operator import resources
from rynxs.operator.observation import network_digest, pods_of
from rynxs.operator.plan import StartComputer
from rynxs.operator.settings import ComputerSettings

UID = "agent-uid"
SETTINGS = ComputerSettings(image="r/computer:1", daemon_image="r/daemon:1")
TARGETS = [Target(name="the kubelet", host="$(HOST_IP)", port=10250)]
STEP = StartComputer(name="dev-abcde", number=4, digest="C")


def agent(**spec):
    metadata = {"name": "dev", "namespace": "team-a"}
    return read({"apiVersion": "rynxs.dev/v1alpha1", "kind": "Agent", "metadata": metadata, "spec": spec}, Agent)


def make_pod(settings=SETTINGS, **spec):
    return resources.pod(agent(**spec), UID, STEP, settings, TARGETS)


def computer(pod):
    return pod["spec"]["containers"][0]


def test_a_pod_is_found_again_as_what_it_was_made() -> None:
    made = make_pod()
    made["metadata"]["uid"] = "u"
    [found] = pods_of(UID, [made])
    assert (found.name, found.number, found.spec, found.state) == ("dev-abcde", 4, "C", "Starting")


def test_nothing_of_the_cluster_is_in_it() -> None:
    spec = make_pod()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"
    assert (spec["dnsPolicy"], spec["dnsConfig"]) == ("None", {"nameservers": ["127.0.0.1"]})
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"persistentVolumeClaim", "emptyDir", "secret"}
    assert not any(field.startswith("host") for field in spec)


def test_every_container_is_locked() -> None:
    pod = make_pod()
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_walls_are_tried_before_the_agents_image_runs() -> None:
    prepare, walls = make_pod(image="theirs:1")["spec"]["initContainers"]
    assert (prepare["name"], walls["name"]) == ("prepare", "walls")
    assert prepare["image"] == walls["image"] == "r/daemon:1"
    program, command, targets = walls["command"]
    assert (program, command) == (f"{BUNDLE}/rynxs-computer", "walls")
    assert msgspec.json.decode(targets, type=list[Target]) == TARGETS
    assert walls["env"] == [{"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]


def test_only_prepare_sees_the_secret() -> None:
    pod = make_pod()
    mounts = {
        container["name"]: {mount["name"] for mount in container.get("volumeMounts", ())}
        for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
    }
    assert [name for name, mounted in mounts.items() if "certificate" in mounted] == ["prepare"]
    prepared = {mount["mountPath"] for mount in pod["spec"]["initContainers"][0]["volumeMounts"]}
    assert prepared == {f"{PREPARED}/{name}" for name in ("bundle", "run", "etc", "certificate")}
    assert {"name": "run", "mountPath": str(SECRETS)} in computer(pod)["volumeMounts"]
    assert "workspace" not in mounts["prepare"] | mounts["walls"]


@pytest.mark.parametrize(("spec", "image"), [({}, "r/computer:1"), ({"image": "theirs:1"}, "theirs:1")])
def test_whose_image(spec, image) -> None:
    assert computer(make_pod(**spec))["image"] == image


def test_the_daemon_is_told_its_limits() -> None:
    made = computer(make_pod(resources={"limits": {"memory": "512Mi"}}, workspace={"size": "1Gi"}))
    program, command, settings = made["command"]
    assert (program, command) == (f"{BUNDLE}/rynxs-computer", "serve")
    told = msgspec.json.decode(settings, type=Serve)
    assert told.port == made["ports"][0]["containerPort"] == 7443
    assert (told.limits.workspace, told.limits.memory) == (2**30, 512 * 2**20)
    assert told.limits.tmp == Limits().tmp


def test_what_an_agent_says_is_what_it_gets() -> None:
    made = computer(
        make_pod(
            env=[{"name": "A", "value": "$(HOME) $$ ${B}"}, {"name": "LANG", "value": "de_DE.UTF-8"}],
            resources={"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": 2}},
        )
    )
    env = {each["name"]: each["value"] for each in made["env"]}
    assert env["A"] == "$$(HOME) $$ ${B}"  # Kubernetes makes $(HOME) of it
    assert env["LANG"] == "de_DE.UTF-8"
    assert env["HOME"] == "/workspace"
    assert made["resources"] == {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("spec", "setting", "found"),
    [({}, None, None), ({}, "gvisor", "gvisor"), ({"runtimeClassName": "kata"}, "gvisor", "kata")],
)
def test_the_runtime(spec, setting, found) -> None:
    made = make_pod(msgspec.structs.replace(SETTINGS, runtime_class_name=setting), **spec)
    assert made["spec"].get("runtimeClassName") == found


def test_each_agent_has_a_user_of_its_own() -> None:
    users = {resources.user_of(namespace, name) for namespace in ("a", "b") for name in ("x", "y")}
    assert len(users) == 4
    assert all(1_000_000_000 <= user < 1_900_000_000 for user in users)
    context = make_pod()["spec"]["securityContext"]
    user = resources.user_of("team-a", "dev")
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, user, user)


def test_the_workspace() -> None:
    claim = resources.volume_claim(agent(workspace={"size": "5Gi", "storageClassName": "fast"}), UID, "W")
    assert claim["metadata"]["name"] == "dev-workspace"
    assert claim["metadata"]["annotations"]["rynxs.dev/spec"] == "W"
    assert claim["spec"]["resources"]["requests"]["storage"] == str(5 * 2**30)
    assert claim["spec"]["storageClassName"] == "fast"
    assert "ownerReferences" not in claim["metadata"]
    assert "storageClassName" not in resources.volume_claim(agent(), UID, "W")["spec"]


def test_the_agent_owns_the_rest() -> None:
    delete = agent(workspace={"retain": "Delete"})
    for made in (
        make_pod(),
        resources.volume_claim(delete, UID, "W"),
        resources.network_policy(agent(), UID, SETTINGS, "sys"),
        resources.certificate_secret(agent(), UID, "dev-abcde", {}),
    ):
        [owner] = made["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["kind"], owner["controller"]) == (UID, "Agent", True)
        assert owner["blockOwnerDeletion"] is False  # which would take a right that the operator does not have


def test_the_network_policy_selects_the_pod_and_closes_it() -> None:
    policy = resources.network_policy(agent(), UID, SETTINGS, "sys")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= make_pod()["metadata"]["labels"].items()
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    [rule] = policy["ingress"]
    [peer] = rule["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "sys"}}
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert rule["ports"] == [{"protocol": "TCP", "port": 7443}]


def test_what_counts_as_another_computer() -> None:
    def wanted(settings=SETTINGS, **spec):
        return resources.wanted(agent(**spec), settings, "sys")

    base = wanted()
    assert base == wanted()
    assert base.network == network_digest(resources.network_policy(agent(), UID, SETTINGS, "sys"))
    only_volume = wanted(workspace={"retain": "Delete", "storageClassName": "x"})
    assert (only_volume.computer, only_volume.network) == (base.computer, base.network)
    assert only_volume.workspace != base.workspace
    for spec in ({"image": "x"}, {"env": [{"name": "A", "value": "1"}]}, {"workspace": {"size": "6Gi"}}):
        assert wanted(**spec).computer != base.computer
    upgraded = msgspec.structs.replace(SETTINGS, image="r/computer:2", daemon_image="r/daemon:2")
    assert wanted(upgraded) == base
    moved = wanted(msgspec.structs.replace(SETTINGS, port=7444))
    assert (moved.computer != base.computer, moved.network != base.network) == (True, True)


def test_the_certificate_is_text() -> None:
    secret = resources.certificate_secret(agent(), UID, "dev-abcde", {"tls.crt": b"c", "tls.key": b"k", "ca.crt": b"a"})
    assert json.loads(json.dumps(secret))["stringData"] == {"tls.crt": "c", "tls.key": "k", "ca.crt": "a"}
    assert (secret["type"], secret["immutable"]) == ("kubernetes.io/tls", True)
