"""Computers in pods: their life, their walls, and whose image they are made from."""

from __future__ import annotations

import pytest
import yaml
from e2e.manifests import agent, policy

MAY_HOLD_UP = 180.0


@pytest.fixture
def user(rynxs, team):
    """A caller who may use the agents of the team."""
    rynxs.cluster.apply(policy(team))
    return rynxs.caller("ci", team, "user", "reach")


def test_a_killed_pod_comes_back_on_the_same_workspace(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team))
    before = rynxs.ready("dev", team)["status"]["computer"]
    user.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo kept > file")
    rynxs.cluster.kubectl("delete", "pod", before, "-n", team, "--wait=false")
    rynxs.wait(
        "another computer is ready",
        lambda: (s := rynxs.get("agent", "dev", team)["status"])["phase"] == "Ready" and s["computer"] != before,
    )
    assert user.rynxs("exec", "-n", team, "dev", "--", "cat", "file").stdout == "kept\n"


def test_a_computer_whose_daemon_dies_comes_back(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team))
    before = rynxs.ready("dev", team)["status"]["computer"]
    # Nothing in the computer can end its process 1; the node can.
    rynxs.cluster.end_container(team, before, "computer")
    rynxs.wait(
        "another computer is ready",
        lambda: (s := rynxs.get("agent", "dev", team)["status"])["phase"] == "Ready" and s["computer"] != before,
        MAY_HOLD_UP,
    )
    user.rynxs("exec", "-n", team, "dev", "--", "ls")


def test_a_deleted_agent_leaves_nothing(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team))
    rynxs.ready("dev", team)
    rynxs.cluster.kubectl("delete", "agent", "dev", "-n", team)
    for kind in ("pods", "secrets", "networkpolicies", "persistentvolumeclaims"):
        rynxs.wait(f"no {kind} are left", lambda kind=kind: not rynxs.list(kind, team))
    assert "there is no agent dev" in user.rynxs("exec", "-n", team, "dev", "--", "ls", code=125).stderr


def test_a_deleted_agent_keeps_the_workspace_that_it_retains(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team, retain="Retain"))
    rynxs.ready("dev", team)
    user.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo kept > file")
    rynxs.cluster.kubectl("delete", "agent", "dev", "-n", team)
    rynxs.wait("the pod is gone", lambda: not rynxs.list("pods", team))
    assert [claim["metadata"]["name"] for claim in rynxs.list("pvc", team)] == ["dev-workspace"]
    rynxs.cluster.apply(agent(team, retain="Retain"))
    rynxs.ready("dev", team)
    assert user.rynxs("exec", "-n", team, "dev", "--", "cat", "file").stdout == "kept\n"


def test_a_computer_is_locked_up(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team))
    [name] = [rynxs.ready("dev", team)["status"]["computer"]]
    spec = rynxs.get("pod", name, team)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in spec["volumes"])
    script = """
import os, socket, sys
found = []
for host, port in (("10.96.0.1", 443), ("169.254.169.254", 80), ("192.168.77.1", 6443), (sys.argv[1], 10250)):
    try:
        socket.create_connection((host, port), 2).close()
        found.append(f"{host}:{port} answers")
    except OSError:
        pass
for path in ("/var/run/secrets/kubernetes.io", "/run/rynxs/tls.key"):
    if os.path.exists(path):
        found.append(path)
for path in ("/etc/x", "/opt/rynxs/x", "/usr/x"):
    try:
        open(path, "w").close()
        found.append(f"{path} can be written")
    except OSError:
        pass
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.getuid() > 0, status["CapEff"].strip(), status["NoNewPrivs"].strip(), status["Seccomp"].strip(), found)
print([name for name in os.environ if "KUBERNETES" in name or "LD_" in name])
"""
    node = rynxs.get("pod", name, team)["status"]["hostIP"]
    said = user.rynxs("exec", "-n", team, "dev", "--", "python3", "-c", script, node).stdout
    assert said.splitlines() == ["True 0000000000000000 1 2 []", "[]"]


def test_a_hole_in_the_walls_keeps_a_computer_from_being_ready(rynxs, team, user) -> None:
    hole = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "hole", "namespace": team},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    rynxs.cluster.apply(yaml.safe_dump(hole))
    rynxs.cluster.apply(agent(team))
    said = rynxs.wait(
        "the hole is found",
        lambda: (found := rynxs.condition("dev", team, "WallsUp")).get("status") == "False" and found,
    )
    assert "API server" in said["message"]
    assert rynxs.get("agent", "dev", team)["status"]["phase"] != "Ready"
    refused = user.rynxs("exec", "-n", team, "dev", "--", "ls", code=125)
    assert "answers" in refused.stderr
    rynxs.cluster.kubectl("delete", "networkpolicy", "hole", "-n", team)
    rynxs.ready("dev", team)
    user.rynxs("exec", "-n", team, "dev", "--", "ls")


def test_any_image_can_be_a_computer(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team, image="registry.test/debian:bookworm"))
    rynxs.ready("dev", team)
    said = user.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "command -v python3; cat /etc/os-release; id -un")
    assert "bookworm" in said.stdout
    assert "python" not in said.stdout
    assert said.stdout.endswith("agent\n")


def test_our_image_has_what_agents_need(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team))
    rynxs.ready("dev", team)
    assert "git version" in user.rynxs("exec", "-n", team, "dev", "--", "git", "--version").stdout
    assert user.rynxs("exec", "-n", team, "dev", "--", "python3", "-c", "print(6 * 7)").stdout == "42\n"
    assert "Chromium" in user.rynxs("exec", "-n", team, "dev", "--", "chromium", "--version").stdout


def test_an_image_that_is_not_there(rynxs, team, user) -> None:
    rynxs.cluster.apply(agent(team, image="registry.test/nothing:here"))
    said = rynxs.wait(
        "the missing image shows", lambda: "nothing:here" in (rynxs.condition("dev", team, "Ready").get("message", ""))
    )
    assert said
    assert "nothing:here" in user.rynxs("exec", "-n", team, "dev", "--", "ls", code=125).stderr
