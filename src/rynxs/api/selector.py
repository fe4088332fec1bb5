"""Label selectors, with the meaning that Kubernetes gives them (`metav1.LabelSelector`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from rynxs.api.label import check_key, check_labels, check_value
from rynxs.api.problem import InvalidField


class Requirement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """One condition on the label `key`. `values` belong to In and NotIn only."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []

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

    match_labels: dict[str, str] = {}
    match_expressions: list[Requirement] = []

    def __post_init__(self) -> None:
        check_labels(self.match_labels, "matchLabels")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
