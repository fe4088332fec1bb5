"""Agents and policies as gateways see them: watched, and refused once they may be out of date."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from unit.cluster.kubernetes import Kubernetes
from unit.cluster.world import AGENTS, POLICIES

from rynxs.action.decision import Effect
from rynxs.action.request import Principal, parse_args
from rynxs.cluster.registry import MAX_AGE, ClusterRegistry
from rynxs.gateway.refusal import NotFound, Unavailable
from rynxs.kube.reflector import WATCH_SECONDS

pytestmark = pytest.mark.looptime


def agent(name="dev", namespace="team-a", spec=None, **metadata):
    return {
        "apiVersion": "rynxs.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name, "namespace": namespace, "generation": 1, **metadata},
        "spec": spec or {},
    }


def policy(effect, name="p"):
    rule = {"name": "r", "tools": ["shell_exec"], "when": "true", "effect": effect}
    return {
        "apiVersion": "rynxs.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name, "namespace": "team-a", "generation": 1},
        "spec": {"selector": {}, "rules": [rule]},
    }


@pytest.fixture
def kubernetes():
    made = Kubernetes()
    made.put("api/v1/namespaces", {"metadata": {"name": "team-a", "labels": {}}})
    return made


@contextlib.asynccontextmanager
async def registry_of(kubernetes):
    async with kubernetes.client() as client:
        registry = ClusterRegistry(client)
        running = asyncio.create_task(registry.run())
        yield registry
        running.cancel()
        await asyncio.wait([running])


def decide(registry):
    tool, args = parse_args("shell_exec", {"argv": ["ls"]})
    found = registry.agent("team-a", "dev").agent
    return registry.engine().decide(found, Principal(name="alice"), tool.name, args).effect


async def test_what_is_there(kubernetes) -> None:
    kubernetes.put(AGENTS, agent("web", labels={"role": "x"}))
    kubernetes.put(AGENTS, agent("dev"))
    kubernetes.put(AGENTS, agent("dev", "team-0"))
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        assert registry.problem == ""
        assert [str(each.ref) for each in registry.agents()] == ["team-0/dev", "team-a/dev", "team-a/web"]
        found = registry.agent("team-a", "web")
        assert (found.uid, found.created, found.agent.metadata.labels) == (
            "uid-web",
            "2026-11-23T14:00:00Z",
            {"role": "x"},
        )
        with pytest.raises(NotFound, match="there is no agent other in namespace team-a"):
            registry.agent("team-a", "other")


async def test_changes_count(kubernetes) -> None:
    kubernetes.put(AGENTS, agent())
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        assert decide(registry) is Effect.DENY
        kubernetes.put(POLICIES, policy("Allow"))
        await asyncio.sleep(0.1)
        assert decide(registry) is Effect.ALLOW
        kubernetes.put(AGENTS, agent(labels={"a": "b"}))
        await asyncio.sleep(0.1)
        assert registry.agent("team-a", "dev").agent.metadata.labels == {"a": "b"}
        kubernetes.drop(POLICIES, "team-a", "p")
        await asyncio.sleep(0.1)
        assert decide(registry) is Effect.DENY


async def test_an_agent_that_is_being_deleted_is_gone(kubernetes) -> None:
    kubernetes.put(AGENTS, agent(deletionTimestamp="2026-11-23T14:00:00Z"))
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        assert registry.agents() == []
        with pytest.raises(NotFound):
            registry.agent("team-a", "dev")


async def test_a_later_agent_of_a_name_is_another_one(kubernetes) -> None:
    kubernetes.put(AGENTS, agent())
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        assert registry.agent("team-a", "dev").uid == "uid-dev"
        kubernetes.drop(AGENTS, "team-a", "dev")
        kubernetes.put(AGENTS, agent(uid="another"))
        await asyncio.sleep(0.1)
        assert registry.agent("team-a", "dev").uid == "another"


async def test_an_agent_that_can_not_be_read_fails_alone(kubernetes) -> None:
    kubernetes.put(AGENTS, agent("bad", spec={"workspace": {"size": "much"}}))
    kubernetes.put(AGENTS, agent())
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        assert [each.ref.name for each in registry.agents()] == ["dev"]
        with pytest.raises(
            Unavailable, match=r"agent team-a/bad can't be used: spec\.workspace\.size: .*Nothing was run"
        ):
            registry.agent("team-a", "bad")
        kubernetes.put(AGENTS, agent("bad"))
        await asyncio.sleep(0.1)
        assert registry.agent("team-a", "bad").uid == "uid-bad"


async def test_before_the_first_list_nothing_is_decided(kubernetes) -> None:
    kubernetes.down = True
    async with registry_of(kubernetes) as registry:
        await asyncio.sleep(100)
        assert registry.problem == "agents and policies have not been read from the Kubernetes API yet"
        for question in (registry.engine, registry.agents, lambda: registry.agent("team-a", "dev")):
            with pytest.raises(Unavailable, match="have not been read"):
                question()


@pytest.mark.parametrize("silent", ["refuses", "hangs"])
async def test_nothing_is_decided_once_the_api_has_been_silent(kubernetes, silent) -> None:
    kubernetes.put(AGENTS, agent())
    kubernetes.put(POLICIES, policy("Allow"))
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        await asyncio.sleep(1)
        assert decide(registry) is Effect.ALLOW
        if silent == "refuses":
            kubernetes.down = True
            kubernetes.hang_up()
        else:
            kubernetes.silent = True  # watches stay open, and nothing comes
        await asyncio.sleep(MAX_AGE - 2)
        assert decide(registry) is Effect.ALLOW
        await asyncio.sleep(3)
        with pytest.raises(Unavailable, match=r"has been silent for 3\d s: agents and policies may be out of date"):
            decide(registry)
        with pytest.raises(Unavailable):
            registry.engine()
        assert "silent" in registry.problem
        kubernetes.down = kubernetes.silent = False
        kubernetes.hang_up()
        await asyncio.sleep(15)
        assert decide(registry) is Effect.ALLOW


async def test_quiet_is_not_silence(kubernetes) -> None:
    kubernetes.put(AGENTS, agent())
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        for _ in range(10):
            await asyncio.sleep(WATCH_SECONDS)
            kubernetes.hang_up()  # as the server does after so many seconds
            await asyncio.sleep(1)
            assert registry.problem == ""


async def test_what_the_operator_says_of_a_computer(kubernetes) -> None:
    kubernetes.put(AGENTS, agent())
    async with registry_of(kubernetes) as registry:
        await registry.synced()
        found = registry.agent("team-a", "dev")
        assert registry.standing(found) == "the operator has not looked at the agent yet"
        ready = {"type": "Ready", "status": "False", "reason": "Starting", "message": "the image can't be pulled"}
        kubernetes.put(AGENTS, agent() | {"status": {"conditions": [{"type": "WallsUp"}, ready]}})
        await asyncio.sleep(0.1)
        assert registry.standing(found) == "Starting: the image can't be pulled"
        hole = {"type": "WallsUp", "status": "False", "reason": "Reachable", "message": "DNS answers"}
        kubernetes.put(AGENTS, agent() | {"status": {"conditions": [ready, hole]}})
        await asyncio.sleep(0.1)
        assert registry.standing(found) == "Reachable: DNS answers"
        kubernetes.drop(AGENTS, "team-a", "dev")
        await asyncio.sleep(0.1)
        assert registry.standing(found) == "the operator has not looked at the agent yet"
