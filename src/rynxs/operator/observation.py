"""Observations: what of the cluster counts for the plan of one agent, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rynxs.api.status import AgentStatus

Object = dict[str, Any]

NUMBER = "rynxs.dev/computer-number"
"""Annotation of a pod: it is the agent's computer number so many."""

SPEC = "rynxs.dev/spec"
"""Annotation of what is made: the digest of what it was made from."""

COMPUTER = "computer"
WALLS = "walls"
"""Names of a pod's containers."""

MOST_PODS = 4
"""So many of an agent's pods count; it has one, or one that leaves and one that comes."""

_LONGEST = 400


class Pod(Struct, frozen=True, kw_only=True):
    """A computer's pod.

    `problem` says why it does not run, as far as Kubernetes knows; `hole` is what the wall probe found reachable.
    `seconds` is how long its computer ran, once it has ended at `ended` (RFC 3339).
    """

    name: str
    uid: str
    number: int
    spec: str
    state: Literal["Starting", "Ready", "Ended", "Leaving"]
    problem: str = ""
    hole: str = ""
    ended: str = ""
    seconds: float = 0.0


class Wanted(Struct, frozen=True, kw_only=True):
    """Digests of what the agent must have: its volume claim, its network policy, and what its pod is made from."""

    workspace: str
    network: str
    computer: str


class Observation(Struct, frozen=True, kw_only=True):
    """All that the plan of one agent depends on. It is recorded with the plan, so it is small and holds no secret.

    `policy` is what the agent's policies are: ok, broken, or none. `workspace` and `network` are the digests of the
    volume claim and network policy that exist. `now` is RFC 3339.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    wanted: Wanted
    status: AgentStatus
    policy: Literal["ok", "broken", "none"]
    policy_problem: str
    pods: list[Pod]
    workspace: str | None
    network: str | None
    now: str


def pods_of(uid: str, objects: Iterable[Object]) -> list[Pod]:
    """The agent's pods by number, the newest few: those that have it as their owner, whatever else they say."""
    mine = [_pod(item) for item in objects if _owned(item, uid)]
    return sorted(mine, key=lambda pod: (pod.number, pod.name))[-MOST_PODS:]


def is_ready(item: Object) -> bool:
    """Whether Kubernetes says that the pod is ready."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def digest(value: Any) -> str:
    """What a thing was made from, in a word."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


def made_from(item: Object | None) -> str | None:
    """The digest that its maker noted on a thing, or None where there is nothing."""
    return None if item is None else (item["metadata"].get("annotations") or {}).get(SPEC, "")


def network_digest(item: Object | None) -> str | None:
    """The digest of a network policy's rules as they are, whatever is noted on it. Empty lists say nothing."""
    return None if item is None else digest({key: value for key, value in item["spec"].items() if value})


def _owned(item: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or ())


def _pod(item: Object) -> Pod:
    metadata, status = item["metadata"], item.get("status") or {}
    annotations = metadata.get("annotations") or {}
    computer = _container(status.get("containerStatuses"), COMPUTER)
    walls = _container(status.get("initContainerStatuses"), WALLS).get("state", {}).get("terminated", {})
    terminated = computer.get("state", {}).get("terminated", {})
    started, ended = terminated.get("startedAt") or "", terminated.get("finishedAt") or walls.get("finishedAt") or ""
    state: Literal["Starting", "Ready", "Ended", "Leaving"] = "Starting"
    if metadata.get("deletionTimestamp"):
        state = "Leaving"
    elif status.get("phase") in ("Failed", "Succeeded"):
        state = "Ended"
    elif is_ready(item):
        state = "Ready"
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        number=_number(annotations.get(NUMBER, "")),
        spec=annotations.get(SPEC, "")[:_LONGEST],
        state=state,
        problem=_problem(status)[:_LONGEST],
        hole=(walls.get("message") or "it did not say what")[:_LONGEST] if walls.get("exitCode") else "",
        ended=ended,
        seconds=_seconds(started, ended) if started else 0.0,
    )


def _number(text: str) -> int:
    """The number that is noted on a pod; anybody who may edit pods there can write anything."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _container(statuses: Sequence[Object] | None, name: str) -> Object:
    return next((each for each in statuses or () if each["name"] == name), {})


def _problem(status: Object) -> str:
    """The first thing that Kubernetes says is wrong: of the pod, its scheduling, or one of its containers."""
    if status.get("reason") or status.get("message"):
        return f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = each.get("state", {})
        waiting, terminated = state.get("waiting", {}), state.get("terminated", {})
        if waiting.get("reason", "") not in ("", "PodInitializing", "ContainerCreating"):
            return f"container {each['name']}: {waiting['reason']}: {waiting.get('message', '')}".strip(": ")
        if terminated.get("exitCode"):
            said = terminated.get("message", "") or terminated.get("reason", "")
            return f"container {each['name']} ended with {terminated['exitCode']}: {said}".strip(": ")
    return ""


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() if end else 0.0
