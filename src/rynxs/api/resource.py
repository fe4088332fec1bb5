"""Our resources in the Kubernetes API: where they are, and what of one its author wrote."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct

from rynxs.api.shape import read
from rynxs.kube.client import Resource

S = TypeVar("S", bound=Struct)

_GROUP = "apis/rynxs.dev/v1alpha1"

AGENTS = Resource(_GROUP, "agents")
POLICIES = Resource(_GROUP, "agentpolicies")
CLUSTER_POLICIES = Resource(_GROUP, "clusteragentpolicies")

_OURS = ("name", "namespace", "labels", "annotations")


def read_resource(item: dict[str, Any], type_: type[S]) -> S:
    """The Agent or policy that an API object is. Raises Misshapen: a schema can't say all that a Struct checks."""
    return read(written(item), type_)


def written(item: dict[str, Any]) -> dict[str, Any]:
    """The manifest behind an API object: what the server adds is left out."""
    metadata = {key: value for key, value in item["metadata"].items() if key in _OURS}
    return {key: item[key] for key in ("apiVersion", "kind", "spec") if key in item} | {"metadata": metadata}
