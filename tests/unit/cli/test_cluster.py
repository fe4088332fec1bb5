"""Commands against a cluster: by its API with the caller's rights, and through the gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from rynxs.kube.client import ApiError

FINISHED = {"ending": "Finished", "result": {"exit_code": 3}}
CODER = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, namespace: team-a}
---
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: team-a}
spec:
  selector: {}
  rules:
  - {name: read, tools: [file_read], when: "true", effect: Allow}
"""
ON = ("--context", "prod")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "coder.yaml"
    path.write_text(CODER)
    return path


def refused(verb, code=403, message="agents is forbidden"):
    return ApiError(verb, "/x", code, "Forbidden", message)


def test_exec(rynxs, cluster, server) -> None:
    server.streams(
        ("decided", {}),
        ("output", {"stream": "stdout", "content": "hi\n", "encoding": "utf-8"}),
        ("outcome", {"action": "1", "outcome": FINISHED}),
    )
    done = rynxs("exec", *ON, "-n", "team-a", "dev", "--", "ls")
    assert (done.code, done.out, done.err) == (3, "hi\n", "")
    assert cluster.forwards == [("rynxs-system", "rynxs-gateway-x", 8443)]
    [request] = server.requests
    assert str(request.url) == "https://127.0.0.1:1234/v1/namespaces/team-a/agents/dev/actions"
    assert (request.headers["host"], request.extensions["sni_hostname"]) == ("rynxs-gateway", "rynxs-gateway")
    assert request.headers["authorization"] == "Bearer of-the-context"


def test_a_token_that_is_given_goes_first(rynxs, cluster, server, monkeypatch) -> None:
    monkeypatch.setenv("RYNXS_TOKEN", "given")
    server.says(200, b"")
    assert rynxs("log", "tail", *ON).code == 0
    assert server.requests[0].headers["authorization"] == "Bearer given"


def test_a_context_without_a_token(rynxs, cluster) -> None:
    cluster.write({"username": "u", "password": "p"})
    done = rynxs("exec", *ON, "dev", "--", "ls")
    assert done.code == 125
    assert "context prod has no token, and gateways take nothing else" in done.err
    assert "RYNXS_TOKEN=$(kubectl create token SERVICEACCOUNT -n NAMESPACE) rynxs ..." in done.err
    assert cluster.forwards == []


def test_log_tail(rynxs, cluster, server) -> None:
    event = {
        "seq": 1,
        "type": "something.new",
        "time": "2026-11-23T14:02:11.201Z",
        "subject": "team-a/dev",
        "actor": "",
        "data": {},
    }
    server.says(200, json.dumps(event).encode() + b"\n")
    done = rynxs("log", "tail", *ON, "--system-namespace", "rynxs-system")
    assert "something.new" in done.out
    assert server.requests[0].url.path == "/v1/log/shard-0/events"
    server.refuses(403, "ci may not get logs in the whole cluster")
    assert rynxs("log", "tail", *ON).err == "rynxs: ci may not get logs in the whole cluster\n"


def test_no_installation(rynxs, cluster) -> None:
    done = rynxs("exec", *ON, "--system-namespace", "other", "dev", "--", "ls")
    assert done.code == 125
    assert "context prod: there is no gateway in namespace other" in done.err
    cluster.api.objects["configmaps", "rynxs-system", "rynxs-trust"]["data"] = {"ca.crt": "no certificate"}
    assert "configmap rynxs-system/rynxs-trust: ca.crt is no certificate" in rynxs("log", "tail", *ON).err


def test_an_api_server_that_refuses(rynxs, cluster) -> None:
    cluster.api.refuse["list", "pods"] = refused("GET", message='pods is forbidden: User "ci" cannot list')
    done = rynxs("log", "tail", *ON)
    assert (done.code, done.err) == (1, 'rynxs: context prod: GET /x: pods is forbidden: User "ci" cannot list\n')


def test_an_api_server_that_is_away(rynxs, cluster) -> None:
    cluster.api.refuse["list", "pods"] = httpx2.ConnectError("refused")
    assert rynxs("exec", *ON, "dev", "--", "ls").err == "rynxs: context prod: refused\n"


def test_a_forward_that_fails_says_why(rynxs, cluster, server) -> None:
    def cut(request):
        raise httpx2.ReadError("")

    server.answer = cut
    assert rynxs("log", "tail", *ON).err == "rynxs: the gateway: ReadError\n"
    cluster.problem = 'pods "x" is forbidden'
    done = rynxs("exec", *ON, "dev", "--", "ls")
    assert done.code == 125
    assert done.err == (
        'rynxs: context prod: no way to port 8443 of pod rynxs-system/rynxs-gateway-x: pods "x" is forbidden\n'
    )


def test_apply(rynxs, cluster, server, file) -> None:
    done = rynxs("apply", "-f", str(file), *ON)
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert first == "agent/dev created"
    assert second.startswith("agentpolicy/coder created        policy sha256:")
    assert second.endswith("... (1 rule)")
    assert server.requests == []
    items = json.loads(rynxs("apply", "-f", str(file), *ON, "-o", "json").out)["items"]
    assert [(item["object"], item["result"]) for item in items] == [
        ("agent/dev", "configured"),
        ("agentpolicy/coder", "configured"),
    ]


def test_what_is_wrong_with_a_file_is_said_before_anything_is_asked(rynxs, cluster, file) -> None:
    file.write_text(CODER.replace('"true"', "acton.tool == 'x'") + "---\nkind: Agent\n")
    done = rynxs("apply", "-f", str(file), *ON)
    assert done.code == 1
    first, second = done.err.splitlines()
    assert first.startswith(f"rynxs: {file}, document 2 (agentpolicy/coder), spec.rules[0].when: ")
    assert "did you mean 'action'?" in first
    assert second == f"rynxs: {file}, document 3, apiVersion: is required"
    assert cluster.api.calls == []


def test_an_object_that_the_cluster_refuses(rynxs, cluster, file) -> None:
    cluster.api.refuse["try", "agents"] = refused("PATCH", message='namespaces "team-a" not found')
    done = rynxs("apply", "-f", str(file), *ON)
    assert (done.code, done.err) == (
        1,
        f'rynxs: {file}: agent/dev: namespaces "team-a" not found. Nothing was applied\n',
    )


def agent(name, age, **status):
    created = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "namespace": "team-a", "uid": "u", "creationTimestamp": created, "managedFields": []}
    return {"apiVersion": "v", "kind": "Agent", "metadata": metadata, "spec": {"image": "i"}} | (
        {"status": status} if status else {}
    )


def test_get_agents(rynxs, cluster) -> None:
    assert rynxs("get", "agents", *ON).out == "NAMESPACE  NAME  PHASE  COMPUTER  POLICY  AGE\n"
    made = [
        agent("dev", 3 * 86400 + 5, phase="Ready", computer="dev-7c9f4", policy="ok"),
        agent("new", 5),
        agent("x", 3700, phase="Pending", computer="", policy="broken"),
        agent("y", 130, phase="Failed"),
    ]
    for item in made:
        cluster.api.objects["agents", "team-a", item["metadata"]["name"]] = item
    assert [line.split() for line in rynxs("get", "agents", *ON).out.splitlines()[1:]] == [
        ["team-a", "dev", "Ready", "dev-7c9f4", "ok", "3d"],
        ["team-a", "new", "-", "-", "-", "5s"],
        ["team-a", "x", "Pending", "-", "broken", "1h"],
        ["team-a", "y", "Failed", "-", "-", "2m"],
    ]
    first, *_ = json.loads(rynxs("get", "agents", *ON, "-n", "team-a", "-o", "json").out)["items"]
    assert first["agent"] == {
        "apiVersion": "v",
        "kind": "Agent",
        "metadata": {"name": "dev", "namespace": "team-a"},
        "spec": {"image": "i"},
    }
    assert (first["uid"], first["status"]["phase"]) == ("u", "Ready")
    assert len(rynxs("get", "agents", *ON, "-n", "other").out.splitlines()) == 1


def test_delete(rynxs, cluster, file) -> None:
    rynxs("apply", "-f", str(file), *ON)
    assert rynxs("delete", "agent", "dev", "-n", "team-a", *ON).out == "agent/dev deleted\n"
    said = json.loads(rynxs("delete", "policy", "coder", "-n", "team-a", *ON, "-o", "json").out)
    assert said == {"object": "agentpolicy/coder", "namespace": "team-a", "result": "deleted"}
    gone = rynxs("delete", "agent", "dev", "-n", "team-a", *ON)
    assert (gone.code, gone.err) == (1, "rynxs: there is no agent dev in namespace team-a\n")
    assert rynxs("delete", "clusterpolicy", "all", *ON).err == "rynxs: there is no clusteragentpolicy all\n"
    cluster.api.refuse["get", "agents"] = refused("GET")
    assert "agents is forbidden" in rynxs("delete", "agent", "dev", *ON).err


def test_delete_of_a_cluster_policy_at_a_server(rynxs, server) -> None:
    server.says(200, {"object": "x"})
    assert rynxs("delete", "clusterpolicy", "all").out == "clusteragentpolicy/all deleted\n"
    assert (server.requests[0].method, server.requests[0].url.path) == ("DELETE", "/v1/policies/all")
