"""Metadata: what names an object, and what is said about it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from rynxs.api.label import check_annotations, check_labels

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        extra={"valid": "lower-case letters, digits and '-', beginning and ending with a letter or digit"},
    ),
]
"""A DNS label (RFC 1123), as Kubernetes takes for names and namespaces."""


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An object's name, unique in its kind and namespace, with labels and annotations."""

    name: Name
    namespace: Name = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_labels(self.labels, "labels")
        check_annotations(self.annotations, "annotations")


class ClusterMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The metadata of an object that belongs to no namespace: its name is unique in its kind."""

    name: Name
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_labels(self.labels, "labels")
        check_annotations(self.annotations, "annotations")

    @property
    def namespace(self) -> str:
        """Empty, as in the Kubernetes API."""
        return ""
