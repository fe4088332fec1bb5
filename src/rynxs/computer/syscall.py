"""System calls that Python does not wrap: prctl(2), openat2(2), unshare(2)."""

from __future__ import annotations

import ctypes
import os

PR_SET_DUMPABLE = 4
PR_GET_DUMPABLE = 3
PR_SET_CHILD_SUBREAPER = 36

_OPENAT2 = 437
"""The same number on every architecture (they are shared since Linux 5.1)."""

_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08

# CDLL(None) looks symbols up in the running program: nothing is searched for on disk.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def prctl(option: int, argument: int = 0) -> int:
    """Set or get a property of this process (see prctl 2). Raises OSError."""
    return _checked(_libc.prctl(option, argument, 0, 0, 0))


def unshare(flags: int) -> None:
    """Leave namespaces for new ones (see unshare 2). Raises OSError."""
    _checked(_libc.unshare(flags))


def open_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` below the open folder by openat2(2); gives a close-on-exec descriptor.

    The kernel refuses what leads out of the folder, by `..` or by a link (absolute ones included), with
    EXDEV. Raises OSError.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    name = ctypes.c_char_p(os.fsencode(path))
    size = ctypes.c_size_t(ctypes.sizeof(how))
    number = ctypes.c_long(_OPENAT2)
    while True:
        try:
            return _checked(_libc.syscall(number, ctypes.c_int(folder), name, ctypes.byref(how), size), path)
        except (InterruptedError, BlockingIOError):
            continue  # EAGAIN: a rename raced with the resolution of a ".."; openat2(2) says to try again


def _checked(result: int, path: str | None = None) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
