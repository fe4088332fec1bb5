"""The contract of ObjectStore, held by every store."""

import asyncio

import pytest

from rynxs.eventlog import DiskStore, Exists, MemoryStore, Missing


@pytest.fixture(params=["memory", "disk", "versitygw", "minio"])
def store(request, tmp_path, buckets):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "disk":
        return DiskStore(tmp_path / "deep" / "log")
    return buckets(request.param)()


async def keys(store, prefix="", after=""):
    return [key async for key in store.list(prefix, after)]


async def test_what_is_created_is_there(store):
    await store.create("a/b", b"data\x00\n")
    assert await store.get("a/b") == b"data\x00\n"


async def test_an_object_may_be_empty_or_large(store):
    await store.create("empty", b"")
    await store.create("large", bytes(5_000_000))
    assert await store.get("empty") == b""
    assert await store.get("large") == bytes(5_000_000)


async def test_an_object_is_created_once(store):
    await store.create("a", b"first")
    with pytest.raises(Exists, match="a"):
        await store.create("a", b"second")
    assert await store.get("a") == b"first"


async def test_one_of_many_creates_wins(store):
    bodies = [str(number).encode() for number in range(32)]
    results = await asyncio.gather(*(store.create("a", body) for body in bodies), return_exceptions=True)
    winners = [body for body, result in zip(bodies, results, strict=True) if result is None]
    assert len(winners) == 1
    assert await store.get("a") == winners[0]
    assert all(isinstance(result, Exists) for result in results if result is not None)


async def test_the_store_keeps_its_own_copy(store):
    data = bytearray(b"data")
    await store.create("a", data)
    data[0] = 0
    assert await store.get("a") == b"data"


@pytest.mark.parametrize("key", ["a", "a/b", "a/b/c"])
async def test_what_is_not_there_is_missing(store, key):
    with pytest.raises(Missing, match=key):
        await store.get(key)
    await store.create("a", b"")
    if key != "a":
        with pytest.raises(Missing, match=key):
            await store.get(key)


async def test_lists_an_empty_store(store):
    assert await keys(store) == []
    assert await keys(store, "a/") == []


async def test_lists_in_the_order_of_bytes(store):
    names = ["b/1", "b-/1", "b.2/1", "b0/1", "a", "b/0/1", "B/1", "b/10", "b/2", "c-1"]
    for name in names:
        await store.create(name, b"")
    assert await keys(store) == sorted(names)


async def test_lists_a_prefix(store):
    for name in ["s/a/1", "s/a/2", "s/a-1/1", "s/ab/1", "s/b/1", "t"]:
        await store.create(name, b"")
    assert await keys(store, "s/a/") == ["s/a/1", "s/a/2"]
    assert await keys(store, "s/a") == ["s/a-1/1", "s/a/1", "s/a/2", "s/ab/1"]
    assert await keys(store, "s/a/1") == ["s/a/1"]
    assert await keys(store, "x/") == []


async def test_lists_behind_a_key(store):
    for name in ["s/a/1", "s/a/2", "s/b/1", "s/b/3", "t"]:
        await store.create(name, b"")
    assert await keys(store, "s/", "s/a/1") == ["s/a/2", "s/b/1", "s/b/3"]
    assert await keys(store, "s/", "s/a/~") == ["s/b/1", "s/b/3"]
    assert await keys(store, "s/b/", "s/b/2") == ["s/b/3"]
    assert await keys(store, "s/", "s/b/3") == []
    assert await keys(store, "s/b/", "a") == ["s/b/1", "s/b/3"]


async def test_a_listing_may_be_left_early(store):
    for number in range(5):
        await store.create(f"s/{number}", b"")
    async for key in store.list("s/"):
        assert key == "s/0"
        break
    assert len(await keys(store)) == 5


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".a",
        "a/.b",
        "a\x00b",
        "a b",
        "é",
        "a\n",
        "a" * 129,
        "a/" * 256 + "a",
    ],
)
async def test_refuses_keys_that_could_leave_the_store(store, key):
    with pytest.raises(ValueError, match="key"):
        await store.create(key, b"")
    with pytest.raises(ValueError, match="key"):
        await store.get(key)
    assert await keys(store) == []


async def test_says_where_it_is(store):
    assert ":" in store.url
