"""The plan of one agent, as the pure function that it is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rynxs.api.status import AgentStatus, Condition
from rynxs.operator.observation import MOST_PODS, Observation, Pod, Wanted
from rynxs.operator.plan import (
    RETRY,
    EndComputer,
    MakeNetwork,
    MakeWorkspace,
    StartComputer,
    computer_name,
    plan,
)

UID = "5b9d2c52-0000-4000-8000-000000000001"


def pod(number=1, state="Ready", spec="C", **more):
    return Pod(name=f"dev-{number}", uid=f"pod-{number}", number=number, spec=spec, state=state, **more)


def condition(made, type_):
    found = next(each for each in made.status.conditions if each.type == type_)
    return found.status, found.reason, found.message


def test_all_is_made_in_the_order_in_which_it_is_needed(seen) -> None:
    """The network policy is there before the pod is: a pod without one would have no walls."""
    made = plan(seen(workspace=None, network=None))
    name = computer_name("dev", UID, 1)
    assert made.steps == [
        MakeWorkspace(digest="W"),
        MakeNetwork(digest="N"),
        StartComputer(name=name, number=1, digest="C"),
    ]
    assert (made.status.phase, made.status.computer, made.status.computers) == ("Pending", name, 1)
    assert made.status.workspace == "dev-workspace"
    assert condition(made, "Ready") == ("False", "Starting", f"computer {name} is being made")
    assert condition(made, "WallsUp")[:2] == ("Unknown", "NotProbed")


def test_nothing_is_done_while_all_is_well(seen) -> None:
    made = plan(seen(pods=[pod()], status=AgentStatus(computers=1)))
    assert (made.steps, made.again) == ([], None)
    assert (made.status.phase, made.status.computer) == ("Ready", "dev-1")
    assert condition(made, "WallsUp")[:2] == ("True", "Probed")
    assert all(each.observed_generation == 3 for each in made.status.conditions)


@pytest.mark.parametrize(("change", "step"), [("workspace", MakeWorkspace), ("network", MakeNetwork)])
@pytest.mark.parametrize("there", [None, "other", ""])
def test_what_is_not_as_it_should_be_is_made_so(seen, change, step, there) -> None:
    made = plan(seen(pods=[pod()], **{change: there}))
    assert [type(each) for each in made.steps] == [step]


def test_a_computer_of_another_spec_ends_first(seen) -> None:
    made = plan(seen(pods=[pod(spec="old")]))
    assert made.steps == [EndComputer(name="dev-1", uid="pod-1", reason="the agent's spec has changed")]


def test_no_computer_starts_while_one_leaves(seen) -> None:
    """Two on one workspace would be worse than none."""
    made = plan(seen(pods=[pod(state="Leaving")]))
    assert made.steps == []
    assert condition(made, "Ready")[:2] == ("False", "Replacing")


def test_of_two_that_run_the_older_one_ends(seen) -> None:
    made = plan(seen(pods=[pod(1), pod(2, "Starting")]))
    assert made.steps == [EndComputer(name="dev-1", uid="pod-1", reason="there is a newer computer")]
    assert made.status.computer == "dev-2"


def test_numbers_are_never_given_twice(seen) -> None:
    for observed in (seen(status=AgentStatus(computers=7)), seen(status=AgentStatus(computers=7), pods=[])):
        [step] = plan(observed).steps
        assert step.number == 8
    assert computer_name("dev", UID, 7) != computer_name("dev", UID, 8)
    assert computer_name("dev", UID, 7) != computer_name("dev", "other", 7)


@pytest.mark.parametrize(
    ("seconds", "ended", "again"),
    [
        (5.0, "2026-11-23T14:01:58Z", RETRY - 2),
        (5.0, "2026-11-23T14:01:50Z", None),
        (90.0, "2026-11-23T14:01:59Z", None),
        (0.0, "", None),
    ],
)
def test_one_that_ends_soon_is_not_replaced_at_once(seen, seconds, ended, again) -> None:
    made = plan(seen(pods=[pod(state="Ended", seconds=seconds, ended=ended, problem="container computer: OOMKilled")]))
    assert made.again == again
    assert made.steps == ([] if again else [EndComputer(name="dev-1", uid="pod-1", reason=made.steps[0].reason)])
    assert condition(made, "Ready") == ("False", "ComputerEnded", "container computer: OOMKilled")
    assert made.status.phase == "Failed"


def test_a_hole_is_said_until_a_computer_is_closed_in(seen) -> None:
    hole = "the kubelet answers at 192.0.2.1:10250"
    made = plan(seen(pods=[pod(state="Ended", hole=hole)]))
    assert condition(made, "WallsUp") == ("False", "Reachable", f"computer dev-1 can reach what it must not: {hole}")
    assert condition(made, "Ready")[1] == "WallDown"
    again = plan(seen(status=made.status, pods=[pod(2, "Starting")]))
    assert condition(again, "WallsUp")[2] == f"computer dev-1 can reach what it must not: {hole}"
    better = plan(seen(status=again.status, pods=[pod(2)]))
    assert condition(better, "WallsUp")[0] == "True"


@pytest.mark.parametrize(
    ("policy", "problem", "said"),
    [
        ("ok", "", ("True", "Compiled")),
        ("none", "", ("False", "NoPolicy")),
        ("broken", 'agentpolicy/x rule "net": no such field', ("False", "RuleDoesNotCompile")),
        ("broken", "agentpolicy/x spec.rules: is required", ("False", "PolicyBroken")),
    ],
)
def test_its_policies(seen, policy, problem, said) -> None:
    made = plan(seen(policy=policy, policy_problem=problem))
    assert condition(made, "PolicyValid")[:2] == said
    assert problem in condition(made, "PolicyValid")[2]
    assert made.status.policy == policy


def test_a_problem_of_a_pod_that_starts_is_said(seen) -> None:
    made = plan(seen(pods=[pod(state="Starting", problem="Unschedulable: 0/2 nodes are available")]))
    assert condition(made, "Ready") == ("False", "Starting", "Unschedulable: 0/2 nodes are available")
    assert made.steps == []


states = st.sampled_from(["Starting", "Ready", "Ended", "Leaving"])
texts = st.text(max_size=20)
digests = st.sampled_from(["W", "N", "C", "other"])
pods = st.builds(
    Pod,
    name=st.from_regex(r"dev-[0-9a-f]{5}", fullmatch=True),
    uid=texts,
    number=st.integers(0, 10**9 - 1),
    spec=digests,
    state=states,
    problem=texts,
    hole=texts,
    ended=st.sampled_from(["", "2026-11-23T14:01:58Z", "2026-11-23T13:00:00Z"]),
    seconds=st.floats(0, 1e6),
)
conditions = st.builds(
    Condition,
    type=st.sampled_from(["Ready", "WallsUp", "PolicyValid", "Other"]),
    status=st.sampled_from(["True", "False", "Unknown"]),
    reason=st.just("X"),
    message=texts,
    last_transition_time=st.just("2026-11-23T13:00:00Z"),
)
observations = st.builds(
    Observation,
    namespace=st.just("team-a"),
    name=st.just("dev"),
    uid=texts,
    generation=st.integers(1, 9),
    wanted=st.just(Wanted(workspace="W", network="N", computer="C")),
    status=st.builds(AgentStatus, computers=st.integers(0, 10**9), conditions=st.lists(conditions, max_size=4)),
    policy=st.sampled_from(["ok", "broken", "none"]),
    policy_problem=texts,
    pods=st.lists(pods, max_size=MOST_PODS),
    workspace=st.none() | digests,
    network=st.none() | digests,
    now=st.just("2026-11-23T14:02:00Z"),
)


@given(observations)
def test_what_always_holds(seen) -> None:
    made = plan(seen)
    starts = [step for step in made.steps if isinstance(step, StartComputer)]
    assert len(starts) == (not seen.pods)
    assert all(step.number > seen.status.computers for step in starts)
    assert made.status.computers >= seen.status.computers
    ended = {step.uid for step in made.steps if isinstance(step, EndComputer)}
    assert ended <= {each.uid for each in seen.pods if each.state != "Leaving"}
    ready = next(each for each in made.status.conditions if each.type == "Ready")
    assert (made.status.phase == "Ready") == (ready.status == "True")
    again = msgspec.convert(msgspec.json.decode(msgspec.json.encode(seen)), Observation)
    assert plan(again) == made
