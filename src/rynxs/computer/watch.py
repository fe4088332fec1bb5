"""The watch over what the kernel does not limit: memory of all processes together, and disk use.

Memory is looked at every 0.1 s, disk every 0.05 s by the file system's free space, and by a walk as soon as
that has dropped by a quarter of the room that is left. So a limit is overshot by what can be written in about
0.1 s plus the length of a walk, at the disk's speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from rynxs.action.outcome import Ending
from rynxs.computer import disk, tree
from rynxs.computer.limits import MIB, Limits, size
from rynxs.computer.stop import Stop

_TICK = 0.05
_MEMORY_EVERY = 0.1
_WALK_EVERY = 2.0
_REST = 4
"""A look that took a second of processor time is followed by none for this many seconds."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Stops programs that bring the computer over its limits.

    `actions` has each running program's tree head.
    """

    def __init__(self, workspace: int, limits: Limits, keep: set[int]) -> None:
        """`workspace` is the open folder; memory of the processes in `keep` (our own) is not counted."""
        self.actions: dict[int, Stop] = {}
        self._over = ""
        self._workspace = workspace
        self._limits = limits
        self._keep = keep
        self._used = 0
        self._free = 0
        self._walk_at = 0.0
        self._memory_at = 0.0
        self._walking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, head: int, stop: Stop) -> None:
        """Watch a program. Call `actions.pop(head)` when it has ended."""
        self.actions[head] = stop
        if self._timer is None:
            self._tick()

    def look_at_disk(self) -> None:
        """Start a walk if the disk may have filled since the last one."""
        now = time.monotonic()
        dropped = self._free - _free(self._workspace)
        room = self._limits.workspace - self._used
        due = dropped > max(MIB, room // 4) or now - self._walk_at > _WALK_EVERY
        idle = self._walking is None or self._walking.done()
        if idle and due and now >= self._walk_at:
            self._walking = asyncio.create_task(self._walk())

    async def still_over(self) -> str:
        """Why nothing may be started or written now, by a new walk if the last one said so; or empty."""
        if self._over:
            if self._walking is not None:
                await self._walking  # it may have passed by what was deleted meanwhile
            await self._walk()
        return self._over

    def _tick(self) -> None:
        if not self.actions:
            self._timer = None
            return
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)
        self.look_at_disk()
        if time.monotonic() >= self._memory_at:
            self._look_at_memory()

    async def _walk(self) -> None:
        free = _free(self._workspace)
        try:
            self._used, cost = await asyncio.to_thread(_measure, self._workspace)
            excess = f"used {size(self._used)}" if self._used > self._limits.workspace else ""
        except disk.Unmeasurable as error:
            cost, excess = 0.0, f"it can't be measured: {error}"
        self._free = free
        self._walk_at = time.monotonic() + _REST * cost
        self._over = excess and f"over the workspace's size of {size(self._limits.workspace)} ({excess})"
        if self._over:
            for stop in self.actions.values():
                stop.set(Ending.FAILED, self._over)

    def _look_at_memory(self) -> None:
        """Stop the largest program when all together are over the limit.

        Resident memory, which counts shared pages in each process, is only a first look; proportional shares
        are read (they cost a walk over the page tables) when it is over.
        """
        start = time.thread_time()
        processes = tree.look()
        counted = {pid: float(p.rss * _PAGE) for pid, p in processes.items() if pid not in self._keep}
        if sum(counted.values()) > self._limits.memory:
            counted = {pid: min(rss, _proportional(pid)) for pid, rss in counted.items()}
            used = sum(counted.values())
            if used > self._limits.memory and self.actions:
                trees = {h: sum(counted.get(p.pid, 0) for p in tree.below(h, processes)) for h in self.actions}
                largest = max(trees, key=trees.__getitem__)
                error = f"over the memory limit of {size(self._limits.memory)} (used {size(int(used))})"
                self.actions[largest].set(Ending.FAILED, error)
        cost = time.thread_time() - start
        self._memory_at = time.monotonic() + max(_MEMORY_EVERY, _REST * cost)


def _measure(workspace: int) -> tuple[int, float]:
    """Bytes used, and the seconds of processor time it took: programs can stretch elapsed time."""
    start = time.thread_time()
    return disk.used(workspace), time.thread_time() - start


def _free(workspace: int) -> int:
    found = os.fstatvfs(workspace)
    return found.f_bfree * found.f_frsize


def _proportional(pid: int) -> float:
    """Bytes of memory with shared pages divided among their users; infinite where it can't be read."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return float("inf")
