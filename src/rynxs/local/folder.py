"""The data folder of local mode: one server at a time, private to its user."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FolderInUse(Exception):
    """Another server uses the folder."""


class DataFolder:
    """Paths in the data folder, which is made (mode 0700) and locked for as long as this object lives."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and FolderInUse naming the other server's process."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.log = path / "log"
        self.token = path / "token"
        self.key = path / "keys" / "gateway.key"
        self.objects = path / "objects.json"
        self.workspaces = path / "workspaces"
        self.boots = path / "boots"
        for folder in (self.key.parent, self.workspaces, self.boots):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._lock, 32).decode().strip()
            os.close(self._lock)
            raise FolderInUse(
                f"{path} is used by another server (process {pid}): stop it, or use another folder"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock)
