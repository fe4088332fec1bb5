"""Probing stores: those that keep their promises, and those that only seem to."""

from __future__ import annotations

import pytest

from rynxs.eventlog import Exists, MemoryStore, Missing, StoreError, Unfit, probe
from rynxs.eventlog.probe import PASSED, WRITERS


async def keys(store):
    return [key async for key in store.list("")]


async def test_a_good_store_is_asked_once() -> None:
    store = MemoryStore()
    await probe(store)
    before = await keys(store)
    assert PASSED in before
    assert len(before) == 2
    await probe(store)
    assert await keys(store) == before


class Overwriting(MemoryStore):
    """Ignores If-None-Match."""

    async def create(self, key, data):
        try:
            await super().create(key, data)
        except Exists:
            pass


class Forgetting(MemoryStore):
    """Does not show what was just written."""

    async def get(self, key):
        raise Missing(key)


class Late(MemoryStore):
    """Shows somebody else's bytes."""

    async def get(self, key):
        await super().get(key)
        return b"old"


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (Overwriting(), f"ignores If-None-Match \\({WRITERS} of {WRITERS} writers won a race\\)"),
        (Forgetting(), "does not show what was just written"),
        (Late(), "does not show what was just written"),
    ],
)
async def test_a_store_that_is_unfit(store, said) -> None:
    with pytest.raises(Unfit, match=f"refusing to start: .*{said}.*another store"):
        await probe(store)
    assert PASSED not in await keys(store)


class Refusing(MemoryStore):
    """Answers every create the same."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    async def create(self, key, data):
        raise self._error


@pytest.mark.parametrize("error", [StoreError("access denied"), Exists("it exists")])
async def test_a_race_without_a_winner_says_nothing_about_the_store(error) -> None:
    with pytest.raises(StoreError, match=r"nobody won a race for a new object: access denied|all lost"):
        await probe(Refusing(error))


async def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        await probe(Refusing(ZeroDivisionError()))


async def test_of_two_that_probe_at_once_both_pass() -> None:
    store = MemoryStore()
    first = store.create

    async def create(key, data):
        if key == PASSED:
            store.create = first
            await probe(store)
        await first(key, data)

    store.create = create
    await probe(store)
