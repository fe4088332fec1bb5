"""Problem documents, bounded bodies, and work that ends with its caller."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request

from rynxs.gateway import http
from rynxs.gateway.http import Json, body_of, problem, while_connected
from rynxs.gateway.refusal import Busy, Invalid, NotFound, Unauthenticated


def posted(*parts: bytes) -> Request:
    """A request whose body comes in parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    coming = iter(messages)

    async def receive():
        return next(coming)

    return Request({"type": "http", "method": "POST", "headers": [], "path": "/"}, receive)


@pytest.mark.parametrize(
    ("refusal", "header", "value"),
    [
        (Busy("full"), "retry-after", "1"),
        (Unauthenticated("who?"), "www-authenticate", "Bearer"),
        (NotFound("gone"), "retry-after", None),
    ],
)
def test_a_problem_has_its_status_type_and_headers(refusal, header, value) -> None:
    response = problem(refusal)
    assert response.status_code == refusal.status
    assert response.headers.getlist("content-type") == ["application/problem+json"]
    assert response.headers.get(header) == value
    assert json.loads(response.body) == refusal.problem()


def test_json() -> None:
    response = Json({"a": "ü"})
    assert (response.body, response.headers["content-type"]) == ('{"a":"ü"}'.encode(), "application/json")


async def test_a_body_in_parts(monkeypatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 6)
    assert await body_of(posted()) == b""
    assert await body_of(posted(b"abc", b"def")) == b"abcdef"
    with pytest.raises(Invalid, match="longer than 6 bytes"):
        await body_of(posted(b"abc", b"def", b"g"))


class Client:
    """A client that leaves when it is told."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_work_of_a_client_who_stays() -> None:
    done = []

    async def work() -> None:
        done.append(True)

    await while_connected(Client().receive, work())
    assert done == [True]


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await while_connected(Client().receive, work())


async def test_a_client_who_leaves_cancels_the_work_and_its_clean_up_is_awaited() -> None:
    client, working, ended = Client(), asyncio.Event(), []

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    serving = asyncio.create_task(while_connected(client.receive, work()))
    await working.wait()
    client.left.set()
    await serving
    assert ended == [True]


async def test_a_server_that_stops_cancels_the_work() -> None:
    working, ended = asyncio.Event(), []

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    serving = asyncio.create_task(while_connected(Client().receive, work()))
    await working.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert ended == [True]
    assert len(asyncio.all_tasks()) == 1
