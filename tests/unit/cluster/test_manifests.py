"""Manifests on a cluster: all are tried before one is applied."""

from __future__ import annotations

import pytest

from rynxs.api.manifest import parse
from rynxs.cluster.manifests import NotApplied, agents, apply, delete
from rynxs.kube.client import ApiError

TEXT = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, namespace: team-a, labels: {role: coder}}
spec: {workspace: {size: 1Gi}}
---
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: team-a}
spec:
  selector: {}
  rules:
  - {name: read, tools: [file_read], when: "true", effect: Allow}
---
apiVersion: rynxs.dev/v1alpha1
kind: ClusterAgentPolicy
metadata: {name: all}
spec: {selector: {}}
"""


@pytest.fixture
def items():
    return parse(TEXT, "test")


async def test_everything_is_tried_then_applied(api, items) -> None:
    done = await apply(api, items)
    assert api.calls == [
        ("try", "agents", "dev"),
        ("try", "agentpolicies", "coder"),
        ("try", "clusteragentpolicies", "all"),
        ("apply", "agents", "dev"),
        ("apply", "agentpolicies", "coder"),
        ("apply", "clusteragentpolicies", "all"),
    ]
    assert [(each.object, each.namespace, each.result) for each in done] == [
        ("agent/dev", "team-a", "created"),
        ("agentpolicy/coder", "team-a", "created"),
        ("clusteragentpolicy/all", "", "created"),
    ]
    assert [bool(each.note) for each in done] == [False, True, True]
    assert "(1 rule)" in done[1].note


async def test_what_is_sent_is_what_was_written(api, items) -> None:
    await apply(api, items)
    sent = api.objects["agents", "team-a", "dev"]
    assert sent["spec"] == {"workspace": {"size": "1Gi"}}
    assert sent["metadata"]["labels"] == {"role": "coder"}
    assert "annotations" not in sent["metadata"]
    assert api.objects["agentpolicies", "team-a", "coder"]["spec"]["selector"] == {}


async def test_what_changed_and_what_did_not(api, items, monkeypatch) -> None:
    await apply(api, items)
    real = api.apply

    async def unchanged(resource, namespace, item, **options):
        key = resource.plural, namespace, item["metadata"]["name"]
        if item["kind"] == "Agent":
            return api.objects[key]
        return await real(resource, namespace, item, **options)

    monkeypatch.setattr(api, "apply", unchanged)
    assert [each.result for each in await apply(api, items)] == ["unchanged", "configured", "configured"]


def refusal(message, code=422):
    return ApiError("PATCH", "/x", code, "Invalid", message)


async def test_one_that_is_refused_lets_nothing_start(api, items) -> None:
    api.refuse["try", "agentpolicies"] = refusal("spec.rules: Too many")
    with pytest.raises(NotApplied) as refused:
        await apply(api, items)
    assert str(refused.value) == "agentpolicy/coder: spec.rules: Too many. Nothing was applied"
    assert not [call for call in api.calls if call[0] == "apply"]


async def test_what_came_before_a_late_refusal_is_said(api, items) -> None:
    api.refuse["apply", "clusteragentpolicies"] = refusal("quota")
    with pytest.raises(NotApplied) as refused:
        await apply(api, items)
    assert str(refused.value) == "clusteragentpolicy/all: quota. Applied before it: agent/dev, agentpolicy/coder"


async def test_a_cluster_without_our_kinds(api, items) -> None:
    api.refuse["try", "agents"] = refusal("the server could not find the requested resource", 404)
    with pytest.raises(NotApplied, match="Is Rynxs installed in this cluster"):
        await apply(api, items)


async def test_agents_are_sorted(api) -> None:
    for namespace, name in (("b", "x"), ("a", "y"), ("a", "x")):
        api.objects["agents", namespace, name] = {"metadata": {"namespace": namespace, "name": name}}
    assert [item["metadata"] for item in await agents(api, "a")] == [
        {"namespace": "a", "name": "x"},
        {"namespace": "a", "name": "y"},
    ]
    assert len(await agents(api, "")) == 3


async def test_delete(api, items) -> None:
    await apply(api, items)
    assert await delete(api, "Agent", "team-a", "dev")
    assert not await delete(api, "Agent", "team-a", "dev")
    assert await delete(api, "ClusterAgentPolicy", "", "all")
    assert list(api.objects) == [("agentpolicies", "team-a", "coder")]
