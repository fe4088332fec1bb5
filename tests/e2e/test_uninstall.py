"""Uninstalling, and installing again. It is the last of these tests: the others share the installation that it ends."""

from __future__ import annotations

from e2e.conftest import SYSTEM
from e2e.manifests import agent, policy


def test_uninstalling_leaves_what_is_the_customers(rynxs, team) -> None:
    rynxs.cluster.apply(agent(team) + "---" + policy(team))
    caller = rynxs.caller("ci", team, "user", "reach", "audit")
    rynxs.ready("dev", team)
    caller.rynxs("exec", "-n", team, "dev", "--", "sh", "-c", "echo kept > file")
    rynxs.uninstall()
    crds = rynxs.cluster.kubectl("get", "crds", "-o", "name")
    for kind in ("agents", "agentpolicies", "clusteragentpolicies"):
        assert f"{kind}.rynxs.dev" in crds
    assert rynxs.get("agent", "dev", team)["status"]["phase"] == "Ready"
    assert [claim["metadata"]["name"] for claim in rynxs.list("pvc", team)] == ["dev-workspace"]
    assert rynxs.list("pvc", SYSTEM), "the log's own volume stays"
    rynxs.wait(
        "nothing of the release runs", lambda: not rynxs.list("pods", SYSTEM, "app.kubernetes.io/instance=rynxs")
    )
    rynxs.install()
    assert caller.rynxs("exec", "-n", team, "dev", "--", "cat", "file").stdout == "kept\n"
    caller.rynxs("log", "verify")
