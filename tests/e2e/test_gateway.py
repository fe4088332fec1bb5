"""Gateways and operators that end under what they do."""

from __future__ import annotations

import json
import subprocess
import uuid

from e2e.conftest import SYSTEM
from e2e.manifests import agent, policy

from rynxs.eventlog import uuid7


def test_a_gateway_that_is_killed_during_an_action(rynxs, team) -> None:
    rynxs.cluster.apply(agent(team) + "---" + policy(team))
    caller = rynxs.caller("ci", team, "user", "reach", "audit")
    rynxs.ready("dev", team)
    id_ = uuid7()
    command = ["sh", "-c", "echo ran >> marks; while [ ! -e go ]; do sleep 0.1; done; echo end"]
    running = subprocess.Popen(
        caller.command("exec", "-n", team, "--id", id_, "dev", "--", *command),
        env=caller.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rynxs.wait(
        "the action runs",
        lambda: "marks" in caller.rynxs("exec", "-n", team, "dev", "--", "ls", code=None).stdout,
    )
    [gateway] = rynxs.list("pods", SYSTEM, "app.kubernetes.io/component=gateway")
    rynxs.cluster.end_container(SYSTEM, gateway["metadata"]["name"], "gateway")
    _, problem = running.communicate(timeout=120)
    assert running.returncode == 125, problem
    rynxs.wait(
        "the next gateway serves",
        lambda: caller.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo go > go", code=None).returncode == 0,
    )

    def events():
        tail = caller.rynxs("log", "tail", "-l", "200", "-o", "json").stdout
        return [json.loads(line) for line in tail.splitlines()]

    def finished():
        return [each for each in events() if each["type"] == "action.finished" and each["data"]["action"] == id_]

    [outcome] = rynxs.wait("the action has an outcome", finished)
    assert outcome["data"]["outcome"] == "Finished"
    assert outcome["data"]["exit_code"] == 0
    again = caller.rynxs("exec", "-n", team, "--id", id_, "dev", "--", *command)
    assert again.returncode == 0
    assert caller.rynxs("exec", "-n", team, "dev", "--", "cat", "marks").stdout == "ran\n"
    assert len(finished()) == 1
    caller.rynxs("log", "verify")


def test_an_operator_that_is_killed(rynxs, team) -> None:
    [operator] = rynxs.list("pods", SYSTEM, "app.kubernetes.io/component=operator")
    names = [f"a{number}-{uuid.uuid4().hex[:4]}" for number in range(3)]
    rynxs.cluster.apply("---".join(agent(team, name) for name in names))
    rynxs.cluster.kubectl("delete", "pod", operator["metadata"]["name"], "-n", SYSTEM, "--grace-period=0", "--force")
    for name in names:
        rynxs.ready(name, team)
    assert len(rynxs.list("pods", team)) == 3


def test_a_store_that_is_away(rynxs, team) -> None:
    rynxs.cluster.apply(agent(team) + "---" + policy(team))
    caller = rynxs.caller("ci", team, "user", "reach", "audit")
    rynxs.ready("dev", team)
    rynxs.cluster.kubectl("scale", "deployment", "rynxs-store", "-n", SYSTEM, "--replicas=0")
    rynxs.wait("the store is away", lambda: not rynxs.list("pods", SYSTEM, "app.kubernetes.io/component=store"))
    refused = caller.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo ran > mark", code=125)
    assert "Nothing was run" in refused.stderr
    rynxs.cluster.kubectl("scale", "deployment", "rynxs-store", "-n", SYSTEM, "--replicas=1")
    rynxs.cluster.kubectl("rollout", "status", "deployment", "rynxs-store", "-n", SYSTEM, "--timeout=120s")
    said = rynxs.wait(
        "actions run again",
        lambda: (done := caller.rynxs("exec", "-n", team, "dev", "--", "ls", code=None)).returncode == 0 and done,
    )
    assert "mark" not in said.stdout
    caller.rynxs("log", "verify")
