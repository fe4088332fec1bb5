"""Apply and delete: checked as a whole, recorded, then done, one change after the other."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.action.outcome import Outcome
from rynxs.gateway.refusal import NotFound
from rynxs.local import registry as registry_module

DEV = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: dev}\n"
POLICY = (
    "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: p}\n"
    "spec: {selector: {}, rules: [{name: r, tools: [shell_exec], when: 'true', effect: %s}]}\n"
)
ALLOW = POLICY % "Allow"


async def apply(world, *documents, source="file.yaml"):
    async with world.http() as client:
        return await client.post("/v1/manifests", params={"source": source}, content="---\n".join(documents))


async def delete(world, path):
    async with world.http() as client:
        return await client.delete(f"/v1/namespaces/default/{path}")


def running(world):
    """A caller with an action that lasts."""

    async def ask():
        principal = await world.identity.authenticate((world.path / "token").read_text().strip())
        async with world.pipeline.action(principal, "default", "dev", "shell_exec", {"argv": ["x"]}) as execution:
            return [item async for item in execution.follow() if isinstance(item, Outcome)]

    return asyncio.create_task(ask())


async def recorded(world):
    return [(event.type, event.data["operation"]) for event in await world.events() if "operation" in event.data]


async def started(world):
    while not (world.sandboxes and world.sandboxes[-1].cancels):
        await asyncio.sleep(0)


async def test_applying(world) -> None:
    response = await apply(world, DEV, ALLOW)
    items = response.json()["items"]
    assert [(item["object"], item["namespace"], item["result"]) for item in items] == [
        ("agent/dev", "default", "created"),
        ("agentpolicy/p", "default", "created"),
    ]
    assert items[0]["note"] == ""
    assert items[1]["note"].startswith("policy sha256:")
    assert items[1]["note"].endswith("... (1 rule)")
    assert await recorded(world) == [("agent.applied", "created"), ("policy.loaded", "created")]
    event = (await world.events())[-1]
    assert (event.subject, event.data["manifest"]["metadata"]["name"]) == ("default/p", "p")
    assert event.data["hash"].startswith(items[1]["note"].split()[1].removesuffix("..."))
    assert event.actor


async def test_applying_again_records_nothing(world) -> None:
    await apply(world, DEV, ALLOW)
    size = world.shard.size
    again = await apply(world, DEV, ALLOW)
    assert {item["result"] for item in again.json()["items"]} == {"unchanged"}
    assert world.shard.size == size


async def test_errors_are_listed_and_change_nothing(world) -> None:
    response = await apply(world, DEV, POLICY % "Maybe", DEV, source="my file.yaml")
    problem = response.json()
    assert (response.status_code, problem["type"]) == (400, "urn:rynxs:problem:invalid")
    assert len(problem["errors"]) == 2
    assert problem["errors"][0].startswith("my file.yaml, document 2 (agentpolicy/p), spec.rules[0].effect: ")
    assert "document 3 (agent/dev)" in problem["errors"][1]
    assert world.registry.agents() == []
    assert await recorded(world) == []


async def test_a_broken_rule_is_found_before_it_counts(world) -> None:
    response = await apply(world, ALLOW.replace("'true'", "'acton.tool == 1'"))
    assert "spec.rules[0].when" in response.json()["errors"][0]
    with pytest.raises(NotFound):
        world.registry.policy("default", "p")


async def test_what_means_nothing_here_is_said_once(world) -> None:
    manifest = DEV + "spec: {image: registry.example/a, runtimeClassName: gvisor}\n"
    first, second = await apply(world, manifest), await apply(world, manifest + "  # again\n")
    [item] = first.json()["items"]
    assert item["warnings"] == [
        "spec.image has no effect in local mode",
        "spec.runtimeClassName has no effect in local mode",
    ]
    assert second.json()["items"][0]["warnings"] == []


async def test_a_changed_agent_ends_its_computer(world) -> None:
    await apply(world, DEV, ALLOW)
    asking = running(world)
    await started(world)
    changed = DEV + "spec: {env: [{name: A, value: b}]}\n"
    assert (await apply(world, changed)).json()["items"][0]["result"] == "configured"
    [outcome] = await asking
    assert outcome.error == "cancelled"
    assert not world.sandboxes[0].alive
    await world.computers.open(world.registry.agent("default", "dev"))
    assert world.sandboxes[1].spec.env == {"A": "b"}


async def test_deleting_an_agent(world) -> None:
    await apply(world, DEV, ALLOW)
    asking = running(world)
    await started(world)
    response = await delete(world, "agents/dev")
    assert response.json() == {"object": "agent/dev", "namespace": "default", "result": "deleted"}
    assert len(await asking) == 1
    assert not world.sandboxes[0].alive
    assert (await recorded(world))[-1] == ("agent.applied", "deleted")
    assert (await delete(world, "agents/dev")).status_code == 404


async def test_deleting_a_policy(world) -> None:
    await apply(world, DEV, ALLOW)
    assert (await delete(world, "policies/p")).json()["object"] == "agentpolicy/p"
    assert (await delete(world, "policies/p")).status_code == 404
    assert (await recorded(world))[-1] == ("policy.loaded", "deleted")


async def test_a_policy_of_the_cluster(world) -> None:
    cluster = (POLICY % "Deny").replace("kind: Agent", "kind: ClusterAgent")
    items = (await apply(world, DEV, ALLOW, cluster)).json()["items"]
    assert [(item["object"], item["namespace"]) for item in items[1:]] == [
        ("agentpolicy/p", "default"),
        ("clusteragentpolicy/p", ""),
    ]
    assert (await world.events())[-1].subject == "cluster:p"
    dev = world.registry.agent("default", "dev").agent
    assert world.registry.engine().selection(dev).names == ("cluster:p", "p")
    async with world.http() as client:
        response = await client.delete("/v1/policies/p")
        assert response.json() == {"object": "clusteragentpolicy/p", "namespace": "", "result": "deleted"}
        assert (await client.delete("/v1/policies/p")).status_code == 404
    assert world.registry.engine().selection(dev).names == ("p",)


async def test_a_new_agent_of_the_name_waits_until_the_old_one_is_gone(world) -> None:
    await apply(world, DEV + "spec: {workspace: {retain: Delete}}\n", ALLOW)
    asking = running(world)
    await started(world)
    workspace = world.sandboxes[0].spec.workspace
    old = world.registry.agent("default", "dev").uid

    async def anew():
        await apply(world, DEV)
        await world.computers.open(world.registry.agent("default", "dev"))
        (workspace / "new").touch()

    await asyncio.gather(delete(world, "agents/dev"), anew(), asking)
    assert world.registry.agent("default", "dev").uid != old
    assert [path.name for path in workspace.iterdir()] == ["new"]


async def test_the_log_has_changes_in_the_order_in_which_they_count(world) -> None:
    policies = [POLICY % "Deny", ALLOW]
    other = ALLOW.replace("name: p}", "name: q}")
    await asyncio.gather(apply(world, policies[0]), apply(world, policies[1], other), apply(world, policies[0]))
    last = [event for event in await world.events() if event.subject == "default/p"][-1]
    rules = world.registry.policy("default", "p").spec.rules
    assert [rule["effect"] for rule in last.data["manifest"]["spec"]["rules"]] == [rule.effect for rule in rules]


async def test_a_disk_that_fails(world, monkeypatch) -> None:
    def fail(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry_module, "write", fail)
    response = await apply(world, DEV)
    assert response.status_code == 503
    assert "No space left" in response.json()["detail"]
    assert world.registry.agents() == []


async def test_what_the_log_does_not_take_is_not_done(world) -> None:
    await apply(world, DEV)
    await world.shard.close()
    assert (await apply(world, ALLOW)).status_code == 503
    assert (await delete(world, "agents/dev")).status_code == 503
    assert [str(registered.ref) for registered in world.registry.agents()] == ["default/dev"]
    with pytest.raises(NotFound):
        world.registry.policy("default", "p")
