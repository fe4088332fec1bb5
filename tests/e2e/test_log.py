"""The log in the cluster's S3 store: read and verified from outside."""

from __future__ import annotations

from e2e.manifests import agent, policy


def test_the_log_is_verified_on_s3(rynxs, team) -> None:
    rynxs.cluster.apply(agent(team) + "---" + policy(team))
    auditor = rynxs.caller("auditor", team, "user", "reach", "audit")
    rynxs.ready("dev", team)
    auditor.rynxs("exec", "-n", team, "dev", "--", "ls")
    lines = auditor.rynxs("log", "verify").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["operator", "shard-0"]
    assert all("chain ok  signatures ok" in line for line in lines)
    tail = auditor.rynxs("log", "tail", "-l", "5").stdout
    assert "action.decided" in tail
    assert f"system:serviceaccount:{team}:auditor" in tail
