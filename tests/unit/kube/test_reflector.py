"""What is kept here is what the server has, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx2
import pytest
from unit.kube.script import THINGS, event, thing

from rynxs.kube.reflector import LONGEST_PAUSE, Reflector

pytestmark = pytest.mark.looptime


class Watched:
    """A reflector that runs, and the keys that it told of."""

    def __init__(self, client, **more) -> None:
        self.told: list[str] = []
        self.reflector = Reflector(client, THINGS, changed=lambda key: self.told.append("/".join(key)), **more)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.reflector.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def versions(self) -> dict[str, str]:
        return {name: item["metadata"]["resourceVersion"] for (_, name), item in self.reflector.objects.items()}

    def news(self) -> list[str]:
        told, self.told[:] = sorted(self.told), []
        return told


@pytest.fixture
async def watched(client):
    async with Watched(client).running() as made:
        yield made


async def test_list_then_watch(script, watched) -> None:
    assert watched.reflector.age == float("inf")
    script.page(thing("a", "1"), version="5", more="token")
    script.page(thing("b", "2"), version="5")
    script.watch(
        *(0.5, event("ADDED", thing("c", "6")), event("MODIFIED", thing("a", "7")), event("DELETED", thing("b", "8"))),
        10.0,
    )
    await watched.reflector.synced.wait()
    assert (watched.versions, watched.news()) == ({"a": "1", "b": "2"}, ["n/a", "n/b"])
    await asyncio.sleep(1)
    assert (watched.versions, watched.news()) == ({"a": "7", "c": "6"}, ["n/a", "n/b", "n/c"])
    await asyncio.sleep(20)
    assert script.queries()[3]["resourceVersion"] == "8"


async def test_a_cluster_scoped_resource(script, watched) -> None:
    item = thing("a", "1")
    del item["metadata"]["namespace"]
    script.page(item, version="5")
    await watched.reflector.synced.wait()
    assert watched.reflector.objects == {("", "a"): item}


async def test_a_bookmark_moves_the_version_and_is_no_news(script, watched) -> None:
    script.page(thing("a", "1"), version="5")
    script.watch({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}}, 10.0)
    await asyncio.sleep(20)
    assert (watched.versions, watched.news()) == ({"a": "1"}, ["n/a"])
    assert script.queries()[2]["resourceVersion"] == "99"


GONE = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
OTHER = {"type": "ERROR", "object": {"code": 500, "reason": "InternalError", "message": "etcd"}}


@pytest.mark.parametrize("error", [GONE, OTHER, b'{"type": "ADD\n'])
async def test_after_a_gap_it_lists_again_and_tells_what_is_different(script, watched, error) -> None:
    items = [thing("same", "1"), thing("changed", "1"), thing("deleted", "1"), thing("remade", "1", uid="first")]
    script.page(*items, version="5")
    script.watch(2.0, error)
    script.page(
        thing("same", "1"), thing("changed", "6"), thing("new", "7"), thing("remade", "1", uid="x"), version="9"
    )
    script.watch(event("DELETED", thing("new", "10")), 10.0)
    await watched.reflector.synced.wait()
    assert len(watched.news()) == 4
    await asyncio.sleep(5)
    assert watched.versions == {"same": "1", "changed": "6", "remade": "1"}
    assert watched.news() == ["n/changed", "n/deleted", "n/new", "n/new", "n/remade"]
    assert script.queries()[3]["resourceVersion"] == "9"


async def test_history_lost_before_the_watch_begins(script, watched) -> None:
    script.page(version="5")
    script.refuse(410, "Expired")
    script.page(thing("a", "6"), version="7")
    await asyncio.sleep(2)
    assert watched.versions == {"a": "6"}


async def test_history_lost_between_two_pages(script, watched) -> None:
    script.page(thing("a", "1"), version="5", more="token")
    script.refuse(410, "Expired")
    script.page(thing("b", "6"), version="7")
    await watched.reflector.synced.wait()
    assert watched.versions == {"b": "6"}
    assert "continue" not in script.queries()[2]


@pytest.mark.parametrize("break_", [httpx2.ReadError("reset"), httpx2.RemoteProtocolError("cut off")])
async def test_a_connection_that_breaks_loses_nothing(script, watched, break_) -> None:
    script.page(version="5")
    script.watch(event("ADDED", thing("a", "6")), break_)
    script.fail(httpx2.ConnectError("refused"))
    script.watch(event("MODIFIED", thing("a", "7")), 10.0)
    await asyncio.sleep(3)
    assert watched.versions == {"a": "7"}
    assert [query.get("resourceVersion") for query in script.queries()] == [None, "5", "6", "6"]


async def test_an_event_cut_off_at_the_end(script, watched) -> None:
    script.page(version="5")
    script.watch(2.0, event("ADDED", thing("a", "6")), b'{"type": "DELETED", "obj')
    script.page(version="8")
    await asyncio.sleep(4)
    assert (watched.versions, watched.news()) == ({}, ["n/a", "n/a"])


async def test_a_server_that_always_fails_is_asked_less_and_less(script, watched) -> None:
    for _ in range(40):
        script.refuse(500, "InternalError")
    await asyncio.sleep(60)
    assert 8 <= len(script.requests) <= 20
    assert script.times[-1] - script.times[-2] <= LONGEST_PAUSE
    assert not watched.reflector.synced.is_set()
    assert watched.reflector.age == float("inf")


@pytest.mark.parametrize("problem", ["the history", "the end"])
async def test_a_watch_that_ends_at_once_again_and_again_is_no_hot_loop(script, watched, problem) -> None:
    for number in range(100):
        script.page(version=str(number))
        if problem == "the history":
            script.watch(GONE)
        else:
            for _ in range(10):
                script.watch({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}})
    await asyncio.sleep(60)
    assert len(script.requests) <= 30


async def test_watches_that_last_are_taken_up_at_once(script, watched, caplog) -> None:
    caplog.set_level(logging.WARNING)
    script.page(version="5")
    for _ in range(10):
        script.watch(15.0)
    await asyncio.sleep(100)
    assert script.times[2:7] == [15.0 * number + script.times[1] for number in range(1, 6)]
    assert caplog.records == []


async def test_after_a_watch_that_lasted_the_next_try_is_soon(script, watched) -> None:
    for _ in range(6):
        script.refuse(500, "InternalError")
    script.page(version="5")
    script.watch(15.0, httpx2.ReadError("reset"))
    await asyncio.sleep(60)
    assert script.times[8] - script.times[7] <= 15.2


async def test_a_server_that_hangs(script, watched) -> None:
    script.page(version="5")
    script.watch(15.0)
    await asyncio.sleep(60)
    assert [query.get("resourceVersion") for query in script.queries()[2:]] == ["5"] * len(script.requests[2:])
    assert len(script.requests) >= 5
    assert watched.reflector.age == pytest.approx(60 - script.times[1])


async def test_its_age(script, watched) -> None:
    script.page(version="5")
    script.watch(5.0, event("ADDED", thing("a", "6")), 5.0)
    await asyncio.sleep(3)
    assert watched.reflector.age == 3
    await asyncio.sleep(3)
    assert watched.reflector.age == 1


async def test_a_label_selector_is_asked_for_everywhere(client, script) -> None:
    async with Watched(client, labels="x=y").running():
        script.page(version="5")
        await asyncio.sleep(1)
    assert [query["labelSelector"] for query in script.queries()] == ["x=y", "x=y"]


async def test_errors_are_logged_with_the_resource(script, watched, caplog) -> None:
    script.refuse(403, "Forbidden", "things is forbidden")
    script.fail(httpx2.ConnectError(""))
    await asyncio.sleep(1)
    assert [record.getMessage() for record in caplog.records[:2]] == [
        "things: GET /apis/example.com/v1/things: things is forbidden",
        "things: ConnectError('')",
    ]
