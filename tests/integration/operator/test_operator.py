"""What becomes of an Agent."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from rynxs.api.resource import AGENTS, CLUSTER_POLICIES, POLICIES
from rynxs.kube.client import ApiError
from rynxs.kube.resource import NETWORK_POLICIES, PODS, SECRETS
from rynxs.operator.observation import Observation
from rynxs.operator.plan import plan

RULE = {"name": "all", "tools": ["shell_exec"], "when": "true", "effect": "Allow"}


def state(name, **state):
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def condition(item, type_):
    found = next((c for c in item.get("status", {}).get("conditions", ()) if c["type"] == type_), None)
    return found and (found["status"], found["reason"], found["message"])


def ready(item):
    return (condition(item, "Ready") or ("",))[0] == "True"


async def test_an_agent_gets_a_computer(world, start, namespace, secrets) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {"workspace": {"size": "1Gi"}})
    start()
    pod = await world.pod(namespace, "dev")
    name = pod["metadata"]["name"]
    assert secrets(namespace) == [name]
    assert (namespace, "dev-workspace") in world.claims.objects
    assert (namespace, "dev-computer") in world.networks.objects
    agent = await world.agent(namespace, "dev", lambda item: item.get("status", {}).get("computer") == name)
    assert agent["status"]["phase"] == "Pending"
    assert condition(agent, "WallsUp")[:2] == ("Unknown", "NotProbed")
    assert condition(agent, "PolicyValid")[:2] == ("False", "NoPolicy")
    await world.ready(pod)
    agent = await world.agent(namespace, "dev", ready)
    assert (agent["status"]["phase"], agent["status"]["computers"]) == ("Ready", 1)
    assert condition(agent, "WallsUp")[:2] == ("True", "Probed")
    types = [draft.type for draft in world.recorded]
    assert types[:2] == ["agent.planned", "agent.applied"]
    assert {draft.subject for draft in world.recorded} == {f"{namespace}/dev"}


async def test_what_was_recorded_gives_the_same_plan(world, start, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {"env": [{"name": "TOKEN", "value": "secret"}]})
    start()
    await world.ready(await world.pod(namespace, "dev"))
    await world.agent(namespace, "dev", ready)
    planned = [draft.data for draft in world.recorded if draft.type == "agent.planned"]
    assert planned
    for data in planned:
        seen = msgspec.convert(data["observed"], Observation)
        assert msgspec.to_builtins(plan(seen).steps) == data["steps"]
    assert b"secret" not in msgspec.json.encode([draft.data for draft in world.recorded])


async def test_a_computer_that_is_gone_is_replaced(world, start, namespace, secrets) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    first = await world.pod(namespace, "dev")
    await world.ready(first)
    await world.agent(namespace, "dev", ready)
    await world.admin.delete(PODS, namespace, first["metadata"]["name"])
    second = await world.pod(namespace, "dev", lambda item: item["metadata"]["uid"] != first["metadata"]["uid"])
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert second["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "dev-workspace"}
    await world.agent(namespace, "dev", lambda item: item["status"]["computers"] == 2)
    assert secrets(namespace) == [second["metadata"]["name"]]


async def test_a_changed_agent_gets_a_new_computer(world, start, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    first = await world.pod(namespace, "dev")
    await world.apply(AGENTS, namespace, "Agent", "dev", {"env": [{"name": "A", "value": "$(B)"}]})
    second = await world.pod(namespace, "dev", lambda item: item["metadata"]["uid"] != first["metadata"]["uid"])
    env = next(each for each in second["spec"]["containers"][0]["env"] if each["name"] == "A")
    assert env["value"] == "$$(B)"
    assert any(
        step.get("reason") == "the agent's spec has changed" for draft in world.recorded for step in draft.data["steps"]
    )


async def test_a_hole_in_the_walls(world, start, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    pod = await world.pod(namespace, "dev")
    hole = "the kubelet answers at 192.0.2.1:10250"
    ended = {"exitCode": 1, "message": hole, "startedAt": "2026-11-23T14:00:00Z", "finishedAt": "2026-11-23T14:00:30Z"}
    await world.report(pod, phase="Failed", initContainerStatuses=[state("walls", terminated=ended)])
    agent = await world.agent(namespace, "dev", lambda item: (condition(item, "WallsUp") or [""])[0] == "False")
    assert condition(agent, "WallsUp")[1] == "Reachable"
    assert hole in condition(agent, "WallsUp")[2]
    assert condition(agent, "Ready")[0] == "False"
    second = await world.pod(namespace, "dev", lambda item: item["metadata"]["uid"] != pod["metadata"]["uid"])
    agent = await world.agent(namespace, "dev", lambda item: item["status"]["computer"] == second["metadata"]["name"])
    assert condition(agent, "WallsUp")[0] == "False"  # until one is found to be closed in
    await world.ready(second)
    agent = await world.agent(namespace, "dev", ready)
    assert condition(agent, "WallsUp")[0] == "True"


@pytest.mark.parametrize("change", [{"egress": [{}]}, {"ingress": [{}]}, {"podSelector": {"matchLabels": {"a": "b"}}}])
async def test_walls_that_somebody_opens_are_closed_again(world, start, namespace, change) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    await world.pod(namespace, "dev")
    before = world.networks.objects[namespace, "dev-computer"]
    await world.admin.merge(NETWORK_POLICIES, namespace, "dev-computer", {"spec": change})
    await world.until(
        lambda: (
            (found := world.networks.objects[namespace, "dev-computer"])["spec"] == before["spec"]
            and found["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
        )
    )
    await world.admin.delete(NETWORK_POLICIES, namespace, "dev-computer")
    await world.until(
        lambda: (
            (found := world.networks.objects.get((namespace, "dev-computer")))
            and found["metadata"]["uid"] != before["metadata"]["uid"]
        )
    )


async def test_what_the_api_server_refuses_is_shown_and_tried_rarely(world, start, namespace, controlplane) -> None:
    controlplane.kubectl("create", "quota", "full", "--hard=pods=0", "-n", namespace)
    counted = json.dumps({"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}})  # nobody else counts here
    controlplane.kubectl(
        "patch", "quota", "full", "-n", namespace, "--subresource=status", "--type=merge", "-p", counted
    )
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    agent = await world.agent(namespace, "dev", lambda item: (condition(item, "Ready") or ["", ""])[1] == "Refused")
    assert "quota" in condition(agent, "Ready")[2]
    assert (agent["status"]["phase"], agent["status"]["computers"]) == ("Failed", 0)
    with pytest.raises(TimeoutError):  # what it wrote itself is no reason to try again at once
        async with asyncio.timeout(3):
            await world.agent(
                namespace,
                "dev",
                lambda item: item["metadata"]["resourceVersion"] != agent["metadata"]["resourceVersion"],
            )
    planned = [draft.data["steps"] for draft in world.recorded if draft.type == "agent.planned"]
    assert len(planned) == len({msgspec.json.encode(steps) for steps in planned})


async def test_a_namespace_that_ends_gets_nothing(world, start, namespace, controlplane) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    controlplane.kubectl("delete", "namespace", namespace, "--wait=false")
    start()
    agent = await world.agent(namespace, "dev", lambda item: (condition(item, "Ready") or ["", ""])[1] == "Refused")
    assert "being terminated" in condition(agent, "Ready")[2]


async def test_an_invalid_agent_is_shown_and_harms_no_other(world, start, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "bad", {"resources": {"limits": {"memory": "512m"}}})
    await world.apply(AGENTS, namespace, "Agent", "good", {})
    start()
    assert await world.pod(namespace, "good")
    agent = await world.agent(namespace, "bad", lambda item: condition(item, "Ready"))
    status, reason, message = condition(agent, "Ready")
    assert (status, reason) == ("False", "Invalid")
    assert message.startswith("spec.resources.limits.memory: '512m' is not a whole number of bytes")
    assert agent["status"]["observedGeneration"] == agent["metadata"]["generation"]


async def test_policies(world, start, namespace) -> None:
    broken = {**RULE, "name": "net", "when": "action.args.argv[0] == 1"}
    await world.apply(POLICIES, namespace, "AgentPolicy", "x", {"selector": {}, "rules": [RULE, broken]})
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    agent = await world.agent(namespace, "dev", lambda item: item.get("status", {}).get("policy") == "broken")
    status, reason, message = condition(agent, "PolicyValid")
    assert (status, reason) == ("False", "RuleDoesNotCompile")
    assert message.startswith('agentpolicy/x rule "net":')
    policy = await world.until(lambda: condition(world.policies.objects[namespace, "x"], "Valid"))
    assert policy[:2] == ("False", "RuleDoesNotCompile")
    await world.apply(POLICIES, namespace, "AgentPolicy", "x", {"selector": {}, "rules": [RULE]})
    agent = await world.agent(namespace, "dev", lambda item: item["status"]["policy"] == "ok")
    assert condition(agent, "PolicyValid")[:2] == ("True", "Compiled")
    await world.until(lambda: condition(world.policies.objects[namespace, "x"], "Valid")[0] == "True")
    assert world.policies.objects[namespace, "x"]["status"]["rules"] == 1


async def test_the_status_of_a_cluster_policy(world, start, namespace) -> None:
    spec = {"selector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    await world.apply(CLUSTER_POLICIES, "", "ClusterAgentPolicy", namespace, {**spec, "rules": [RULE]})
    start()
    said = await world.until(lambda: condition(world.cluster_policies.objects.get(("", namespace), {}), "Valid"))
    assert said[0] == "True"
    await world.admin.delete(CLUSTER_POLICIES, "", namespace)


async def test_a_deleted_agent_gets_nothing_any_more(world, start, namespace) -> None:
    await world.apply(
        AGENTS, namespace, "Agent", "dev", {"workspace": {"retain": "Delete"}}, finalizers=["x.test/wait"]
    )
    start()
    pod = await world.pod(namespace, "dev")
    await world.admin.delete(AGENTS, namespace, "dev")
    await world.agent(namespace, "dev", lambda item: item["metadata"].get("deletionTimestamp"))
    await world.admin.delete(PODS, namespace, pod["metadata"]["name"])
    await world.until(lambda: (namespace, pod["metadata"]["name"]) not in world.pods.objects)
    await world.apply(AGENTS, namespace, "Agent", "other", {})
    await world.pod(namespace, "other")  # it had its turn after the deleted pod
    assert not any(name.startswith("dev-") for where, name in world.pods.objects if where == namespace)
    await world.admin.merge(AGENTS, namespace, "dev", {"metadata": {"finalizers": None}})


@pytest.mark.parametrize(("retain", "owned"), [("Retain", False), ("Delete", True)])
async def test_who_owns_what(world, start, namespace, retain, owned) -> None:
    """What goes with the agent names it as its owner; Kubernetes' garbage collector does the rest."""
    agent = await world.apply(AGENTS, namespace, "Agent", "dev", {"workspace": {"retain": retain}})
    start()
    pod = await world.pod(namespace, "dev")
    secret = await world.admin.get(SECRETS, namespace, pod["metadata"]["name"])
    for item in (pod, secret, world.networks.objects[namespace, "dev-computer"]):
        assert [owner["uid"] for owner in item["metadata"]["ownerReferences"]] == [agent["metadata"]["uid"]]
    assert ("ownerReferences" in world.claims.objects[namespace, "dev-workspace"]["metadata"]) is owned


async def test_an_operator_that_ended_in_the_middle(world, start, namespace) -> None:
    """The Secret is there, the pod is not: the next operator makes both anew under the same name."""
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    first = start()
    pod = await world.pod(namespace, "dev")
    first.cancel()
    await asyncio.wait([first])
    name = pod["metadata"]["name"]
    agent = world.agents.objects[namespace, "dev"]
    status = {**agent.get("status", {"conditions": []}), "computers": 0}
    await world.admin.merge(AGENTS, namespace, "dev", {"status": status}, "status")
    await world.admin.delete(PODS, namespace, name)
    await world.until(lambda: (namespace, name) not in world.pods.objects)
    before = await world.admin.get(SECRETS, namespace, name)
    start()
    again = await world.pod(namespace, "dev")
    assert again["metadata"]["name"] == name
    after = await world.admin.get(SECRETS, namespace, name)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_forged_annotations_do_no_harm(world, start, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    start()
    pod = await world.pod(namespace, "dev")
    forged = {"metadata": {"annotations": {"rynxs.dev/computer-number": "-1x", "rynxs.dev/spec": "y" * 5000}}}
    await world.admin.merge(PODS, namespace, pod["metadata"]["name"], forged)
    second = await world.pod(namespace, "dev", lambda item: item["metadata"]["uid"] != pod["metadata"]["uid"])
    assert second["metadata"]["name"] != pod["metadata"]["name"]


async def test_nothing_is_done_that_is_not_recorded(world, start, namespace) -> None:
    class Stopped(Exception):
        pass

    async def record(_):
        raise Stopped

    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    task = start(record)
    with pytest.raises(ExceptionGroup) as caught:
        await task
    assert caught.group_contains(Stopped)
    assert not [name for where, name in world.networks.objects if where == namespace]


async def test_it_can_not_read_secrets(operator, namespace) -> None:
    for asking in (operator.get(SECRETS, namespace, "x"), operator.list(SECRETS, namespace)):
        with pytest.raises(ApiError) as caught:
            await asking
        assert caught.value.code == 403
