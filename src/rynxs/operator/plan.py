"""The plan of one agent: a pure function of an observation to steps and the status that is to be shown."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct

from rynxs.api.status import AgentStatus, Condition, with_condition
from rynxs.operator.observation import Observation, Pod

RETRY = 10.0
"""Seconds after the end of a computer that ran for less than STEADY before the next one is started."""

STEADY = 60.0
"""Seconds after which a computer counts as one that had worked."""


class MakeWorkspace(Struct, frozen=True, kw_only=True, tag_field="step", tag="make workspace"):
    """Create the volume claim, or bring it to the spec with that digest."""

    digest: str


class MakeNetwork(Struct, frozen=True, kw_only=True, tag_field="step", tag="make network"):
    """Create the network policy that closes the computer's pod, or restore it."""

    digest: str


class StartComputer(Struct, frozen=True, kw_only=True, tag_field="step", tag="start computer"):
    """Create certificate and pod of that number."""

    name: str
    number: int
    digest: str


class EndComputer(Struct, frozen=True, kw_only=True, tag_field="step", tag="end computer"):
    """Delete the pod, of this uid and no other, and its certificate."""

    name: str
    uid: str
    reason: str


Step = MakeWorkspace | MakeNetwork | StartComputer | EndComputer


class Plan(Struct, frozen=True, kw_only=True):
    """`steps` in their order, the `status` to show, and in how many seconds to look `again` whatever happens."""

    steps: list[Step]
    status: AgentStatus
    again: float | None = None


def plan(seen: Observation) -> Plan:
    """What to do for the agent now."""
    steps: list[Step] = []
    if seen.workspace != seen.wanted.workspace:
        steps.append(MakeWorkspace(digest=seen.wanted.workspace))
    if seen.network != seen.wanted.network:
        steps.append(MakeNetwork(digest=seen.wanted.network))
    last = max([seen.status.computers, *(pod.number for pod in seen.pods)])
    again = None
    running = [pod for pod in seen.pods if pod.state in ("Ready", "Starting")]
    current = running[-1] if running else None
    for pod in seen.pods:
        if pod in running[:-1]:
            steps.append(EndComputer(name=pod.name, uid=pod.uid, reason="there is a newer computer"))
        elif pod is current and pod.spec != seen.wanted.computer:
            steps.append(EndComputer(name=pod.name, uid=pod.uid, reason="the agent's spec has changed"))
        elif pod.state == "Ended":
            wait = _wait(pod, seen.now)
            if wait > 0:
                again = wait
            else:
                steps.append(EndComputer(name=pod.name, uid=pod.uid, reason=_why(pod)))
    started: StartComputer | None = None
    if not seen.pods:
        name = computer_name(seen.name, seen.uid, last + 1)
        started = StartComputer(name=name, number=last + 1, digest=seen.wanted.computer)
        steps.append(started)
    status = _status(seen, current, started, max(last, started.number if started else 0))
    return Plan(steps=steps, status=status, again=again)


def computer_name(agent: str, uid: str, number: int) -> str:
    """The name of the agent's pod of that number: the same whoever works it out, and another for each number."""
    said = hashlib.sha256(f"{uid}/{number}".encode()).hexdigest()
    return f"{agent}-{said[:5]}"


def _wait(pod: Pod, now: str) -> float:
    if pod.seconds >= STEADY or not pod.ended:
        return 0.0
    return RETRY - (datetime.fromisoformat(now) - datetime.fromisoformat(pod.ended)).total_seconds()


def _why(pod: Pod) -> str:
    return f"its walls have holes: {pod.hole}" if pod.hole else pod.problem or "it has ended"


def _status(seen: Observation, current: Pod | None, started: StartComputer | None, computers: int) -> AgentStatus:
    pod = current or (seen.pods[-1] if seen.pods else None)
    ready = current is not None and current.state == "Ready"
    conditions = list(seen.status.conditions)
    for new in (_walls(seen, pod, ready), _ready(pod, started), _policy(seen)):
        conditions = with_condition(
            conditions, msgspec.structs.replace(new, observed_generation=seen.generation), seen.now
        )
    failed = pod is not None and (pod.state == "Ended" or bool(pod.problem))
    return AgentStatus(
        observed_generation=seen.generation,
        phase="Ready" if ready else "Failed" if failed else "Pending",
        computer=pod.name if pod else started.name if started else "",
        computers=computers,
        workspace=workspace_name(seen.name),
        policy=seen.policy,
        conditions=conditions,
    )


def workspace_name(agent: str) -> str:
    """The name of the agent's volume claim."""
    return f"{agent}-workspace"


def _walls(seen: Observation, pod: Pod | None, ready: bool) -> Condition:
    if pod is not None and pod.hole:
        message = f"computer {pod.name} can reach what it must not: {pod.hole}"
        return Condition(type="WallsUp", status="False", reason="Reachable", message=message)
    if ready:
        return Condition(type="WallsUp", status="True", reason="Probed", message="nothing that must not answer does")
    for old in seen.status.conditions:
        if old.type == "WallsUp" and old.status == "False":
            return old  # until a computer is found to be closed in
    return Condition(type="WallsUp", status="Unknown", reason="NotProbed", message="no computer has been probed yet")


def _ready(pod: Pod | None, started: StartComputer | None) -> Condition:
    if pod is None:
        message = f"computer {started.name} is being made" if started else "there is no computer"
        return Condition(type="Ready", status="False", reason="Starting", message=message)
    if pod.state == "Ready":
        return Condition(type="Ready", status="True", reason="Running", message=f"computer {pod.name} is ready")
    if pod.hole:
        return Condition(type="Ready", status="False", reason="WallDown", message=_why(pod))
    if pod.state == "Ended":
        return Condition(type="Ready", status="False", reason="ComputerEnded", message=_why(pod))
    if pod.state == "Leaving":
        message = f"computer {pod.name} is being removed; the next one starts when it is gone"
        return Condition(type="Ready", status="False", reason="Replacing", message=message)
    return Condition(
        type="Ready", status="False", reason="Starting", message=pod.problem or f"computer {pod.name} is starting"
    )


def _policy(seen: Observation) -> Condition:
    if seen.policy == "broken":
        reason = "RuleDoesNotCompile" if ' rule "' in seen.policy_problem else "PolicyBroken"
        return Condition(type="PolicyValid", status="False", reason=reason, message=seen.policy_problem)
    if seen.policy == "none":
        message = "no policy selects the agent: every action is denied"
        return Condition(type="PolicyValid", status="False", reason="NoPolicy", message=message)
    return Condition(type="PolicyValid", status="True", reason="Compiled", message="all its policies compile")
