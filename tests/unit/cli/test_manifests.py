"""`rynxs apply`, `get` and `delete`: what is sent, and lines as in the tour."""

from __future__ import annotations

import io
import json
import sys

import pytest

AGENT = {
    "uid": "u",
    "created": "2026-11-23T14:00:00Z",
    "agent": {"metadata": {"name": "dev", "namespace": "team-a"}},
}
ITEMS = {
    "items": [
        {
            "object": "agent/dev",
            "namespace": "a",
            "result": "created",
            "note": "",
            "warnings": ["spec.image has no effect"],
        },
        {
            "object": "agentpolicy/coder",
            "namespace": "a",
            "result": "created",
            "note": "policy sha256:4be1... (4 rules)",
        },
    ]
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "coder.yaml"
    path.write_bytes("kind: Agent # ü\n".encode())
    return path


def test_apply(rynxs, server, file) -> None:
    server.says(200, ITEMS)
    done = rynxs("apply", "-f", str(file))
    assert done.code == 0
    assert done.out.splitlines() == [
        "agent/dev created",
        "agentpolicy/coder created        policy sha256:4be1... (4 rules)",
    ]
    assert done.err == "rynxs: agent/dev: spec.image has no effect\n"
    [request] = server.requests
    assert (request.method, request.url.path, request.url.params["source"]) == ("POST", "/v1/manifests", str(file))
    assert request.content == file.read_bytes()


def test_apply_as_json(rynxs, server, file) -> None:
    server.says(200, ITEMS)
    assert json.loads(rynxs("apply", "-f", str(file), "-o", "json").out) == ITEMS


def test_apply_from_standard_input(rynxs, server, monkeypatch) -> None:
    server.says(200, {"items": []})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kind: Agent\n")))
    assert rynxs("apply", "-f", "-").code == 0
    assert (server.requests[0].url.params["source"], server.requests[0].content) == ("standard input", b"kind: Agent\n")


def test_every_error_of_a_file_has_a_line(rynxs, server, file) -> None:
    server.says(400, {"detail": "one\ntwo", "errors": ["coder.yaml, document 1: one", "coder.yaml, document 2: two"]})
    done = rynxs("apply", "-f", str(file))
    assert (done.code, done.out) == (1, "")
    assert done.err == "rynxs: coder.yaml, document 1: one\nrynxs: coder.yaml, document 2: two\n"


@pytest.mark.parametrize(
    ("path", "reason"), [("nowhere.yaml", "nowhere.yaml can't be read: No such file"), (".", "is a directory")]
)
def test_a_file_that_can_not_be_read(rynxs, server, path, reason) -> None:
    done = rynxs("apply", "-f", path)
    assert done.code in (1, 2)
    assert reason in done.err
    assert server.requests == []


def test_another_refusal(rynxs, server, file) -> None:
    server.refuses(503, "the log has not answered for 5 s (shard-0). Nothing was run.")
    done = rynxs("apply", "-f", str(file))
    assert (done.code, done.err) == (1, "rynxs: the log has not answered for 5 s (shard-0). Nothing was run.\n")


def test_get_agents(rynxs, server) -> None:
    server.says(200, {"items": [AGENT]})
    lines = rynxs("get", "agents").out.splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "CREATED"]
    assert lines[1].split()[:2] == ["team-a", "dev"]
    assert lines[0].index("NAME", 9) == lines[1].index("dev")
    rynxs("get", "agents", "-n", "a/b")
    assert [request.url.raw_path for request in server.requests] == [b"/v1/agents", b"/v1/namespaces/a%2Fb/agents"]


def test_get_agents_as_json(rynxs, server) -> None:
    server.says(200, {"items": [AGENT]})
    assert json.loads(rynxs("get", "agents", "-o", "json").out) == {"items": [AGENT]}


@pytest.mark.parametrize(
    ("kind", "path", "shown"), [("agent", "agents", "agent"), ("policy", "policies", "agentpolicy")]
)
def test_delete(rynxs, server, kind, path, shown) -> None:
    server.says(200, {"object": "x"})
    done = rynxs("delete", kind, "dev?x", "-n", "team-a")
    assert (done.code, done.out) == (0, f"{shown}/dev?x deleted\n")
    [request] = server.requests
    assert (request.method, request.url.raw_path) == ("DELETE", f"/v1/namespaces/team-a/{path}/dev%3Fx".encode())
    assert json.loads(rynxs("delete", kind, "dev", "-o", "json").out) == {"object": "x"}
    server.refuses(404, "there is none")
    gone = rynxs("delete", kind, "dev")
    assert (gone.code, gone.out, gone.err) == (1, "", "rynxs: there is none\n")
