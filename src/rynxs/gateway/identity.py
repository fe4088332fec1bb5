"""The seam to who is asking: the local token, or the cluster's token and access reviews."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from rynxs.action.request import Principal

Verb = Literal["use", "get", "list", "apply", "delete", "read-log"]
"""What a caller may do: `read-log` concerns the whole log, `apply` and `list` a namespace (all, if it is empty), the
others one agent.
"""


class Identity(ABC):
    """Authenticates callers and says what they may do."""

    @abstractmethod
    async def authenticate(self, token: str) -> Principal:
        """Who holds this bearer token (RFC 6750). Raises Unauthenticated, and Unavailable when nobody can say."""

    @abstractmethod
    async def authorize(self, principal: Principal, verb: Verb, namespace: str = "", agent: str = "") -> None:
        """May the caller do this? Raises Forbidden, and Unavailable when nobody can say."""
