"""Boots: which daemon a computer's actions ran under, and the proof that such a life is over.

A boot is a pid namespace with the daemon as its first process. The kernel lets that process end only when
nothing else is left in the namespace (pid_namespaces(7)), so its end is the end of all that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec
from msgspec import Struct

from rynxs.eventlog.file import replace


class NotOver(Exception):
    """It could not be proven that a boot is over; the message says why and what to do."""


class Record(Struct, frozen=True, kw_only=True):
    """Which process of this machine is (or was) the daemon of `boot`.

    `start_time` is field 22 of proc_pid_stat(5), in clock ticks since the machine's start, and `machine_boot`
    the kernel's boot id: together with `pid` they name one process for ever.
    """

    boot: str
    pid: int
    start_time: int
    machine_boot: str


def record(boot: str, pid: int) -> Record:
    """The record of a daemon that lives. Raises OSError."""
    start_time = _start_time(pid)
    if start_time is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return Record(boot=boot, pid=pid, start_time=start_time, machine_boot=_machine_boot())


def write(path: Path, entry: Record) -> None:
    """Make the record durable, before anything is run under the boot: a crash leaves the old one or this one.

    Raises OSError.
    """
    replace(path, msgspec.json.encode(entry))


def read(path: Path) -> Record | None:
    """The newest record, or None where none was written. Raises NotOver for a damaged one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise NotOver(f"{path} is damaged ({error}): end the computer's processes yourself, then delete it") from error


async def end(entry: Record) -> None:
    """Kill what may be left of the boot; returns when it is proven over. Raises NotOver."""
    if entry.machine_boot != _machine_boot():
        return
    try:
        pidfd = os.pidfd_open(entry.pid)
    except ProcessLookupError:
        return
    try:
        # Compared after the open: a pid that was given to another process since would show here.
        if _start_time(entry.pid) != entry.start_time:
            return
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await ended(pidfd)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NotOver(
            f"process {entry.pid} of an earlier start belongs to another user: kill it, or start as that user"
        ) from error
    finally:
        os.close(pidfd)


async def ended(pidfd: int) -> None:
    """Wait for the end of a process."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(pidfd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(pidfd)


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def _machine_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
