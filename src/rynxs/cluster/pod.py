"""What a computer's pod says of itself, as far as gateways need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rynxs.kube.client import Object
from rynxs.operator.observation import COMPUTER, pods_of

WALLS = {"nonewprivs": "1", "seccomp": "2", "capeff": "0" * 16, "pid": "1", "dumpable": "0"}
"""What a daemon in a pod must have found before anything ran beside it. All else is the operator's wall probe's."""


def ready_pod(uid: str, items: Iterable[Object]) -> Object | None:
    """The pod that is the agent's computer now: the newest Ready one that has the agent as its owner.

    Neither labels nor the Agent's status count: they say what somebody wrote, or what was so a moment ago.
    """
    by_name = {item["metadata"]["name"]: item for item in items}
    ready = [pod.name for pod in pods_of(uid, by_name.values()) if pod.state == "Ready"]
    found = by_name[ready[-1]] if ready else None
    return found if found is not None and found["status"].get("podIP") else None


def owner_of(item: Object) -> str:
    """The uid of the object that controls the pod, or an empty string."""
    owners = item["metadata"].get("ownerReferences", ())
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def over(item: Object | None) -> bool:
    """Whether the computer's boot is proven to be over: the pod is gone, or its container has ended.

    Containers of these pods are not restarted. A pod leaves the API when its kubelet has ended its containers, when
    its node was removed, or by a person's force.
    """
    if item is None:
        return True
    statuses = item.get("status", {}).get("containerStatuses", ())
    return any(each["name"] == COMPUTER and "terminated" in each.get("state", {}) for each in statuses)


def hole(walls: Mapping[str, str]) -> str:
    """What of the walls is not as it must be, or an empty string."""
    wrong = [f"{name} is {walls.get(name)!r}, not {must!r}" for name, must in WALLS.items() if walls.get(name) != must]
    return ", ".join(wrong)
