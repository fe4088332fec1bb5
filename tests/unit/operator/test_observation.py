"""What is read out of pods and network policies, and what is not believed."""

from __future__ import annotations

import pytest

from rynxs.operator.observation import MOST_PODS, digest, made_from, network_digest, pods_of

UID = "agent-uid"


def item(name="dev-1", uid=UID, annotations=None, status=None, **metadata):
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "annotations": {"rynxs.dev/computer-number": "1", "rynxs.dev/spec": "C"} | (annotations or {}),
            "ownerReferences": [{"uid": uid, "controller": True}],
            **metadata,
        },
        "status": status or {},
    }


def one(**more):
    [found] = pods_of(UID, [item(**more)])
    return found


def container(name, **state):
    return {"name": name, "state": state}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "Starting"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}, "Starting"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, "Ready"),
        ({"phase": "Failed"}, "Ended"),
        ({"phase": "Succeeded"}, "Ended"),
    ],
)
def test_states(status, state) -> None:
    assert one(status=status).state == state
    assert one(status=status, deletionTimestamp="2026-11-23T14:00:00Z").state == "Leaving"


def test_only_what_the_agent_owns_is_its() -> None:
    stranger = item("stranger", uid="another")
    nobody = item("nobody", ownerReferences=None)
    assert [pod.name for pod in pods_of(UID, [stranger, item(), nobody])] == ["dev-1"]


def test_the_newest_few_count() -> None:
    items = [item(f"dev-{n}", annotations={"rynxs.dev/computer-number": str(n)}) for n in range(30, 0, -1)]
    found = pods_of(UID, items)
    assert [pod.number for pod in found] == list(range(31 - MOST_PODS, 31))


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "9" * 30, "²", "1_0"])
def test_numbers_that_nobody_of_us_wrote(number) -> None:
    assert one(annotations={"rynxs.dev/computer-number": number}).number == 0


def test_texts_are_cut() -> None:
    pod = one(annotations={"rynxs.dev/spec": "x" * 9999}, status={"reason": "Evicted", "message": "y" * 9999})
    assert len(pod.spec) == len(pod.problem) == 400


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({"reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
                ]
            },
            "Unschedulable: no node",
        ),
        (
            {"containerStatuses": [container("computer", waiting={"reason": "ImagePullBackOff", "message": "no"})]},
            "container computer: ImagePullBackOff: no",
        ),
        ({"containerStatuses": [container("computer", waiting={"reason": "ContainerCreating"})]}, ""),
        (
            {"initContainerStatuses": [container("prepare", terminated={"exitCode": 1, "reason": "Error"})]},
            "container prepare ended with 1: Error",
        ),
        (
            {"containerStatuses": [container("computer", terminated={"exitCode": 137, "reason": "OOMKilled"})]},
            "container computer ended with 137: OOMKilled",
        ),
        ({"containerStatuses": [container("computer", terminated={"exitCode": 0})]}, ""),
        ({"conditions": None, "containerStatuses": None, "initContainerStatuses": None}, ""),
    ],
)
def test_problems(status, problem) -> None:
    assert one(status=status).problem == problem


def test_how_long_it_ran() -> None:
    ended = {"exitCode": 0, "startedAt": "2026-11-23T14:00:00Z", "finishedAt": "2026-11-23T14:01:30Z"}
    pod = one(status={"phase": "Succeeded", "containerStatuses": [container("computer", terminated=ended)]})
    assert (pod.seconds, pod.ended) == (90.0, "2026-11-23T14:01:30Z")


@pytest.mark.parametrize(
    ("ended", "hole"),
    [
        ({"exitCode": 0}, ""),
        ({"exitCode": 1, "message": "DNS answers at 10.0.0.1:53"}, "DNS answers at 10.0.0.1:53"),
        ({"exitCode": 2}, "it did not say what"),
    ],
)
def test_holes(ended, hole) -> None:
    pod = one(status={"phase": "Failed", "initContainerStatuses": [container("walls", terminated=ended)]})
    assert pod.hole == hole


def test_what_things_were_made_from() -> None:
    assert made_from(None) is None
    assert made_from({"metadata": {}}) == ""
    assert made_from(item()) == "C"


def test_a_network_policy_is_what_its_rules_are() -> None:
    closed = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    assert network_digest(None) is None
    as_stored = {"policyTypes": ["Egress"], "podSelector": {}}
    assert network_digest({"spec": closed}) == network_digest({"spec": as_stored})
    for change in ({"egress": [{}]}, {"policyTypes": ["Ingress"]}, {"podSelector": {"matchLabels": {"a": "b"}}}):
        changed = {"spec": {**closed, **change}, "metadata": {"annotations": {"rynxs.dev/spec": digest(closed)}}}
        assert network_digest(changed) != network_digest({"spec": closed})
