"""Anchors: each stream's newest checkpoint, kept outside the store, so that a rollback of the store shows."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Protocol

from rynxs.eventlog.checkpoint import read_checkpoint
from rynxs.eventlog.error import AnchorBackward
from rynxs.eventlog.file import replace, sync_folder


class AnchorStore(Protocol):
    """Signed checkpoint notes that only move forward. Both calls raise OSError for what may pass."""

    async def read(self, stream: str) -> bytes | None:
        """The stream's newest anchor, or None when there never was one."""

    async def write(self, stream: str, note: bytes) -> None:
        """Replace the anchor durably. Raises AnchorBackward if a newer one is there, and BadNote."""


class MemoryAnchors:
    """Anchors in a dict, for tests and simulations."""

    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}

    async def read(self, stream: str) -> bytes | None:
        """See AnchorStore."""
        await asyncio.sleep(0)
        return self.notes.get(stream)

    async def write(self, stream: str, note: bytes) -> None:
        """See AnchorStore."""
        await asyncio.sleep(0)
        check_forward(self.notes.get(stream), note)
        self.notes[stream] = note


class FileAnchors:
    """Anchors as files of a folder, which is made with the first. A lock orders this machine's writers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, stream: str) -> bytes | None:
        """See AnchorStore."""
        return await asyncio.to_thread(self._read, stream)

    async def write(self, stream: str, note: bytes) -> None:
        """See AnchorStore."""
        await asyncio.to_thread(self._write, stream, note)

    def _read(self, stream: str) -> bytes | None:
        try:
            return (self._folder / stream).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, stream: str, note: bytes) -> None:
        if not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder.parent)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            check_forward(self._read(stream), note)
            replace(self._folder / stream, note)
        finally:
            os.close(descriptor)


def check_forward(old: bytes | None, new: bytes) -> None:
    """Raise AnchorBackward when `new` is behind `old`: a smaller size, or an older incarnation or epoch."""
    after = read_checkpoint(new)
    if old is None:
        return
    before = read_checkpoint(old)
    if after.order < before.order or (after.incarnation == before.incarnation and after.size < before.size):
        raise AnchorBackward(
            f"the anchor of stream {after.stream} is at size {before.size}, epoch {before.epoch}; "
            f"refusing to move it back to size {after.size}, epoch {after.epoch}"
        )
