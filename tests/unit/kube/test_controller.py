"""Workers: what they call again, when, and what ends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx2
import pytest

from rynxs.kube.controller import Controller

pytestmark = pytest.mark.looptime

A, B = ("n", "a"), ("n", "b")


@contextlib.asynccontextmanager
async def working(reconcile, workers=2):
    controller = Controller(reconcile)
    task = asyncio.create_task(controller.run(workers))
    yield controller
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_one_key_is_never_worked_on_twice_at_once() -> None:
    running, seen = set(), []

    async def reconcile(key):
        assert key not in running
        running.add(key)
        seen.append(key)
        await asyncio.sleep(1)
        running.discard(key)

    async with working(reconcile, workers=3) as controller:
        for key in (A, B, A):
            controller.queue.add(key)
        await asyncio.sleep(0.5)
        assert sorted(seen) == [A, B]
        controller.queue.add(A)
        await asyncio.sleep(10)
    assert sorted(seen) == [A, A, B]


async def test_it_looks_again_when_it_was_told_to() -> None:
    times = []

    async def reconcile(_):
        times.append(asyncio.get_running_loop().time())
        return 10 if len(times) < 3 else None

    async with working(reconcile) as controller:
        controller.queue.add(A)
        await asyncio.sleep(100)
    assert [time - times[0] for time in times] == [0, 10, 20]


async def test_an_error_of_the_server_is_logged_and_tried_again(caplog) -> None:
    caplog.set_level(logging.WARNING)
    tries = []

    async def reconcile(key):
        tries.append(key)
        if len(tries) < 4:
            raise httpx2.ConnectError("refused")

    async with working(reconcile) as controller:
        controller.queue.add(A)
        await asyncio.sleep(100)
    assert tries == [A] * 4
    assert [record.getMessage() for record in caplog.records] == ["n/a: refused"] * 3


async def test_one_key_that_fails_does_not_stop_the_others() -> None:
    done = []

    async def reconcile(key):
        if key == A:
            raise httpx2.ConnectError("refused")
        done.append(key)

    async with working(reconcile, workers=1) as controller:
        controller.queue.add(A)
        controller.queue.add(B)
        await asyncio.sleep(1)
    assert done == [B]


async def test_any_other_error_ends_it() -> None:
    async def reconcile(_):
        raise ZeroDivisionError

    controller = Controller(reconcile)
    controller.queue.add(A)
    with pytest.raises(ExceptionGroup) as error:
        await controller.run(2)
    assert isinstance(error.value.exceptions[0], ZeroDivisionError)
