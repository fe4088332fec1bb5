"""Status: what the operator says of an object, beside what people wrote.

Whoever reads one takes what another version wrote: fields that it does not know are left out, words that it does not
know are kept. Whoever writes one writes every field: a merge patch takes back nothing that it does not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

_CONDITIONS = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
_Generation = Annotated[
    int,
    Meta(ge=0, description="The metadata.generation that this was found of.", extra_json_schema={"format": "int64"}),
]


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that is so or not (Kubernetes' metav1.Condition)."""

    type: Annotated[
        str,
        Meta(
            min_length=1, max_length=316, pattern=r"^[A-Za-z][A-Za-z0-9]*$", description="What it is about, as Ready."
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Meta(description="Whether it is so.")]
    reason: Annotated[
        str,
        Meta(
            min_length=1, max_length=1024, pattern=r"^[A-Za-z][A-Za-z0-9]*$", description="Why, in a word for programs."
        ),
    ]
    message: Annotated[str, Meta(max_length=32_768, description="Why, in a sentence for people.")]
    observed_generation: _Generation = 0
    last_transition_time: Annotated[
        str,
        Meta(description="When `status` last changed (RFC 3339).", extra_json_schema={"format": "date-time"}),
    ] = ""


_Conditions = Annotated[
    list[Condition],
    Meta(max_length=32, description="What is so, and since when.", extra_json_schema=_CONDITIONS),
]


class AgentStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the agent and its computer stand."""

    observed_generation: _Generation = 0
    phase: Annotated[
        str,
        Meta(
            description="Ready when the computer can be used, Failed when something must be done about it, "
            "Pending on the way there. Suspended is reserved.",
            extra_json_schema={"enum": ["Pending", "Ready", "Failed", "Suspended"]},
        ),
    ] = "Pending"
    computer: Annotated[str, Meta(max_length=253, description="The name of the computer's pod.")] = ""
    computers: Annotated[
        int,
        Meta(
            ge=0,
            description="How many computers the agent has had: the highest number that one was given.",
            extra_json_schema={"format": "int64"},
        ),
    ] = 0
    workspace: Annotated[
        str, Meta(max_length=253, description="The name of the volume claim that holds the workspace.")
    ] = ""
    policy: Annotated[
        str,
        Meta(
            description="ok when the policies that select the agent compile, broken when one does not (it denies "
            "everything), none when no policy selects the agent (everything is denied).",
            extra_json_schema={"enum": ["ok", "broken", "none"]},
        ),
    ] = "none"
    conditions: _Conditions = []


class PolicyStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the policy can be used."""

    observed_generation: _Generation = 0
    rules: Annotated[int, Meta(ge=0, description="How many rules it has.", extra_json_schema={"format": "int32"})] = 0
    conditions: _Conditions = []


def with_condition(conditions: Iterable[Condition], new: Condition, now: str) -> list[Condition]:
    """The conditions with `new` in the place of the one of its type, or behind them.

    `now` (RFC 3339) is when it changed, which counts only if its status did (KEP-1623).
    """
    kept = list(conditions)
    index = next((index for index, old in enumerate(kept) if old.type == new.type), len(kept))
    since = now
    if index < len(kept) and kept[index].status == new.status:
        since = kept[index].last_transition_time or now
    kept[index : index + 1] = [msgspec.structs.replace(new, last_transition_time=since)]
    return kept
