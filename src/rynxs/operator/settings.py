"""How computers look where an Agent says nothing: the part of the configuration that is about them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rynxs.api.problem import InvalidField


class ComputerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`image` is the default image, `daemon_image` the one that holds the daemon's bundle; `port` is the daemon's."""

    image: Annotated[str, Meta(min_length=1)]
    daemon_image: Annotated[str, Meta(min_length=1)]
    port: int = 7443
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    runtime_class_name: str | None = None

    def __post_init__(self) -> None:
        if not 1024 <= self.port <= 65535:
            raise InvalidField("port", f"{self.port} is not a port from 1024 to 65535")
