"""The first steps of a computer's pid 1: it closes its doors, looks at its walls, and forks the zygote.

The zygote is forked before asyncio and the daemon are imported: each program start copies the zygote, and a
small one costs half a millisecond less.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

import msgspec
from msgspec import Struct

from rynxs.computer import syscall, walls, zygote
from rynxs.computer.limits import Limits


class Settings(Struct, frozen=True, kw_only=True):
    """The daemon's one argument, as JSON: the inherited socket's descriptor, and the limits. No secrets."""

    socket: int
    limits: Limits


def become_pid_1(limits: Limits, *unneeded: socket.socket) -> tuple[dict[str, str], int, socket.socket]:
    """Close the doors, look at the walls, and fork the zygote, in which `unneeded` sockets are closed.

    Gives what `walls.probe` found, the zygote's pid, and the socket for its orders. Call before there are threads.
    """
    # Programs run as the same user: they must not read our memory, our descriptors or our environment.
    syscall.prctl(syscall.PR_SET_DUMPABLE, 0)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    found = walls.probe()
    for ours in ("LD_LIBRARY_PATH", "PWD"):  # for this Python only; a program may have another folder
        os.environ.pop(ours, None)
    return found, *zygote.fork(limits, *unneeded)


def main() -> NoReturn:
    """Become a sandbox's daemon, with Settings as the only argument. Never returns."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    connection = socket.socket(fileno=settings.socket)
    connection.set_inheritable(False)
    found, zygote_pid, orders = become_pid_1(settings.limits, connection)

    import asyncio

    from rynxs.computer import daemon

    asyncio.run(daemon.serve(connection, zygote_pid, orders, settings.limits, found))
    # Not by way of the interpreter's end: a thread in a system call would hold it up.
    os._exit(0)
