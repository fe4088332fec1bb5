"""Statuses: as they are on the API server, and those that no plan gives."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rynxs.api.shape import Misshapen
from rynxs.api.status import AgentStatus, Condition, PolicyStatus, with_condition
from rynxs.kube.client import ApiError, Client, Object, Resource
from rynxs.operator.observation import Observation
from rynxs.policy.rule import BrokenPolicy, CompiledPolicy

MOST_SAID = 1024
"""Most characters of a message: statuses are observed again, and what is observed is recorded."""


_OURS = ("WallsUp", "Ready", "PolicyValid")


def status_of(item: Object) -> AgentStatus:
    """The agent's status as it is, as far as we write it; one that we could not have written says nothing."""
    try:
        status = msgspec.convert(item.get("status") or {}, AgentStatus)
    except msgspec.ValidationError:
        return AgentStatus()
    conditions = [
        msgspec.structs.replace(each, message=each.message[:MOST_SAID])
        for each in status.conditions
        if each.type in _OURS
    ]
    return msgspec.structs.replace(status, conditions=conditions[: len(_OURS)])


def refused(status: AgentStatus, error: ApiError, seen: Observation) -> AgentStatus:
    """The status when the API server refused a step: the computer that was to come has no number yet.

    Otherwise each try would be a change, and each change another try.
    """
    new = Condition(
        type="Ready",
        status="False",
        reason="Refused",
        message=f"the API server refused it: {error}"[:MOST_SAID],
        observed_generation=seen.generation,
    )
    return msgspec.structs.replace(
        status,
        phase="Failed",
        computer=seen.pods[-1].name if seen.pods else "",
        computers=max([seen.status.computers, *(pod.number for pod in seen.pods)]),
        conditions=with_condition(status.conditions, new, seen.now),
    )


def invalid(item: Object, misshapen: Misshapen, now: str) -> AgentStatus:
    """The status of an agent that can't be read: nothing is done about it until it is changed."""
    generation = item["metadata"]["generation"]
    new = Condition(
        type="Ready",
        status="False",
        reason="Invalid",
        message=str(misshapen)[:MOST_SAID],
        observed_generation=generation,
    )
    before = status_of(item)
    return msgspec.structs.replace(
        before,
        observed_generation=generation,
        phase="Failed",
        conditions=with_condition(before.conditions, new, now),
    )


def policy_status(item: Object, compiled: CompiledPolicy, now: str) -> PolicyStatus:
    """The status of a policy: whether it can be used."""
    generation, source = item["metadata"]["generation"], compiled.source
    try:
        before = msgspec.convert(item.get("status") or {}, PolicyStatus)
    except msgspec.ValidationError:
        before = PolicyStatus()
    rules = 0 if isinstance(source, BrokenPolicy) else len(source.spec.rules)
    new = Condition(
        type="Valid", status="True", reason="Compiled", message="it is in force", observed_generation=generation
    )
    if compiled.problems:
        new = msgspec.structs.replace(
            new,
            status="False",
            reason="Unreadable" if isinstance(source, BrokenPolicy) else "RuleDoesNotCompile",
            message="; ".join(str(problem) for problem in compiled.problems)[:MOST_SAID],
        )
    return PolicyStatus(
        observed_generation=generation,
        rules=rules,
        conditions=with_condition(before.conditions, new, now),
    )


def time_of(now: datetime) -> str:
    """The time as statuses give it (RFC 3339)."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


async def show(client: Client, resource: Resource, item: Object, status: AgentStatus | PolicyStatus) -> None:
    """Write the status, if it is another, onto this very object. Raises httpx2.HTTPError."""
    said = msgspec.to_builtins(status)
    if item.get("status") != said:
        metadata = item["metadata"]
        # One of the same name may have come since: it has another uid.
        patch = {"metadata": {"uid": metadata["uid"]}, "status": said}
        await client.merge(resource, metadata.get("namespace", ""), metadata["name"], patch, "status")
