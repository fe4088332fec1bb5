"""Label selectors, with the meaning that Kubernetes gives them (`metav1.LabelSelector`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rynxs.api.label import check_key, check_labels, check_value
from rynxs.api.problem import InvalidField

_ATOMIC = {"x-kubernetes-list-type": "atomic"}
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_VALUE: dict[str, Any] = {"maxLength": 63, "pattern": rf"^({_NAME})?$"}
_KEY: dict[str, Any] = {"maxLength": 317, "pattern": rf"^([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}$"}
"""What the API server checks: nearly `label.check_key`, which has the last word."""


class Requirement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """One condition on the label `key`. `values` belong to In and NotIn only."""

    key: Annotated[str, Meta(description="The label's key.", extra_json_schema=_KEY)]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"],
        Meta(description="What must be so of it. NotIn is met by an object without the label."),
    ]
    values: Annotated[
        list[Annotated[str, Meta(extra_json_schema=_VALUE)]],
        Meta(max_length=256, description="The values of In and NotIn.", extra_json_schema=_ATOMIC),
    ] = []

    def __post_init__(self) -> None:
        check_key(self.key, "key")
        takes_values = self.operator in ("In", "NotIn")
        if takes_values and not self.values:
            raise InvalidField("values", f"must not be empty with operator {self.operator}")
        if self.values and not takes_values:
            raise InvalidField("values", f"must be empty with operator {self.operator}")
        for index, value in enumerate(self.values):
            check_value(value, f"values[{index}]")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it. NotIn is met by an object without the label, as in Kubernetes."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None


class Selector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Selects objects whose labels meet all of it. An empty selector selects every object."""

    match_labels: Annotated[
        dict[str, Annotated[str, Meta(extra_json_schema=_VALUE)]],
        Meta(max_length=64, description="Labels that it must have, with these values."),
    ] = {}
    match_expressions: Annotated[
        list[Requirement],
        Meta(max_length=64, description="Conditions on its labels, all to be met.", extra_json_schema=_ATOMIC),
    ] = []

    def __post_init__(self) -> None:
        check_labels(self.match_labels, "matchLabels")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
