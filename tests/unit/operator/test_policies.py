"""Policies of an API server: compiled as they stand, and denied by when in doubt."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import yaml
from unit.cluster.kubernetes import Kubernetes

from rynxs.action.request import Principal
from rynxs.action.tool import FileList
from rynxs.api.agent import Agent
from rynxs.api.metadata import Metadata
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy
from rynxs.operator import policies as policies_module
from rynxs.operator.policies import NotSynced, Policies, read_policy
from rynxs.policy.rule import BrokenPolicy

pytestmark = pytest.mark.looptime

OWN = "apis/rynxs.dev/v1alpha1/agentpolicies"
CLUSTER = "apis/rynxs.dev/v1alpha1/clusteragentpolicies"
NAMESPACES = "api/v1/namespaces"
DEV = Agent(metadata=Metadata(name="dev", namespace="team-a", labels={"role": "coder"}))


def policy(name, *, namespace="team-a", effect="Allow", when="true", **spec):
    rule = {"name": "r", "tools": ["file_list"], "when": when, "effect": effect}
    metadata = {"name": name, "managedFields": [], "generation": 1} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "rynxs.dev/v1alpha1",
        "kind": "AgentPolicy" if namespace else "ClusterAgentPolicy",
        "metadata": metadata,
        "spec": {"selector": {}, "rules": [rule], **spec},
    }


def namespace(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


@pytest.fixture
def kubernetes():
    made = Kubernetes()
    made.put(NAMESPACES, namespace("team-a", env="prod"))
    return made


@contextlib.asynccontextmanager
async def watching(kubernetes, **more):
    async with kubernetes.client() as client:
        policies = Policies(client, **more)
        task = asyncio.create_task(policies.run())
        await policies.synced()
        yield policies
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def policies(kubernetes):
    async with watching(kubernetes) as made:
        yield made


def decide(policies):
    decision = policies.engine().decide(DEV, Principal(name="alice"), "file_list", FileList(path="."))
    return decision.effect.value, decision.rule or decision.message


async def settle():
    await asyncio.sleep(1)


async def test_changes_count_when_they_are_heard(kubernetes, policies) -> None:
    assert policies.standing(DEV) == ("none", "")
    kubernetes.put(OWN, policy("a"))
    await settle()
    assert (decide(policies), policies.standing(DEV)) == (("Allow", "a/r"), ("ok", ""))
    kubernetes.put(
        CLUSTER, policy("b", namespace="", effect="Deny", namespaceSelector={"matchLabels": {"env": "prod"}})
    )
    await settle()
    assert decide(policies) == ("Deny", "cluster:b/r")
    kubernetes.put(NAMESPACES, namespace("team-a", env="test"))
    await settle()
    assert decide(policies) == ("Allow", "a/r")
    kubernetes.drop(OWN, "team-a", "a")
    await settle()
    assert decide(policies) == ("Deny", "no policy selects agent dev")


async def test_a_broken_policy(kubernetes, policies) -> None:
    kubernetes.put(OWN, policy("a", when="tru"))
    await settle()
    problem = """agentpolicy/a rule "r": undeclared reference to 'tru'"""
    assert policies.standing(DEV) == ("broken", problem)
    assert decide(policies) == ("Deny", f"everything is denied: {problem}")


async def test_a_namespace_that_is_not_known(kubernetes, policies) -> None:
    kubernetes.put(OWN, policy("a"))
    kubernetes.drop(NAMESPACES, "", "team-a")
    await settle()
    assert decide(policies) == ("Deny", "everything is denied: the labels of namespace team-a are not known")


@pytest.mark.parametrize("missing", [OWN, CLUSTER, NAMESPACES])
async def test_nothing_is_decided_before_everything_was_read(kubernetes, missing) -> None:
    answer = kubernetes.handle_async_request

    async def handle(request):
        if request.url.path.strip("/") == missing:
            await asyncio.sleep(5)
        return await answer(request)

    kubernetes.handle_async_request = handle
    async with kubernetes.client() as client:
        policies = Policies(client)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(policies.run())
            await asyncio.sleep(3)
            assert policies.age == float("inf")
            with pytest.raises(NotSynced):
                policies.engine()
            with pytest.raises(NotSynced):
                policies.standing(DEV)
            await asyncio.sleep(3)
            assert policies.engine() is policies.engine()
            assert policies.age == 6
            running.cancel()


async def test_each_policy_is_compiled_once(kubernetes, monkeypatch) -> None:
    compiled = []
    compile_policy = policies_module.compile_policy

    def counting(policy):
        compiled.append(policy.metadata.name)
        return compile_policy(policy)

    monkeypatch.setattr(policies_module, "compile_policy", counting)
    kubernetes.put(OWN, policy("a"))
    kubernetes.put(OWN, policy("b"))
    told = []
    async with watching(kubernetes, changed=lambda: told.append(1)) as policies:
        engine = policies.engine()
        assert sorted(compiled) == ["a", "b"]
        told.clear()
        kubernetes.put(OWN, {**policy("a"), "status": {"rules": 1}})
        await settle()
        assert (policies.engine() is engine, told) == (True, [])
        kubernetes.put(OWN, policy("a", effect="Deny"))
        kubernetes.put(NAMESPACES, namespace("other"))
        await settle()
        assert (decide(policies), compiled[2:], len(told)) == (("Deny", "a/r"), ["a"], 2)
        kubernetes.put(OWN, policy("b") | {"metadata": {"name": "b", "namespace": "team-a", "uid": "another"}})
        await settle()
        policies.engine()
        assert compiled[3:] == ["b"]


def test_a_policy_of_another_version_is_broken_and_keeps_its_selectors() -> None:
    assert isinstance(read_policy(policy("a")), AgentPolicy)
    assert isinstance(read_policy(policy("a", namespace="")), ClusterAgentPolicy)
    selector = {"matchLabels": {"role": "coder"}}
    broken = read_policy(policy("a", selector=selector, mode="Audit"))
    assert isinstance(broken, BrokenPolicy)
    assert (broken.kind, broken.namespace, broken.name) == ("AgentPolicy", "team-a", "a")
    assert broken.selector.match_labels == {"role": "coder"}
    assert str(broken.problem) == "spec.mode: 'Audit' is not supported; this version knows Enforce"
    of_cluster = read_policy(policy("a", namespace="", egress=[], namespaceSelector=selector, selector=selector))
    assert (of_cluster.kind, of_cluster.namespace) == ("ClusterAgentPolicy", "")
    assert of_cluster.namespace_selector.match_labels == of_cluster.selector.match_labels == {"role": "coder"}


@pytest.mark.parametrize("selector", ["[]", "{matchLabel: {}}", "{matchLabels: {a: 'b c'}}", "null"])
def test_a_selector_that_can_not_be_read_selects_everything(selector) -> None:
    broken = read_policy(policy("a", selector=yaml.safe_load(selector), namespaceSelector=1))
    assert isinstance(broken, BrokenPolicy)
    assert (broken.selector, broken.namespace_selector) == (None, None)


@pytest.mark.parametrize("spec", [None, [], "x", {}])
def test_what_is_no_spec_at_all(spec) -> None:
    broken = read_policy(policy("a") | {"spec": spec})
    assert isinstance(broken, BrokenPolicy)
    assert broken.selector is None
