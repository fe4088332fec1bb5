"""The data folder: private, and one server's at a time."""

from __future__ import annotations

import os
import stat

import pytest

from rynxs.local.folder import DataFolder, FolderInUse


def test_it_is_made_private(tmp_path) -> None:
    folder = DataFolder(tmp_path / "a" / "b")
    for path in (folder.path, folder.key.parent, folder.workspaces, folder.boots):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert not folder.log.exists()
    folder.close()


def test_one_server_at_a_time(tmp_path) -> None:
    first = DataFolder(tmp_path)
    with pytest.raises(FolderInUse, match=rf"is used by another server \(process {os.getpid()}\)"):
        DataFolder(tmp_path)
    first.close()
    DataFolder(tmp_path).close()


def test_a_folder_that_can_not_be_made(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        DataFolder(tmp_path / "file")
