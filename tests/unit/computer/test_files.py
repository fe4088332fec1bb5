import base64
import os
import socket
import stat

import pytest

from rynxs.action.tool import FileDelete, FileList, FileRead, FileWrite
from rynxs.computer.files import FileError, Workspace
from rynxs.computer.removal import Stopped


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "workspace"
    inside.mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    return inside


@pytest.fixture
def workspace(folder):
    opened = Workspace(str(folder))
    yield opened
    os.close(opened.descriptor)


@pytest.fixture
def escapes(folder):
    """Paths that lead out of the workspace, each by another way."""
    (folder / "dir").mkdir()
    (folder / "up").symlink_to("..")
    (folder / "absolute").symlink_to(folder.parent)
    (folder / "chain").symlink_to("dir/../up")
    (folder / "file").symlink_to("../secret")
    return {
        "dots": "../secret",
        "dots inside": "dir/../../secret",
        "link": "up/secret",
        "absolute link": "absolute/secret",
        "chain": "chain/secret",
        "file link": "file",
    }


WAYS = ["dots", "dots inside", "link", "absolute link", "chain", "file link"]


@pytest.mark.parametrize("way", WAYS)
def test_no_read_outside(workspace, escapes, way):
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.read(FileRead(path=escapes[way]))


@pytest.mark.parametrize("way", WAYS[:-1])
def test_no_write_outside(workspace, folder, escapes, way):
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.write(FileWrite(path=escapes[way], content="x"))
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.write(FileWrite(path=escapes[way].replace("secret", "new/file"), content="x"))
    assert (folder.parent / "secret").read_text() == "secret"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["outside", "secret", "workspace"]


def test_writing_over_a_link_replaces_the_link(workspace, folder, escapes):
    workspace.write(FileWrite(path=escapes["file link"], content="x"))
    assert (folder.parent / "secret").read_text() == "secret"
    assert not (folder / "file").is_symlink()


@pytest.mark.parametrize("way", WAYS[:-1])
def test_no_delete_outside(workspace, folder, escapes, way):
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.delete(FileDelete(path=escapes[way], recursive=True))
    assert (folder.parent / "secret").exists()


def test_deleting_a_link_keeps_its_target(workspace, folder, escapes):
    workspace.delete(FileDelete(path="absolute", recursive=True))
    (folder / "dir" / "link").symlink_to(folder.parent / "outside")
    workspace.delete(FileDelete(path="dir", recursive=True))
    assert sorted(p.name for p in folder.parent.iterdir()) == ["outside", "secret", "workspace"]


@pytest.mark.parametrize("path", ["up", "absolute", "..", "chain"])
def test_no_list_and_no_working_directory_outside(workspace, escapes, path):
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.list(FileList(path=path))
    with pytest.raises(FileError, match="leads out of the workspace"):
        workspace.open_folder(path)


@pytest.mark.parametrize("path", ["/etc/passwd", "/workspacex/a", "/", "/workspace/../etc/passwd"])
def test_absolute_paths_elsewhere_are_refused(workspace, path):
    with pytest.raises(FileError, match=r"outside the workspace|leads out"):
        workspace.read(FileRead(path=path))


def test_what_is_written_is_read(workspace, folder):
    assert workspace.write(FileWrite(path="a/b/c", content="grüß")).size == 6
    found = workspace.read(FileRead(path="/workspace/a/b/c"))
    assert (found.content, found.encoding, found.size) == ("grüß", "utf-8", 6)
    assert stat.S_IMODE((folder / "a/b/c").stat().st_mode) & 0o111 == 0
    assert os.listdir(folder / "a/b") == ["c"]


def test_a_link_inside_is_followed(workspace, folder):
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    workspace.write(FileWrite(path="link/a", content="x"))
    assert (folder / "real" / "a").read_text() == "x"
    assert workspace.read(FileRead(path="link/a")).content == "x"


def test_an_executable_file(workspace, folder):
    workspace.write(FileWrite(path="run", content="#!/bin/sh\n", executable=True))
    assert os.access(folder / "run", os.X_OK)


def test_binary_travels_in_base64(workspace):
    data = bytes(range(256))
    workspace.write(FileWrite(path="b", content=base64.b64encode(data).decode(), encoding="base64"))
    found = workspace.read(FileRead(path="b"))
    assert found.encoding == "base64"
    assert base64.b64decode(found.content) == data


def test_bad_base64_is_refused_and_leaves_the_file(workspace, folder):
    (folder / "b").write_text("old")
    with pytest.raises(FileError, match="not base64"):
        workspace.write(FileWrite(path="b", content="&&&", encoding="base64"))
    assert (folder / "b").read_text() == "old"


def test_offset_and_limit(workspace):
    workspace.write(FileWrite(path="f", content="0123456789"))
    assert workspace.read(FileRead(path="f", offset=3, limit=4)).content == "3456"
    assert workspace.read(FileRead(path="f", offset=99)).content == ""


def test_a_character_cut_by_the_limit_is_left_out(workspace):
    workspace.write(FileWrite(path="f", content="aé"))
    found = workspace.read(FileRead(path="f", limit=2))
    assert (found.content, found.encoding) == ("a", "utf-8")


def test_a_file_that_ends_inside_a_character_is_binary(workspace, folder):
    (folder / "f").write_bytes("é".encode()[:1])
    assert workspace.read(FileRead(path="f")).encoding == "base64"


def test_what_is_no_regular_file_is_refused_without_waiting(workspace, folder):
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        for name in ("fifo", "s", "."):
            with pytest.raises(FileError, match="not a regular file"):
                workspace.read(FileRead(path=name))


def test_a_missing_file_is_said_so(workspace):
    with pytest.raises(FileError, match="'nothing': there is no such file"):
        workspace.read(FileRead(path="nothing"))


@pytest.mark.parametrize("path", [".", "..", "/workspace", "a/.."])
def test_what_names_no_file_is_refused(workspace, path):
    with pytest.raises(FileError, match="names no file"):
        workspace.delete(FileDelete(path=path, recursive=True))


def test_a_folder_is_not_overwritten(workspace, folder):
    (folder / "d").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        workspace.write(FileWrite(path="d", content="x"))
    assert os.listdir(folder) == ["d"]


def test_a_list_is_sorted_and_cut(workspace, folder):
    for name in ("b", "c", "a"):
        (folder / name).write_text(name)
    (folder / "l").symlink_to("/etc")
    (folder / os.fsdecode(b"\xff")).mkdir()
    found = workspace.list(FileList())
    assert [(e.name, e.kind) for e in found.entries] == [
        ("a", "file"), ("b", "file"), ("c", "file"), ("l", "link"), ("\\xff", "directory")
    ]  # fmt: skip
    assert not found.truncated
    cut = workspace.list(FileList(limit=2))
    assert [e.name for e in cut.entries] == ["a", "b"]
    assert cut.truncated


def test_a_full_folder_is_deleted_only_recursively(workspace, folder):
    workspace.write(FileWrite(path="d/e/f", content="x"))
    with pytest.raises(FileError, match="set recursive"):
        workspace.delete(FileDelete(path="d"))
    assert workspace.delete(FileDelete(path="d/", recursive=True)).count == 3
    assert os.listdir(folder) == []


def test_any_depth_and_read_only_folders_are_deleted(workspace, folder):
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    (folder / "d" / "d").chmod(0o500)
    assert workspace.delete(FileDelete(path="d", recursive=True)).count == 1500
    assert os.listdir(folder) == []


def test_a_long_deletion_can_be_stopped(workspace, folder):
    for i in range(10):
        workspace.write(FileWrite(path=f"d/{i}", content="x"))
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        workspace.delete(FileDelete(path="d", recursive=True), lambda: next(asked))
    assert len(os.listdir(folder / "d")) == 8


def test_no_descriptor_is_left_open(workspace, folder, escapes):
    before = os.listdir("/proc/self/fd")
    for path in ("nothing", *escapes.values(), "dir"):
        for call, args in ((workspace.read, FileRead(path=path)), (workspace.delete, FileDelete(path=path))):
            try:
                call(args)
            except FileError:
                pass
    workspace.write(FileWrite(path="a/b", content="x"))
    workspace.list(FileList())
    assert len(os.listdir("/proc/self/fd")) == len(before)
