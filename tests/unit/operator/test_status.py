"""Statuses that no plan gives, and what is taken over from those that are there."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from rynxs.api.policy import AgentPolicy
from rynxs.api.problem import Problem
from rynxs.api.resource import read_resource
from rynxs.api.shape import Misshapen
from rynxs.api.status import AgentStatus, Condition
from rynxs.eventlog.event import Draft, timestamp, unplaced
from rynxs.kube.client import ApiError, Resource
from rynxs.operator.observation import MOST_PODS, pods_of
from rynxs.operator.status import MOST_SAID, invalid, policy_status, refused, show, status_of
from rynxs.policy.rule import BrokenPolicy, compile_policy

NOW = "2026-11-23T14:02:00Z"
AGENTS = Resource("apis/rynxs.dev/v1alpha1", "agents")


def condition(type_="Ready", status="False", message="m", since="2026-11-23T13:00:00Z"):
    return Condition(type=type_, status=status, reason="Starting", message=message, last_transition_time=since)


def item(status=None, **metadata):
    made = {"metadata": {"name": "dev", "namespace": "team-a", "uid": "u", "generation": 3, **metadata}}
    return made | (
        {"status": msgspec.to_builtins(status)} if isinstance(status, msgspec.Struct) else {"status": status}
    )


@pytest.mark.parametrize("status", [None, {}, {"computers": "x"}, {"conditions": [1]}, "x", {"computers": -1}])
def test_what_we_can_not_have_written_says_nothing(status) -> None:
    assert status_of(item(status)) == AgentStatus()


def test_what_we_wrote_is_taken_over() -> None:
    status = AgentStatus(computers=4, conditions=[condition(), condition("WallsUp")])
    assert status_of(item(status)) == status


def test_what_others_wrote_is_not() -> None:
    status = AgentStatus(conditions=[condition("Theirs"), condition(message="x" * 30_000)])
    [kept] = status_of(item(status)).conditions
    assert (kept.type, len(kept.message)) == ("Ready", MOST_SAID)


def test_the_largest_observation_fits_into_an_event(seen) -> None:
    """A line of the log takes 65,535 bytes; an observation that did not fit would stop the operator."""
    worst = "\x01" * 40_000
    pod = {
        "metadata": {
            "name": "n" * 253,
            "uid": "u" * 36,
            "annotations": {"rynxs.dev/spec": worst},
            "ownerReferences": [{"uid": "me"}],
        },
        "status": {
            "phase": "Failed",
            "message": worst,
            "initContainerStatuses": [
                {"name": "walls", "state": {"terminated": {"exitCode": 1, "message": worst, "finishedAt": NOW}}}
            ],
        },
    }
    types = ("WallsUp", "Ready", "PolicyValid", "Theirs")
    status = AgentStatus(conditions=[condition(each, message=worst[:32_768]) for each in types])
    observed = seen(pods=pods_of("me", [pod] * 100), status=status_of(item(status)), policy_problem=worst[:MOST_SAID])
    assert len(observed.pods) == MOST_PODS
    draft = Draft(type="agent.planned", subject="n" * 63, data={"observed": msgspec.to_builtins(observed)})
    assert unplaced(draft, timestamp(datetime.now(UTC)))


def test_a_refusal(seen) -> None:
    status = AgentStatus(computers=5, computer="dev-5", conditions=[condition()])
    error = ApiError("POST", "/api/v1/pods", 403, "Forbidden", "exceeded quota")
    shown = refused(status, error, seen(status=AgentStatus(computers=4)))
    assert (shown.phase, shown.computers, shown.computer) == ("Failed", 4, "")
    [ready] = shown.conditions
    assert (ready.reason, ready.last_transition_time) == ("Refused", "2026-11-23T13:00:00Z")
    assert "exceeded quota" in ready.message


def test_an_invalid_agent() -> None:
    misshapen = Misshapen([Problem("spec.image", "is not valid")])
    shown = invalid(item(AgentStatus(computers=4)), misshapen, NOW)
    assert (shown.phase, shown.computers, shown.observed_generation) == ("Failed", 4, 3)
    assert [(each.reason, each.message) for each in shown.conditions] == [("Invalid", "spec.image: is not valid")]


def policy(*whens):
    rules = [
        {"name": f"r{n}", "tools": ["shell_exec"], "when": when, "effect": "Allow"} for n, when in enumerate(whens)
    ]
    made = {"apiVersion": "rynxs.dev/v1alpha1", "kind": "AgentPolicy", **item()}
    return {**made, "spec": {"selector": {}, "rules": rules}}


def test_a_policy_that_is_in_force() -> None:
    made = policy("true", "false")
    shown = policy_status(made, compile_policy(read_resource(made, AgentPolicy)), NOW)
    assert (shown.rules, shown.observed_generation) == (2, 3)
    [valid] = shown.conditions
    assert (valid.type, valid.status, valid.reason, valid.last_transition_time) == ("Valid", "True", "Compiled", NOW)


def test_a_policy_that_does_not_compile() -> None:
    made = policy("true", "nothing")
    [valid] = policy_status(made, compile_policy(read_resource(made, AgentPolicy)), NOW).conditions
    assert (valid.status, valid.reason) == ("False", "RuleDoesNotCompile")
    assert valid.message.startswith("spec.rules[1].when: undeclared")


def test_a_policy_that_can_not_be_read() -> None:
    broken = BrokenPolicy(
        kind="AgentPolicy", namespace="team-a", name="x", problem=Problem("spec.rules", "is required")
    )
    made = {**policy(), "status": {"conditions": "x"}}
    shown = policy_status(made, compile_policy(broken), NOW)
    [valid] = shown.conditions
    assert (shown.rules, valid.status, valid.reason) == (0, "False", "Unreadable")
    assert valid.message == "spec.rules: is required"


async def test_it_is_written_only_when_it_is_another(api) -> None:
    status = AgentStatus(computers=1)
    made = await api.create(AGENTS, "team-a", item(None))
    await show(api, AGENTS, made, status)
    assert api.calls[-1] == ("merge", "agents", "dev")
    api.calls.clear()
    await show(api, AGENTS, api.objects["agents", "team-a", "dev"], status)
    assert api.calls == []


async def test_one_of_the_same_name_is_another(api) -> None:
    made = await api.create(AGENTS, "team-a", item(None))
    made["metadata"]["uid"] = "of the one before"
    with pytest.raises(ApiError) as caught:
        await show(api, AGENTS, made, AgentStatus(computers=1))
    assert caught.value.code == 409
