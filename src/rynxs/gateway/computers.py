"""The seam to the computers: bubblewrap sandboxes in local mode, pods on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Outcome
from rynxs.computer.protocol import Ended, Output, Refused, Run
from rynxs.gateway.registry import Registered


class Connection(Protocol):
    """A claimed connection to a computer's daemon. Every call raises ConnectionLost when it ends."""

    def run(self, run: Run) -> AsyncIterator[Output | Ended | Refused]:
        """Send the run, once; output as it comes, then Ended or Refused as the last item."""

    async def cancel(self, action: str) -> None:
        """Kill what the action started; it then ends."""


@dataclass(frozen=True)
class Computer:
    """A running computer. `name` is the executor that decisions name, `boot` its daemon's life."""

    name: str
    boot: str
    connection: Connection


class Computers(ABC):
    """The computers of a shard's agents, claimed with its fence."""

    @abstractmethod
    async def open(self, registered: Registered) -> Computer:
        """The agent's computer, started if need be. Raises Unavailable."""

    @abstractmethod
    async def conclude(self, action: Action) -> Outcome:
        """What became of an allowed action whose answer was lost.

        Returns only once it is certain: the executor's own outcome, or Interrupted when its boot is proven over
        or it has refused the id for good. Afterwards nothing that the action started is alive.
        """

    @abstractmethod
    async def settle(self, action: Action) -> None:
        """The action's outcome is durable: its executor may forget it. Does nothing where there is none any more."""

    @abstractmethod
    async def remove(self, registered: Registered) -> None:
        """End the deleted agent's computer and free what it owned. Does nothing where there is none."""
