"""The zygote: a small process, forked before the daemon has threads or a loop, that starts all programs.

For each order it forks a reaper. The reaper leads a session of its own, is the subreaper of all that the
program starts (prctl(2) PR_SET_CHILD_SUBREAPER: orphans become its children, also after setsid or a double
fork), and tells on the order's status pipe what happens. So the reaper's descendants are exactly the action's
processes.

Status lines: `reaper PID`; `fork ERRNO`, `cwd ERRNO` or `exec ERRNO` when the program can't be started;
`exit CODE LEFT` or `signal NUMBER LEFT` when it has ended, LEFT being 1 if it left processes behind. The
reaper ends by itself when nothing is left; the daemon kills it otherwise.
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import os
import signal
import socket
import struct
from typing import NoReturn

import msgspec
from msgspec import Struct

from rynxs.computer import syscall
from rynxs.computer.limits import Limits

_WALL = 0x40000000
"""__WALL of wait(2): also children made by clone(2) with another signal than SIGCHLD."""

_RESET = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


class Order(Struct, frozen=True, kw_only=True):
    """What to start. With it travel five descriptors: stdin, stdout, stderr, status, working directory."""

    argv: list[str]
    env: dict[str, str]


def fork(limits: Limits, *unneeded: socket.socket) -> tuple[int, socket.socket]:
    """Fork the zygote; gives its pid and the socket for orders. `unneeded` sockets are closed in it.

    Call before there are threads. Programs start under `limits`. Raises OSError.
    """
    ours, theirs = socket.socketpair()
    gc.freeze()  # the garbage collector would write to, and so copy, every shared page
    pid = os.fork()
    if pid == 0:
        ours.close()
        for other in unneeded:
            other.close()
        try:
            _serve(theirs, limits)
        finally:
            os._exit(1)  # whatever happens, it never goes on as the daemon
    theirs.close()
    return pid, ours


def send(orders: socket.socket, order: Order, descriptors: list[int]) -> bytes:
    """Send an order's length and descriptors; gives the body that is to follow. Raises OSError."""
    body = msgspec.msgpack.encode(order)
    socket.send_fds(orders, [struct.pack(">I", len(body))], descriptors)
    return body


def _serve(orders: socket.socket, limits: Limits) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reapers leave no zombies
    decoder = msgspec.msgpack.Decoder(Order)
    while True:
        received = _receive(orders)
        if received is None:
            os._exit(0)
        body, descriptors = received
        order = decoder.decode(body)
        try:
            pid = os.fork()
        except OSError as error:
            _tell(descriptors[3], b"fork %d\n" % (error.errno or 0))
        else:
            if pid == 0:
                try:
                    orders.close()
                    _reap(order, descriptors, limits)
                finally:
                    os._exit(1)  # whatever happens, a child never goes on as the zygote
        for descriptor in descriptors:
            os.close(descriptor)


def _receive(orders: socket.socket) -> tuple[bytes, list[int]] | None:
    size = array.array("i").itemsize
    head, ancillary, _, _ = orders.recvmsg(4, socket.CMSG_SPACE(5 * size), socket.MSG_CMSG_CLOEXEC)
    if not head:
        return None
    [(_, _, packed)] = ancillary
    descriptors = array.array("i", packed).tolist()
    while len(head) < 4:
        head += orders.recv(4 - len(head))
    (length,) = struct.unpack(">I", head)
    body = bytearray()
    while len(body) < length:
        part = orders.recv(min(length - len(body), 1 << 20))
        if not part:
            return None
        body += part
    return bytes(body), descriptors


def _reap(order: Order, descriptors: list[int], limits: Limits) -> NoReturn:
    stdin, stdout, stderr, status, cwd = descriptors
    step = b"fork"
    try:
        os.setsid()
        syscall.prctl(syscall.PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _tell(status, b"reaper %d\n" % os.getpid())
        step = b"cwd"
        os.fchdir(cwd)
        step = b"exec"
        limits.apply()
        os.environ["PATH"] = order.env.get("PATH", os.defpath)  # where posix_spawnp searches
        # It does not copy this process (vfork) as a second fork would, and that is half of the cost.
        program = os.posix_spawnp(
            order.argv[0],
            order.argv,
            order.env,
            file_actions=[(os.POSIX_SPAWN_DUP2, each, n) for n, each in enumerate((stdin, stdout, stderr))],
            setsid=True,  # `kill 0` in the program must not reach the reaper
            setsigdef=_RESET,
        )
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else errno.EINVAL
        _tell(status, b"%s %d\n" % (step, number or 0))
        os._exit(1)
    for descriptor in (stdin, stdout, stderr, cwd):
        os.close(descriptor)
    how = _wait(program)
    left = _any_left()
    if os.WIFSIGNALED(how):
        _tell(status, b"signal %d %d\n" % (os.WTERMSIG(how), left))
    else:
        _tell(status, b"exit %d %d\n" % (os.WEXITSTATUS(how), left))
    while left:
        try:
            os.waitpid(-1, _WALL)
        except ChildProcessError:
            left = False
    os._exit(0)


def _tell(status: int, line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # the daemon has ended, and so will this process
        os.write(status, line)


def _wait(program: int) -> int:
    while True:
        pid, how = os.waitpid(-1, _WALL)
        if pid == program:
            return how


def _any_left() -> bool:
    """Whether a child is left that has not ended; all orphans of the action are children here."""
    try:
        while os.waitpid(-1, _WALL | os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
