"""Workspaces: one folder an agent, and the user id that its computer runs as when the server is root."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from rynxs.action.request import AgentRef

FIRST_UID = 1_900_000_000
"""User ids from here on: above those that systems give to people, services and containers."""


class Workspaces:
    """The folders below `path`, as `<namespace>/<name>`. What is deleted goes to a bin first, in one step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bin = path / ".deleted"

    def prepare(self, agent: AgentRef) -> tuple[Path, int | None]:
        """The agent's folder, made if need be, and its user id (None unless the server is root). Raises OSError."""
        folder = self._folder(agent)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        if not folder.exists():
            folder.mkdir(mode=0o700)
        if os.geteuid() != 0:
            return folder, None
        owner = folder.stat().st_uid
        if owner < FIRST_UID:
            owner = self._free_uid()
            os.chown(folder, owner, owner)
        return folder, owner

    def delete(self, agent: AgentRef) -> None:
        """Delete the agent's folder: a later agent of that name never finds what was in it. Raises OSError."""
        folder = self._folder(agent)
        if folder.exists():
            self._bin.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)  # its program may have taken our right to move it
            folder.rename(self._bin / str(uuid.uuid4()))
        self.empty_bin()

    def empty_bin(self) -> None:
        """Remove what was deleted; folders that a program made unreadable are made readable first."""
        if not self._bin.exists():
            return
        for parent, names, _ in os.walk(self._bin):
            for name in names:  # before the walk looks into them
                folder = os.path.join(parent, name)
                if not os.path.islink(folder):
                    os.chmod(folder, 0o700)
        shutil.rmtree(self._bin)

    def _folder(self, agent: AgentRef) -> Path:
        return self._path / agent.namespace / agent.name

    def _free_uid(self) -> int:
        taken = {folder.stat().st_uid for folder in self._path.glob("*/*")}
        return next(uid for uid in range(FIRST_UID, FIRST_UID + len(taken) + 1) if uid not in taken)
