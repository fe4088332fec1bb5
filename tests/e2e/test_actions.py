"""Agents act on a real cluster: by MCP, by REST through `rynxs exec`, or not at all."""

from __future__ import annotations

import json
import ssl

import httpx2
import pytest
from e2e.manifests import agent, policy
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from rynxs.cluster.kubeconfig import load
from rynxs.cluster.portforward import PortForward


@pytest.fixture
def dev(rynxs, team):
    """A ready agent, and a caller who may use it."""
    rynxs.cluster.apply(agent(team) + "---" + policy(team))
    caller = rynxs.caller("ci", team, "user", "reach", "audit")
    rynxs.ready("dev", team)
    return caller


async def test_an_agent_works_by_mcp(rynxs, team, dev) -> None:
    [gateway] = rynxs.list("pods", "rynxs-system", "app.kubernetes.io/component=gateway")
    trust = rynxs.get("configmap", "rynxs-trust", "rynxs-system")
    tls = ssl.create_default_context(cadata=trust["data"]["ca.crt"])
    headers = {"Authorization": f"Bearer {dev.token}"}
    config = load(str(rynxs.cluster.kubeconfig))
    with PortForward(config, "rynxs-system", gateway["metadata"]["name"], 8443) as forward:
        url = f"https://localhost:{forward.port}/agents/{team}/dev/mcp"
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False, verify=tls) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            wrote = await client.call_tool("file_write", {"path": "a/b", "content": "hello"})
            assert wrote.structured_content == {"size": 5}
            ran = await client.call_tool("shell_exec", {"argv": ["sh", "-c", "cat a/b; exit 3"]})
            assert ran.structured_content is not None
            assert (ran.structured_content["exit_code"], ran.structured_content["stdout"]) == (3, "hello")
            denied = await client.call_tool("shell_exec", {"argv": ["git", "push", "--force"]})
            assert denied.is_error
            assert "denied by coder/no-force-push: Force pushes are not allowed." in denied.content[0].text


def test_a_command_by_the_command_line(team, dev) -> None:
    assert dev.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    said = dev.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo out; echo err >&2")
    assert (said.stdout, said.stderr) == ("out\n", "err\n")
    denied = dev.rynxs("exec", "-n", team, "dev", "--", "git", "push", "--force", code=125)
    assert "denied by coder/no-force-push: Force pushes are not allowed. (action " in denied.stderr
    nothing = dev.rynxs("exec", "-n", team, "dev", "--", "rm", "-rf", "/", code=125)
    assert "no rule of policy coder allows it" in nothing.stderr


def test_a_denied_command_is_recorded_and_never_runs(team, dev) -> None:
    dev.rynxs("exec", "-n", team, "dev", "--", "touch", "there", code=125)
    assert "there" not in dev.rynxs("exec", "-n", team, "dev", "--", "ls").stdout
    events = [json.loads(line) for line in dev.rynxs("log", "tail", "-l", "50", "-o", "json").stdout.splitlines()]
    [decided] = [
        event
        for event in events
        if event["subject"] == f"{team}/dev" and event["data"].get("action", {}) and "touch" in str(event["data"])
    ]
    assert decided["type"] == "action.decided"
    assert decided["data"]["effect"] == "Deny"
    assert decided["actor"] == f"system:serviceaccount:{team}:ci"
    assert not any(event["data"].get("action") == decided["data"]["action"]["id"] for event in events)


def test_a_caller_without_rights_is_refused(rynxs, team, dev) -> None:
    stranger = rynxs.caller("stranger", team, "reach")
    refused = stranger.rynxs("exec", "-n", team, "dev", "--", "ls", code=125)
    assert f"system:serviceaccount:{team}:stranger" in refused.stderr
    assert "use" in refused.stderr
    refused = stranger.rynxs("log", "tail", code=None)
    assert refused.returncode != 0
    forged = dev.token[:-8] + ("A" * 8)
    dev.kubeconfig.write_text(dev.kubeconfig.read_text().replace(dev.token, forged))
    assert dev.rynxs("exec", "-n", team, "dev", "--", "ls", code=125).stderr


def test_what_no_policy_allows(rynxs, team) -> None:
    rynxs.cluster.apply(agent(team))
    caller = rynxs.caller("ci", team, "user", "reach")
    rynxs.ready("dev", team)
    denied = caller.rynxs("exec", "-n", team, "dev", "--", "ls", code=125)
    assert "no policy selects agent dev" in denied.stderr
    assert rynxs.condition("dev", team, "PolicyValid")["status"] == "False"


def test_a_broken_policy_denies_and_says_why(rynxs, team, dev) -> None:
    broken = (
        policy(team).replace("name: coder,", "name: broken,").replace("action.args.argv.exists", "acton.args.exists")
    )
    rynxs.cluster.apply(broken)
    said = rynxs.wait(
        "the broken policy shows",
        lambda: (found := rynxs.condition("dev", team, "PolicyValid")).get("status") == "False" and found,
    )
    assert said["reason"] == "RuleDoesNotCompile"
    assert "agentpolicy/broken" in said["message"]
    assert "acton" in said["message"]
    assert "broken" in dev.rynxs("exec", "-n", team, "dev", "--", "ls", code=125).stderr
    rynxs.cluster.kubectl("delete", "agentpolicy", "broken", "-n", team)
    rynxs.wait("the policies are whole again", lambda: rynxs.condition("dev", team, "PolicyValid")["status"] == "True")
    dev.rynxs("exec", "-n", team, "dev", "--", "ls")


def test_the_listing_for_people(rynxs, team, dev) -> None:
    listed = rynxs.cluster.kubectl("get", "agents", "-n", team)
    assert listed.split("\n")[0].split()[:4] == ["NAME", "PHASE", "COMPUTER", "POLICY"]
    assert listed.split("\n")[1].split()[1] == "Ready"
    rynxs.cluster.kubectl(
        "auth", "can-i", "use", "agents.rynxs.dev", "-n", team, f"--as=system:serviceaccount:{team}:ci"
    )
