"""The process tree of a computer, as /proc shows it, and how a part of it is killed for good.

A process that is killed may have started another one just before: so killing goes in passes, each over a
fresh look at all of /proc, until a look finds nothing alive. Between look and kill a pid could be given to
another process only after the kernel's whole range of pids was used up in those milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.05
_STUBBORN = 0.008
_MANY = 32
"""Processes of one action that are not killed one after the other, but frozen first."""


class Process(NamedTuple):
    """One process: `alive` is false for a zombie, `rss` is in pages."""

    pid: int
    parent: int
    alive: bool
    rss: int


def look() -> dict[int, Process]:
    """Every process of this pid namespace, by pid. proc_pid_stat(5)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                    stat = file.read(1024)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended since listdir
            process = parse(int(name), stat)
            found[process.pid] = process
    return found


def parse(pid: int, stat: bytes) -> Process:
    """A process from the text of its /proc/PID/stat; the name in it may hold any byte but NUL."""
    fields = stat[stat.rindex(b")") + 2 :].split()
    # A thread group whose first thread has exited shows as a zombie while its other threads run on.
    state = fields[0].decode()
    alive = state not in "ZX" or int(fields[17]) > 1
    return Process(pid=pid, parent=int(fields[1]), alive=alive, rss=int(fields[21]))


def below(root: int, processes: dict[int, Process]) -> list[Process]:
    """All descendants of `root`, parents before children."""
    children = defaultdict(list)
    for process in processes.values():
        children[process.parent].append(process)
    found: list[Process] = []
    level = children[root]
    while level:
        found += level
        level = [child for parent in level for child in children[parent.pid]]
    return found


async def kill_below(root: int) -> None:
    """Kill all descendants of `root`; returns when none is alive. More may come if `root` starts more."""
    await _kill(lambda processes: below(root, processes))


async def kill_strays(known: Container[int]) -> None:
    """Kill the children of pid 1 that are not `known`, with all their descendants."""

    def strays(processes: dict[int, Process]) -> list[Process]:
        heads = [p for p in processes.values() if p.parent == 1 and p.pid not in known]
        return heads + [process for head in heads for process in below(head.pid, processes)]

    await _kill(strays)


async def _kill(doomed: Callable[[dict[int, Process]], list[Process]]) -> None:
    pause = _FIRST_PAUSE
    while True:
        alive = [process.pid for process in doomed(look()) if process.alive]
        if not alive:
            return
        if len(alive) <= _MANY and pause < _STUBBORN:
            signal_all(alive, signal.SIGKILL)
        else:
            _kill_frozen(doomed)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _kill_frozen(doomed: Callable[[dict[int, Process]], list[Process]]) -> None:
    """Kill what starts processes faster than it is killed.

    Stops all of the computer, kills, and lets the others go on (also what a program had stopped itself).
    kill(2) of -1 from pid 1 reaches every other process at once, and also a child whose fork(2) is under way:
    it is born stopped, maybe after the first look. A parent that is killed there has no further child, so the
    second look is complete. SIGCONT goes to -1, too, because one that was born since is in neither look.
    """
    os.kill(-1, signal.SIGSTOP)
    for _ in range(2):
        signal_all([process.pid for process in doomed(look())], signal.SIGKILL)
    os.kill(-1, signal.SIGCONT)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send the signal to each that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
