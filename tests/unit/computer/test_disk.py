import os

import pytest

from rynxs.computer import disk


@pytest.fixture
def folder(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_blocks_are_counted_and_hard_links_once(tmp_path, folder):
    empty = disk.used(folder)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"x" * 1_000_000)
    one = disk.used(folder) - empty
    assert 1_000_000 <= one < 1_100_000
    os.link(tmp_path / "d" / "a", tmp_path / "b")
    assert disk.used(folder) - empty == one


def test_a_hole_takes_no_room(tmp_path, folder):
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    assert disk.used(folder) < 1 << 20


def test_a_deleted_file_that_is_open_counts(tmp_path, folder):
    before = disk.used(folder)
    with (tmp_path / "gone").open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        (tmp_path / "gone").unlink()
        assert disk.used(folder) - before >= 1_000_000


def test_links_are_not_followed(tmp_path, folder):
    (tmp_path / "link").symlink_to("/usr")
    (tmp_path / "loop").symlink_to(".")
    assert disk.used(folder) < 1 << 20


def test_folders_nested_too_deep_are_said_so(tmp_path, folder):
    path = tmp_path
    for _ in range(402):
        path = path / "d"
    path.mkdir(parents=True)
    with pytest.raises(disk.Unmeasurable, match="too deep"):
        disk.used(folder)
