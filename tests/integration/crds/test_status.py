"""Statuses as the operator writes them, names, and what `kubectl get` shows."""

from __future__ import annotations

import msgspec

from rynxs.api.status import AgentStatus, Condition, PolicyStatus, with_condition

NOW = "2026-11-23T14:02:11Z"
VALID = Condition(type="Valid", status="True", reason="Compiled", message="every rule compiles", observed_generation=1)
POLICY = (
    "apiVersion: rynxs.dev/v1alpha1\nkind: %s\nmetadata: {name: shown}\n"
    "spec: {selector: {matchLabels: {shown: only}}, "
    "rules: [{name: r, tools: [file_list], when: 'true', effect: Allow}]}\n"
)
AGENT = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: shown}\n"


async def test_agents(server) -> None:
    await server.create(AGENT, keep=True)
    status = AgentStatus(
        observed_generation=1,
        phase="Ready",
        computer="shown-7c9f4",
        computers=3,
        workspace="shown-workspace",
        policy="ok",
        conditions=with_condition([], VALID, NOW),
    )
    said = msgspec.to_builtins(status)
    made = await server.patch("Agent", "shown", {"status": said}, "/status")
    assert (made["status"], made["metadata"]["generation"]) == (said, 1)
    lines = server.controlplane.kubectl("get", "ag", "shown").splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["NAME", "PHASE", "COMPUTER", "POLICY"],
        ["shown", "Ready", "shown-7c9f4", "ok"],
    ]
    assert lines[0].split()[4:] == ["AGE"]
    wrong = await server.patch("Agent", "shown", {"status": {"phase": "Dreaming"}}, "/status")
    assert 'status.phase: Unsupported value: "Dreaming"' in wrong
    assert isinstance(
        await server.patch("Agent", "shown", {"status": msgspec.to_builtins(AgentStatus())}, "/status"), dict
    )


async def test_a_status_is_not_written_with_the_object(server) -> None:
    await server.create(AGENT.replace("shown", "other") + "status: {phase: Ready}\n", keep=True)
    assert "status" not in await server.patch("Agent", "other", {"status": {"phase": "Ready"}})


async def test_policies(server) -> None:
    for kind, short in (("AgentPolicy", "agpol"), ("ClusterAgentPolicy", "cagpol")):
        await server.create(POLICY % kind, keep=True)
        status = PolicyStatus(observed_generation=1, rules=1, conditions=with_condition([], VALID, NOW))
        said = msgspec.to_builtins(status)
        assert (await server.patch(kind, "shown", {"status": said}, "/status"))["status"] == said
        lines = server.controlplane.kubectl("get", short, "shown").splitlines()
        assert [line.split()[:3] for line in lines] == [["NAME", "VALID", "RULES"], ["shown", "True", "1"]]


async def test_all_of_ours_at_once(server) -> None:
    found = server.controlplane.kubectl("api-resources", "--categories=rynxs", "--output=name").split()
    assert found == ["agentpolicies.rynxs.dev", "agents.rynxs.dev", "clusteragentpolicies.rynxs.dev"]


async def test_every_field_is_explained(server) -> None:
    for kind in ("agents", "agentpolicies", "clusteragentpolicies"):
        text = server.controlplane.kubectl("explain", kind, "--recursive")
        assert "spec" in text
    assert "printable ascii without spaces" in server.controlplane.kubectl("explain", "agents.spec.image").lower()
