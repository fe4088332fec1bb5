"""Targets: which server or cluster a command is for, by one rule."""

from __future__ import annotations

import pytest

LOCAL = "http://127.0.0.1:8765"


@pytest.fixture
def asked(rynxs, server, cluster, monkeypatch):
    """Where `get agents` went."""
    monkeypatch.setenv("RYNXS_TOKEN", "t")
    server.says(200, {"items": []})

    def run(*args):
        del server.requests[:]
        done = rynxs("get", "agents", *args)
        if done.code:
            return done.err
        return str(server.requests[0].url).removesuffix("/v1/agents") if server.requests else "cluster"

    return run


@pytest.mark.parametrize(
    ("args", "environment", "target"),
    [
        ([], {}, LOCAL),
        (["--server", "http://there:1"], {}, "http://there:1"),
        (["--context", "test"], {}, "cluster"),
        (["--kubeconfig", "kubeconfig"], {}, "cluster"),
        ([], {"RYNXS_SERVER": "http://there:1"}, "http://there:1"),
        ([], {"RYNXS_CONTEXT": "test"}, "cluster"),
        ([], {"RYNXS_SERVER": "", "RYNXS_CONTEXT": ""}, LOCAL),
        (["--server", "http://there:1"], {"RYNXS_CONTEXT": "test"}, "http://there:1"),
        (["--context", "test"], {"RYNXS_SERVER": "http://there:1"}, "cluster"),
    ],
)
def test_the_rule(asked, monkeypatch, tmp_path, args, environment, target) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert asked(*args) == target


def test_two_targets_are_none(asked, rynxs, monkeypatch) -> None:
    assert "a server and a context of a cluster were named: name one of them" in asked(
        "--server", "x", "--context", "y"
    )
    done = rynxs("exec", "--server", "x", "--kubeconfig", "y", "dev", "--", "ls")
    assert (done.code, "name one of them (rynxs exec --help)" in done.err) == (125, True)
    monkeypatch.setenv("RYNXS_SERVER", "http://x")
    monkeypatch.setenv("RYNXS_CONTEXT", "y")
    assert "name one of them" in asked()


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--context", "nowhere"], "has no context 'nowhere'; it has prod, test"),
        (["--kubeconfig", "/nowhere"], "kubeconfig /nowhere can't be read"),
    ],
)
def test_a_context_that_is_not_there(asked, args, reason) -> None:
    assert reason in asked(*args)


@pytest.mark.parametrize("command", [["apply"], ["get", "agents"], ["exec"], ["log", "tail"], ["log", "verify"]])
def test_every_help_says_the_rule(rynxs, command) -> None:
    said = " ".join(rynxs(*command, "--help").out.split())
    for part in ("--server URL", "--context NAME", "RYNXS_CONTEXT", "--kubeconfig FILE", "--system-namespace NAME"):
        assert part in said
