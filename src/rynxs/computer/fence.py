"""The register of a computer's actions: who may start one, and that each starts at most once.

Pure: no I/O, no clock. The daemon asks it before it starts anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rynxs.action.outcome import Outcome
from rynxs.computer.protocol import Fence, Run

Reason = Literal["fence", "boot", "duplicate"]


class Fenced(Exception):
    """The claim is older than the one that stands; the message names both."""


class Register:
    """Every action that this boot has heard of.

    An id is first unknown, then running, ended, and settled; or it is refused for good once it was asked
    about while unknown. It never becomes unknown again, so ids are kept as long as the boot lives.
    """

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.fence: Fence | None = None
        self._running: set[str] = set()
        self._ended: dict[str, Outcome] = {}
        self._closed: set[str] = set()

    def claim(self, fence: Fence, open_ids: Iterable[str]) -> set[str]:
        """Take the owner's fence; gives the running actions that its log does not hold open: kill them.

        The same fence may claim again. Raises Fenced for a lower one, and nothing changes.
        """
        if self.fence is not None and fence < self.fence:
            raise Fenced(f"the computer is claimed by {self.fence}; a claim by {fence} comes too late")
        self.fence = fence
        keep = set(open_ids)
        for action in self._ended.keys() - keep:
            self.settled(action)
        return self._running - keep

    def admit(self, run: Run) -> Reason | None:
        """Register the run as running, or say why it is refused. One step: nothing can come between."""
        if run.fence != self.fence:
            return "fence"
        if run.boot != self.boot:
            return "boot"
        if run.action in self._running or run.action in self._ended or run.action in self._closed:
            return "duplicate"
        self._running.add(run.action)
        return None

    def ended(self, action: str, outcome: Outcome) -> None:
        """A running action has ended; its outcome is kept until it is settled. Raises KeyError otherwise."""
        self._running.remove(action)
        self._ended[action] = outcome

    def query(self, action: str) -> Outcome | Literal["running", "unknown"]:
        """An action's state. An unknown id, and one that was settled, is refused from then on."""
        if action in self._running:
            return "running"
        if action in self._ended:
            return self._ended[action]
        self._closed.add(action)
        return "unknown"

    def settled(self, action: str) -> None:
        """The outcome is durable elsewhere: forget it. The id stays refused.

        Nothing for one that still runs.
        """
        if self._ended.pop(action, None) is not None:
            self._closed.add(action)
