"""The registry: plans, changes that are all or nothing, and a file that is damaged."""

from __future__ import annotations

import json

import pytest

from rynxs.api.manifest import parse
from rynxs.gateway.refusal import NotFound
from rynxs.local import registry as registry_module
from rynxs.local.registry import LocalRegistry

DEV = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: dev}\n"
WEB = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: web, namespace: a}\n"
POLICY = (
    "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: p}\n"
    "spec: {selector: {}, rules: [{name: r, tools: [file_list], when: 'true', effect: Allow}]}\n"
)


def read(*documents: str):
    return parse("---\n".join(documents), "test")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "objects.json"


def test_nothing_yet(file) -> None:
    registry = LocalRegistry(file)
    assert registry.agents() == []
    with pytest.raises(NotFound, match="there is no agent dev in namespace default"):
        registry.agent("default", "dev")
    with pytest.raises(NotFound, match="there is no policy p in namespace default"):
        registry.policy("default", "p")
    assert not file.exists()


def test_a_plan_changes_nothing_and_a_commit_does(file) -> None:
    registry = LocalRegistry(file)
    plan = registry.plan(read(DEV, POLICY))
    assert [change.result for change in plan] == ["created", "created"]
    assert registry.agents() == []
    registry.commit(plan)
    assert [r.agent.metadata.name for r in registry.agents()] == ["dev"]
    assert [change.result for change in registry.plan(read(DEV, POLICY))] == ["unchanged", "unchanged"]
    changed = DEV + "spec: {env: [{name: A, value: b}]}\n"
    assert [change.result for change in registry.plan(read(changed, WEB))] == ["configured", "created"]


def test_it_survives_a_restart(file) -> None:
    first = LocalRegistry(file)
    first.commit(first.plan(read(WEB, DEV, POLICY)))
    second = LocalRegistry(file)
    assert second.agents() == first.agents()
    assert [str(r.ref) for r in second.agents()] == ["a/web", "default/dev"]
    assert second.policy("default", "p") == first.policy("default", "p")
    agent = second.agent("default", "dev").agent
    assert second.engine().hash_for(agent) == first.engine().hash_for(agent)


def test_policies_of_both_levels(file) -> None:
    registry = LocalRegistry(file)
    cluster = POLICY.replace("kind: Agent", "kind: ClusterAgent")
    registry.commit(registry.plan(read(DEV, POLICY, cluster)))
    again = LocalRegistry(file)
    assert [change.result for change in again.plan(read(POLICY, cluster))] == ["unchanged", "unchanged"]
    dev = again.agent("default", "dev").agent
    assert again.engine().selection(dev).names == ("cluster:p", "p")
    again.delete(again.policy("", "p"))
    assert LocalRegistry(file).engine().selection(dev).names == ("p",)
    with pytest.raises(NotFound, match="there is no cluster policy p"):
        again.policy("", "p")


def test_a_change_keeps_the_uid_and_a_new_life_has_another(file) -> None:
    registry = LocalRegistry(file)
    registry.commit(registry.plan(read(DEV)))
    before = registry.agent("default", "dev")
    registry.commit(registry.plan(read(DEV + "spec: {env: [{name: A, value: b}]}\n")))
    after = registry.agent("default", "dev")
    assert (after.uid, after.created) == (before.uid, before.created)
    assert after.agent != before.agent
    registry.delete(after.agent)
    registry.commit(registry.plan(read(DEV)))
    assert registry.agent("default", "dev").uid != before.uid


def test_deleting(file) -> None:
    registry = LocalRegistry(file)
    registry.commit(registry.plan(read(DEV, POLICY)))
    agent = registry.agent("default", "dev").agent
    with_policy = registry.engine().hash_for(agent)
    registry.delete(registry.policy("default", "p"))
    assert registry.engine().hash_for(agent) != with_policy
    registry.delete(agent)
    assert (LocalRegistry(file).agents(), len(json.loads(file.read_bytes())["policies"])) == ([], 0)


def test_a_disk_that_fails_changes_nothing(file, monkeypatch) -> None:
    registry = LocalRegistry(file)
    registry.commit(registry.plan(read(DEV)))
    before = file.read_bytes()

    def fail(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry_module, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        registry.commit(registry.plan(read(WEB, POLICY)))
    with pytest.raises(OSError, match="No space left"):
        registry.delete(registry.agent("default", "dev").agent)
    assert [str(r.ref) for r in registry.agents()] == ["default/dev"]
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["objects.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"agents": [{"uid": "1", "created": "x", "agent": {"metadata": {"name": "NO"}}}]}',
        b'{"agents": [{"uid": "1", "created": "x", "agent": {"metadata": {"name": "a"}, "spec": {"imagee": "x"}}}]}',
    ],
)
def test_a_damaged_file_is_said_so_and_left_alone(file, content) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"objects\.json can't be read \(.*\): restore it from a backup"):
        LocalRegistry(file)
    assert file.read_bytes() == content


def test_a_deleted_agent_is_remembered_until_it_owns_nothing(file) -> None:
    registry = LocalRegistry(file)
    registry.commit(registry.plan(read(DEV)))
    [registered] = registry.agents()
    registry.delete(registered.agent)
    again = LocalRegistry(file)
    assert again.agents() == []
    assert again.leaving() == [registered]
    again.forget(registered.uid)
    assert LocalRegistry(file).leaving() == []
