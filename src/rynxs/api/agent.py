"""Agents: the identity that owns a computer, and how that computer looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from rynxs.api.metadata import Metadata
from rynxs.api.problem import InvalidField
from rynxs.api.quantity import Quantity, to_bytes, to_millicores

Text = Annotated[
    str,
    Meta(min_length=1, max_length=512, pattern=r"^[!-~]+$", description="printable ASCII without spaces"),
]
"""A name that is passed on as it is: of an image or a class."""


def _check(path: str, read: Callable[[Quantity], int], quantity: Quantity | None) -> None:
    """Accept a quantity above zero that `read` understands. Raises InvalidField at `path`."""
    if quantity is None:
        return
    try:
        number = read(quantity)
    except ValueError as error:
        raise InvalidField(path, str(error)) from error
    if number == 0:
        raise InvalidField(path, "must be more than 0")


class Amounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Processor (cores) and memory (bytes); what is not named is not set."""

    cpu: Quantity | None = None
    memory: Quantity | None = None

    def __post_init__(self) -> None:
        _check("cpu", to_millicores, self.cpu)
        _check("memory", to_bytes, self.memory)


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What the computer is sure to get (`requests`) and may not go over (`limits`)."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()

    def __post_init__(self) -> None:
        for field, read in (("cpu", to_millicores), ("memory", to_bytes)):
            request, limit = getattr(self.requests, field), getattr(self.limits, field)
            if request is not None and limit is not None and read(request) > read(limit):
                raise InvalidField(f"requests.{field}", f"{request} is over the limit of {limit}")


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The computer's files. `size` is in bytes; `retain` says what deleting the agent does to them."""

    size: Quantity = "5Gi"
    storage_class_name: Text | None = None
    retain: Literal["Retain", "Delete"] = "Retain"

    def __post_init__(self) -> None:
        _check("size", to_bytes, self.size)


class EnvVar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One variable of the environment of everything that runs in the computer."""

    name: Annotated[
        str,
        Meta(
            max_length=256,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            description="letters, digits and '_', not beginning with a digit",
        ),
    ]
    value: Annotated[str, Meta(max_length=32_768)]


class AgentSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The computer that the agent owns."""

    image: Text | None = None
    resources: Resources = Resources()
    workspace: Workspace = Workspace()
    env: list[EnvVar] = []
    runtime_class_name: Text | None = None

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for index, variable in enumerate(self.env):
            if variable.name in seen:
                raise InvalidField(f"env[{index}].name", f"{variable.name!r} is there twice")
            seen.add(variable.name)


class Agent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The `Agent` resource: the identity that owns one computer."""

    api_version: Literal["rynxs.dev/v1alpha1"] = "rynxs.dev/v1alpha1"
    kind: Literal["Agent"] = "Agent"
    metadata: Metadata
    spec: AgentSpec = AgentSpec()


_CLUSTER_ONLY: dict[str, Callable[[AgentSpec], object]] = {
    "spec.image": lambda spec: spec.image,
    "spec.resources.requests.cpu": lambda spec: spec.resources.requests.cpu,
    "spec.resources.requests.memory": lambda spec: spec.resources.requests.memory,
    "spec.resources.limits.cpu": lambda spec: spec.resources.limits.cpu,
    "spec.runtimeClassName": lambda spec: spec.runtime_class_name,
    "spec.workspace.storageClassName": lambda spec: spec.workspace.storage_class_name,
}
"""The fields that only a cluster uses."""


def local_notes(agent: Agent) -> list[str]:
    """Name each field that the agent sets and that means nothing in local mode, in a sentence."""
    return [
        f"{path} has no effect in local mode"
        for path, value_of in _CLUSTER_ONLY.items()
        if value_of(agent.spec) is not None
    ]
