import os

import pytest

from rynxs.eventlog.file import SyncFailed, replace, temporary, write_new


def test_a_new_file_is_whole_and_private(tmp_path):
    write_new(tmp_path / "key", b"data", 0o600)
    assert (tmp_path / "key").read_bytes() == b"data"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "key", b"other")
    assert os.listdir(tmp_path) == ["key"]


def test_a_file_is_replaced_whole(tmp_path):
    replace(tmp_path / "a", b"one")
    replace(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


def test_a_crash_before_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    replace(tmp_path / "a", b"old")

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SyncFailed):
        replace(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_temporary_file_goes_also_when_the_caller_fails(tmp_path):

    def fail():
        with temporary(tmp_path, b"data") as path:
            assert path.startswith(f"{tmp_path}/.")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []
