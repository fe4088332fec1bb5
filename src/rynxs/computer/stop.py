"""Stop: how a running action is told to end early, and why."""

from __future__ import annotations

import asyncio

from rynxs.action.outcome import Ending


class Stop:
    """Set once; the first reason stands. Threads may read `ending`."""

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self.error = ""
        self.asked = asyncio.get_running_loop().create_future()

    def set(self, ending: Ending, error: str) -> None:
        """Ask the action to end as `ending`."""
        if self.ending is None:
            self.ending = ending
            self.error = error
            self.asked.set_result(None)
