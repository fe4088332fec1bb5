"""Workspaces: private folders with a user of their own, and deletion that nothing in them can stop."""

from __future__ import annotations

import os
import shutil
import stat

import pytest

from rynxs.action.request import AgentRef
from rynxs.local.workspace import FIRST_UID, Workspaces

DEV = AgentRef(namespace="team-a", name="dev", uid="1")
WEB = AgentRef(namespace="team-a", name="web", uid="2")


def test_without_root_a_folder_is_the_users(unprivileged) -> None:
    workspaces = Workspaces(unprivileged)
    folder, uid = workspaces.prepare(DEV)
    assert (folder, uid) == (unprivileged / "team-a" / "dev", None)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    (folder / "kept").touch()
    assert workspaces.prepare(DEV) == (folder, None)
    assert (folder / "kept").exists()


def test_with_root_every_folder_has_a_user_of_its_own(tmp_path, monkeypatch) -> None:
    owners: dict = {}

    class Stat:
        def __init__(self, uid):
            self.st_uid = uid

    path = type(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda folder, uid, gid: owners.update({str(folder): uid}))
    real = path.stat
    monkeypatch.setattr(
        path, "stat", lambda self, **options: Stat(owners[str(self)]) if str(self) in owners else real(self, **options)
    )
    monkeypatch.setattr(path, "exists", lambda self: os.path.exists(self))
    workspaces = Workspaces(tmp_path)
    assert workspaces.prepare(DEV)[1] == FIRST_UID
    assert workspaces.prepare(WEB)[1] == FIRST_UID + 1
    assert workspaces.prepare(DEV)[1] == FIRST_UID
    del owners[str(tmp_path / "team-a" / "dev")]
    assert workspaces.prepare(DEV)[1] == FIRST_UID


def test_a_later_agent_of_the_name_finds_nothing(unprivileged) -> None:
    workspaces = Workspaces(unprivileged)
    folder, _ = workspaces.prepare(DEV)
    (folder / "secret").write_text("x")
    other, _ = workspaces.prepare(WEB)
    workspaces.delete(DEV)
    assert not folder.exists()
    assert other.exists()
    assert list(workspaces.prepare(DEV)[0].iterdir()) == []
    assert sorted(path.name for path in unprivileged.iterdir()) == ["team-a"]


def test_deleting_what_is_not_there(unprivileged) -> None:
    Workspaces(unprivileged).delete(DEV)
    assert list(unprivileged.iterdir()) == []


def test_folders_that_a_program_made_unreadable(unprivileged) -> None:
    workspaces = Workspaces(unprivileged)
    folder, _ = workspaces.prepare(DEV)
    inner = folder / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    for path in (inner, inner.parent, inner.parent.parent, folder):
        path.chmod(0)
    workspaces.delete(DEV)
    assert sorted(path.name for path in unprivileged.iterdir()) == ["team-a"]


def test_links_are_removed_and_not_followed(unprivileged) -> None:
    outside = unprivileged / "outside"
    outside.mkdir(mode=0o500)
    workspaces = Workspaces(unprivileged / "workspaces")
    (unprivileged / "workspaces").mkdir()
    folder, _ = workspaces.prepare(DEV)
    (folder / "link").symlink_to(outside)
    (folder / "broken").symlink_to("nowhere")
    workspaces.delete(DEV)
    assert not folder.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500


def test_what_a_crash_left_in_the_bin_goes_at_the_next_start(unprivileged, monkeypatch) -> None:
    workspaces = Workspaces(unprivileged)
    folder, _ = workspaces.prepare(DEV)
    (folder / "big").touch()

    def crash(path):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(OSError, match="killed"):
            workspaces.delete(DEV)
    assert not folder.exists()  # gone in one step, whatever came after
    Workspaces(unprivileged).empty_bin()
    assert sorted(path.name for path in unprivileged.iterdir()) == ["team-a"]
