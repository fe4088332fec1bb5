import os

import pytest

from rynxs.eventlog import DiskStore, Exists, StoreBroken, StoreError


@pytest.fixture
def synced(monkeypatch):
    """What was synced, in order: the real paths of files and folders."""
    calls = []
    real = os.fsync

    def record(descriptor):
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return calls


async def test_syncs_the_file_its_folder_and_every_folder_made(tmp_path, synced):
    store = DiskStore(tmp_path / "data" / "log")
    await store.create("s/a/1", b"data")
    root = f"{tmp_path}/data"
    assert synced[:4] == [str(tmp_path), root, f"{root}/log", f"{root}/log/s"]
    assert synced[4].startswith(f"{root}/log/s/a/.")
    assert synced[5:] == [f"{root}/log/s/a"]
    synced.clear()
    await store.create("s/a/2", b"data")
    assert [path.rpartition("/")[0] for path in synced] == [f"{root}/log/s/a", f"{root}/log/s"]


async def test_syncs_folders_that_another_process_may_not_have(tmp_path, synced):
    (tmp_path / "log/s").mkdir(parents=True)
    await DiskStore(tmp_path / "log").create("s/1", b"")
    assert synced[:2] == [str(tmp_path), f"{tmp_path}/log"]


async def test_the_data_is_durable_before_the_name(tmp_path, monkeypatch, synced):
    store = DiskStore(tmp_path)
    real = os.link

    def link(source, target):
        assert synced[-1] == source
        with open(source, "rb") as file:
            assert file.read() == b"data"
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    await store.create("a", b"data")
    assert synced[-1] == str(tmp_path)


@pytest.mark.parametrize("failing", range(3))
async def test_after_an_error_of_fsync_everything_is_refused(tmp_path, monkeypatch, failing):
    store = DiskStore(tmp_path / "log")
    calls = iter(range(100))
    real = os.fsync

    def fsync(descriptor):
        if next(calls) == failing:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreBroken, match="Input/output error"):
        await store.create("a", b"")
    for call in (lambda: store.create("b", b""), lambda: store.get("a"), lambda: anext(store.list(""))):
        with pytest.raises(StoreBroken, match="refused after an earlier error"):
            await call()
    assert os.listdir(tmp_path / "log") in ([], ["a"])


async def test_a_full_disk_leaves_nothing_and_may_pass(tmp_path, monkeypatch):
    store = DiskStore(tmp_path)
    real = os.write

    def write(descriptor, data):
        if len(data) > 4:
            return real(descriptor, data[:4])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StoreError, match="No space left on device") as caught:
            await store.create("a", b"more than four")
    assert not isinstance(caught.value, StoreBroken | Exists)
    assert os.listdir(tmp_path) == []
    await store.create("a", b"more than four")
    assert await store.get("a") == b"more than four"


async def test_short_writes_are_completed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    store = DiskStore(tmp_path)
    await store.create("a", b"0123456789")
    assert await store.get("a") == b"0123456789"


async def test_left_over_temporary_files_are_not_objects(tmp_path):
    store = DiskStore(tmp_path)
    await store.create("s/1", b"data")
    (tmp_path / "s" / ".017f22e2-79b0-7cc3-98c4-dc0c0c07398f").write_bytes(b"torn")
    assert [key async for key in store.list("")] == ["s/1"]


async def test_nothing_is_made_by_reading(tmp_path):
    store = DiskStore(tmp_path / "log")
    assert [key async for key in store.list("")] == []
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 11])
async def test_a_long_listing_is_whole(tmp_path, monkeypatch, count):
    monkeypatch.setattr("rynxs.eventlog.disk._LISTED", 5)
    (tmp_path / "s").mkdir()
    names = [f"s/{number:04d}" for number in range(count)]
    for name in names:
        (tmp_path / name).touch()
    assert [key async for key in DiskStore(tmp_path).list("")] == names


async def test_says_where(tmp_path):
    assert DiskStore(tmp_path / "log").url == f"file://{tmp_path}/log"
