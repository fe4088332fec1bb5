"""Files that survive a power loss: a temporary file, fsync, its final name, fsync of the folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rynxs.eventlog.id import uuid7


class SyncFailed(OSError):
    """An fsync failed: what was written may be lost, and a later fsync would not say so."""


@contextlib.contextmanager
def temporary(folder: str | Path, data: bytes, mode: int = 0o666) -> Iterator[str]:
    """A synced file with a name that begins with a dot, removed at the end. Raises OSError, SyncFailed."""
    path = f"{folder}/.{uuid7()}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            _sync(descriptor, path)
        finally:
            os.close(descriptor)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor, folder)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Create a file, whole or not at all. Raises FileExistsError, OSError."""
    with temporary(path.parent, data, mode) as made:
        os.link(made, path)
        sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write a file, old or new but never between. Raises OSError."""
    with temporary(path.parent, data) as made:
        os.replace(made, path)
        sync_folder(path.parent)


def _sync(descriptor: int, path: str | Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SyncFailed(error.errno, f"fsync: {error.strerror}", str(path)) from error
