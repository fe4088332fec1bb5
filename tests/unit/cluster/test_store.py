"""Opening the log of an installation: patience with a store that starts, none with one that is wrong."""

from __future__ import annotations

import pytest

from rynxs.cluster import store as module
from rynxs.cluster.store import open_log, open_store
from rynxs.eventlog import Log, MemoryStore, StoreError, WrongLog, WrongShards
from rynxs.operator.config import LogSettings

SETTINGS = LogSettings(url="s3://bucket/log", endpoint="http://127.0.0.1:1", credentials="keys")


class Starting(MemoryStore):
    """Does not answer the first few times."""

    failures = 3

    async def get(self, key):
        if self.failures:
            self.failures -= 1
            raise StoreError("connection refused")
        return await super().get(key)


@pytest.fixture
def use(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.0)
    return lambda store: monkeypatch.setattr(module, "open_store", lambda _: store)


async def test_it_waits_for_the_store(use) -> None:
    use(Starting())
    reasons = []
    log = await open_log(SETTINGS, "the-log", reasons.append)
    assert (log.id, log.shards) == ("the-log", 1)
    assert reasons == ["waiting for the log's store: connection refused"] * 3


async def test_it_opens_what_is_there(use) -> None:
    store = MemoryStore()
    use(store)
    await open_log(SETTINGS, "the-log", pytest.fail)
    assert (await open_log(SETTINGS, "the-log", pytest.fail)).id == "the-log"


async def test_another_log_is_refused(use) -> None:
    store = MemoryStore()
    use(store)
    await Log.create_or_open(store, "theirs", 1)
    with pytest.raises(WrongLog, match="holds the log theirs, not ours"):
        await open_log(SETTINGS, "ours", pytest.fail)


async def test_another_number_of_shards_is_refused(use) -> None:
    store = MemoryStore()
    use(store)
    await Log.create_or_open(store, "ours", 8)
    with pytest.raises(WrongShards):
        await open_log(SETTINGS, "ours", pytest.fail)


async def test_the_store_is_that_of_the_settings(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = open_store(SETTINGS)
    assert store.url == "s3://bucket/log"
    with pytest.raises(StoreError, match="s3://bucket/log/x"):
        await store.get("x")  # nobody listens there
