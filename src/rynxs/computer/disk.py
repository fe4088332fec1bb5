"""Disk use of a workspace: measured by a walk, as it can't be limited without a file system of its own.

What is counted is the blocks on disk (`st_blocks`), a file with several names once, and files that were
deleted but are still open, where /proc lets the daemon see them. What is not seen: deleted files that are
open only in a process that made itself undumpable, mapped only, or on their way through a socket;
RLIMIT_FSIZE bounds each.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

_BLOCK = 512
_MAX_DEPTH = 400
"""Deepest nesting that is measured: one descriptor each."""


class Unmeasurable(Exception):
    """The use can't be told; the message says why. A program can bring that about, so it counts as too much."""


def used(workspace: int) -> int:
    """Bytes on disk below the open folder. Blocks: run it in a thread. Raises Unmeasurable."""
    root = os.fstat(workspace)
    device = root.st_dev
    if root.st_mode & 0o700 != 0o700:
        os.fchmod(workspace, 0o700)
    seen: set[int] = set()
    blocks = 0
    for found in (*_open_deleted(device), *_entries(workspace, 0)):
        if found.st_dev != device:
            continue
        if found.st_nlink != 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in seen:
                continue
            seen.add(found.st_ino)
        blocks += found.st_blocks
    return blocks * _BLOCK


def _entries(folder: int, depth: int) -> Iterator[os.stat_result]:
    if depth > _MAX_DEPTH:
        raise Unmeasurable("folders are nested too deep")
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # changed since it was listed
                    found = entry.stat(follow_symlinks=False)
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        yield from _folder(folder, entry.name, found.st_mode, depth)
    except OSError as error:
        raise Unmeasurable(error.strerror or "a folder can't be read") from error


def _folder(above: int, name: str, mode: int, depth: int) -> Iterator[os.stat_result]:
    if mode & 0o500 != 0o500:
        os.chmod(name, mode | 0o500, dir_fd=above)  # a folder that can't be listed would hide what is in it
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        yield from _entries(inner, depth + 1)
    finally:
        os.close(inner)


def _open_deleted(device: int) -> Iterator[os.stat_result]:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(f"/proc/{pid}/fd/{descriptor}")
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_dev == device:
                        yield found
