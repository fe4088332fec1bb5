"""Removal: deleting folders of any depth, without following a link."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator


class Stopped(Exception):
    """The action was asked to end in the middle of the work."""


def remove(folder: int, name: str, *, recursive: bool, stopped: Callable[[], bool]) -> int:
    """Delete `name` in the open folder: a file, a link (not its target) or a folder; gives how many.

    Raises OSError (ENOTEMPTY for a full folder unless `recursive`), and Stopped once `stopped` says so.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return 1
    count = 0
    if recursive:
        with _folder(folder, name) as top:
            while names := os.listdir(top):
                count += sum(_remove_level(top, each, stopped) for each in names)
    os.rmdir(name, dir_fd=folder)
    return count + 1


def _remove_level(top: int, name: str, stopped: Callable[[], bool]) -> int:
    """Delete an entry of `top`; folders in a folder are moved up to `top`, to be next.

    So the depth costs neither stack nor descriptors, whatever a program nested.
    """
    if stopped():
        raise Stopped
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return 1
    count = 1
    with _folder(top, name) as inner:
        for each in os.listdir(inner):
            if stat.S_ISDIR(os.stat(each, dir_fd=inner, follow_symlinks=False).st_mode):
                os.chmod(each, 0o700, dir_fd=inner)  # a read-only folder can't be moved
                os.rename(each, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(each, dir_fd=inner)
                count += 1
    os.rmdir(name, dir_fd=top)
    return count


@contextlib.contextmanager
def _folder(above: int, name: str) -> Iterator[int]:
    """The folder, open, and made writable: its owner may delete what is in a read-only one."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)
