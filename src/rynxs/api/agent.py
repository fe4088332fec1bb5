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
    Meta(min_length=1, max_length=512, pattern=r"^[!-~]+$", extra={"valid": "printable ASCII without spaces"}),
]
"""A name that is passed on as it is: of an image or a class."""

MAX_NAME = 53
"""Most characters of an agent's name: what is made for it is named after it (`dev-workspace`), in a DNS label."""


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

    cpu: Annotated[Quantity | None, Meta(description="Processor time in cores, as 250m or 2.")] = None
    memory: Annotated[Quantity | None, Meta(description="Memory in bytes, as 512Mi.")] = None

    def __post_init__(self) -> None:
        _check("cpu", to_millicores, self.cpu)
        _check("memory", to_bytes, self.memory)


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What the computer is sure to get (`requests`) and may not go over (`limits`)."""

    requests: Annotated[Amounts, Meta(description="What the computer is sure to get.")] = Amounts()
    limits: Annotated[Amounts, Meta(description="What the computer may not go over.")] = Amounts()

    def __post_init__(self) -> None:
        for field, read in (("cpu", to_millicores), ("memory", to_bytes)):
            request, limit = getattr(self.requests, field), getattr(self.limits, field)
            if request is not None and limit is not None and read(request) > read(limit):
                raise InvalidField(f"requests.{field}", f"{request} is over the limit of {limit}")


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The computer's files. `size` is in bytes; `retain` says what deleting the agent does to them."""

    size: Annotated[
        Quantity, Meta(description="Its size in bytes, as 5Gi. It can grow where the storage class allows it.")
    ] = "5Gi"
    storage_class_name: Annotated[
        Text | None, Meta(description="The storage class of its volume; by default the cluster's default class.")
    ] = None
    retain: Annotated[
        Literal["Retain", "Delete"],
        Meta(
            description="What deleting the agent does to the files: Retain keeps them for a later agent of that name, "
            "Delete deletes them, too."
        ),
    ] = "Retain"

    def __post_init__(self) -> None:
        _check("size", to_bytes, self.size)


class EnvVar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One variable of the environment of everything that runs in the computer."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=256,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            description="Its name.",
            extra={"valid": "letters, digits and '_', not beginning with a digit"},
        ),
    ]
    value: Annotated[str, Meta(max_length=32_768, description="Its value, taken as it is: $(NAME) means nothing.")]


class AgentSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The computer that the agent owns."""

    image: Annotated[
        Text | None,
        Meta(description="The container image that the agent works in; by default that of the installation."),
    ] = None
    resources: Annotated[Resources, Meta(description="Processor time and memory of the computer.")] = Resources()
    workspace: Annotated[Workspace, Meta(description="The files in /workspace, which outlive the computer.")] = (
        Workspace()
    )
    env: Annotated[
        list[EnvVar],
        Meta(
            max_length=256,
            description="Environment variables of everything that runs in the computer.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    runtime_class_name: Annotated[
        Text | None, Meta(description="The RuntimeClass of the computer's pod, as gvisor.")
    ] = None

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for index, variable in enumerate(self.env):
            if variable.name in seen:
                raise InvalidField(f"env[{index}].name", f"{variable.name!r} is there twice")
            seen.add(variable.name)


class Agent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An Agent: the identity that owns one computer, and how that computer looks."""

    api_version: Literal["rynxs.dev/v1alpha1"] = "rynxs.dev/v1alpha1"
    kind: Literal["Agent"] = "Agent"
    metadata: Metadata
    spec: Annotated[AgentSpec, Meta(description="The computer that the agent owns.")] = AgentSpec()

    def __post_init__(self) -> None:
        if len(self.metadata.name) > MAX_NAME:
            reason = f"has {len(self.metadata.name)} characters, over the limit of {MAX_NAME} for an agent"
            raise InvalidField("metadata.name", reason)


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
