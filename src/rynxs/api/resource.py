"""Resources as the Kubernetes API gives them, read into our Structs: what the server adds is left out."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct

from rynxs.api.shape import read

S = TypeVar("S", bound=Struct)

_OURS = ("name", "namespace", "labels", "annotations")


def read_resource(item: dict[str, Any], type_: type[S]) -> S:
    """The Agent or policy that an API object is. Raises Misshapen: a schema can't say all that a Struct checks."""
    metadata = {key: value for key, value in item["metadata"].items() if key in _OURS}
    wanted = {key: item[key] for key in ("apiVersion", "kind", "spec") if key in item}
    return read({**wanted, "metadata": metadata}, type_)
