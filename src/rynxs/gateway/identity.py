"""The seam to who is asking: the local token, or the cluster's token and access reviews."""

from __future__ import annotations

from abc import ABC, abstractmethod

from rynxs.action.request import Principal


class Identity(ABC):
    """Authenticates callers and says what they may do."""

    @abstractmethod
    async def authenticate(self, token: str) -> Principal:
        """Who holds this bearer token (RFC 6750). Raises Unauthenticated."""

    @abstractmethod
    async def authorize(self, principal: Principal, verb: str, namespace: str, agent: str) -> None:
        """May the caller `use`, `list` or `delete` this agent, or `apply` in the namespace? Raises Forbidden."""
