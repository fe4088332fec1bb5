"""Requests as they are sent, and what becomes of every kind of answer."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from lightkube.core.exceptions import ConfigError
from unit.kube.script import THINGS, Stream, event, thing

from rynxs.kube.client import ApiError, Client, Resource

pytestmark = pytest.mark.looptime

PATH = "/apis/example.com/v1/namespaces/n/things"


def test_paths() -> None:
    assert THINGS.path() == "/apis/example.com/v1/things"
    assert THINGS.path("n") == PATH
    assert THINGS.path("n", "a", "status") == f"{PATH}/a/status"
    assert Resource("api/v1", "nodes").path("", "a") == "/api/v1/nodes/a"
    assert THINGS.path("../x", "a/b?c") == "/apis/example.com/v1/namespaces/..%2Fx/things/a%2Fb%3Fc"


async def test_what_is_sent(client, script) -> None:
    for _ in range(6):
        script.json({})
    await client.get(THINGS, "n", "a")
    await client.create(THINGS, "n", thing("a", "1"))
    await client.create(THINGS, "n", thing("a", "1"), sub="eviction")
    await client.apply(THINGS, "n", thing("a", "1"))
    await client.merge(THINGS, "n", "a", {"status": {"x": None}}, "status")
    await client.delete(THINGS, "n", "a", "uid-a")
    sent = [(each.method, each.url.path.removeprefix(PATH), each.url.query.decode()) for each in script.requests]
    assert sent == [
        ("GET", "/a", ""),
        ("POST", "", "fieldManager=rynxs"),
        ("POST", "/a/eviction", "fieldManager=rynxs"),
        ("PATCH", "/a", "fieldManager=rynxs&force=true"),
        ("PATCH", "/a/status", "fieldManager=rynxs"),
        ("DELETE", "/a", ""),
    ]
    assert [each.headers["Content-Type"] for each in script.requests[3:5]] == [
        "application/apply-patch+yaml",
        "application/merge-patch+json",
    ]
    assert json.loads(script.requests[4].content) == {"status": {"x": None}}
    deletion = json.loads(script.requests[5].content)
    assert (deletion["preconditions"], deletion["propagationPolicy"]) == ({"uid": "uid-a"}, "Background")


async def test_what_is_not_there(client, script) -> None:
    script.refuse(404, "NotFound")
    script.refuse(404, "NotFound")
    assert await client.get(THINGS, "n", "a") is None
    await client.delete(THINGS, "n", "a")


async def test_a_refusal_says_why(client, script) -> None:
    script.refuse(403, "Forbidden", "things is forbidden")
    with pytest.raises(ApiError, match=rf"^GET {PATH}/a: things is forbidden$") as error:
        await client.get(THINGS, "n", "a")
    assert (error.value.code, error.value.reason) == (403, "Forbidden")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'"x"', b"\xff", b'{"a": 1'])
@pytest.mark.parametrize("code", [200, 502])
async def test_an_answer_that_is_no_object(client, script, content, code) -> None:
    script.raw(content, code)
    with pytest.raises(ApiError, match=f"the API server answered {code} without an object") as error:
        await client.create(THINGS, "n", thing("a", "1"))
    assert (error.value.code, error.value.reason) == (code, "")


@pytest.mark.parametrize("answer", [{}, {"items": None, "metadata": {}}, {"items": [], "metadata": []}, {"items": []}])
async def test_a_list_that_is_none(client, script, answer) -> None:
    script.json(answer)
    with pytest.raises(ApiError, match="answered without a list"):
        await client.list(THINGS, "n")


async def test_pages(client, script) -> None:
    script.page(thing("a", "1"), thing("b", "2"), version="7", more="token")
    script.page(thing("c", "3"), version="7")
    items, version = await client.snapshot(THINGS, "n", "x=y")
    assert ([item["metadata"]["name"] for item in items], version) == (["a", "b", "c"], "7")
    assert script.queries() == [
        {"labelSelector": "x=y", "limit": "500"},
        {"labelSelector": "x=y", "limit": "500", "continue": "token"},
    ]


async def test_pages_whose_version_the_server_has_lost(client, script) -> None:
    script.page(thing("a", "1"), version="7", more="token")
    script.refuse(410, "Expired")
    with pytest.raises(ApiError) as error:
        await client.list(THINGS)
    assert error.value.code == 410


async def test_deleting_another_one_of_that_name_is_nothing(client, script) -> None:
    script.refuse(409, "Conflict", "Precondition failed: UID in precondition: uid-a, UID in object meta: other")
    script.json(thing("a", "9", uid="other"))
    await client.delete(THINGS, "n", "a", "uid-a")
    script.refuse(409, "Conflict")
    script.refuse(404, "NotFound")
    await client.delete(THINGS, "n", "a", "uid-a")


async def test_a_conflict_about_the_very_one_is_an_error(client, script) -> None:
    script.refuse(409, "Conflict", "try again")
    script.json(thing("a", "9"))
    with pytest.raises(ApiError, match="try again"):
        await client.delete(THINGS, "n", "a", "uid-a")
    script.refuse(409, "Conflict", "try again")
    with pytest.raises(ApiError, match="try again"):
        await client.delete(THINGS, "n", "a")


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(client) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(httpx2.ReadTimeout, match=r"no answer within 30 s$"):
        await client.get(THINGS, "n", "a")
    assert asyncio.get_running_loop().time() - began == 30


async def test_nor_is_one_that_drips(client, script) -> None:
    script.raw(Stream(*[b" ", 9.0] * 100))
    with pytest.raises(httpx2.ReadTimeout):
        await client.get(THINGS, "n", "a")


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), ConfigError("token file not found")])
async def test_a_token_that_can_not_be_read_is_an_error_of_the_request(client, script, error) -> None:
    script.fail(error)
    with pytest.raises(httpx2.RequestError, match=r"^GET .*(No such file|token file not found)"):
        await client.get(THINGS, "n", "a")


async def events_of(client: Client, version: str = "5") -> list[str]:
    async with client.watch(THINGS, version, 15, labels="x=y") as events:
        return [each["type"] + each["object"]["metadata"].get("name", "") async for each in events]


async def test_a_watch(client, script) -> None:
    script.watch(event("ADDED", thing("a", "6")), 3.0, {"type": "BOOKMARK", "object": {"metadata": {}}})
    assert await events_of(client) == ["ADDEDa", "BOOKMARK"]
    assert script.queries() == [
        {
            "labelSelector": "x=y",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "5",
            "timeoutSeconds": "15",
        }
    ]


async def test_a_watch_in_odd_pieces(client, script) -> None:
    first, second = (json.dumps(event("ADDED", thing(name, "6"))).encode() for name in "ab")
    script.watch(first[:9], first[9:], b"\n", b"\n" + second[:1], second[1:])
    assert await events_of(client) == ["ADDEDa", "ADDEDb"]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x0b"])
async def test_what_ends_a_line_for_python_ends_no_event(client, script, character) -> None:
    """Go writes U+0085 into JSON as it is."""
    item = thing("a", "6", annotations={"said": f"one{character}two"})
    content = json.dumps(event("ADDED", item), ensure_ascii=character == "\x0b").encode()
    script.watch(content + b"\n")
    async with client.watch(THINGS, "5", 15) as events:
        [found] = [each async for each in events]
    assert found["object"]["metadata"]["annotations"]["said"] == f"one{character}two"


async def test_errors_of_a_watch(client, script) -> None:
    script.refuse(410, "Expired", "too old")
    with pytest.raises(ApiError, match="too old") as error:
        await events_of(client)
    assert error.value.code == 410
    gone = {"code": 410, "reason": "Expired", "message": "too old resource version", "metadata": {}}
    script.watch(event("ADDED", thing("a", "6")), {"type": "ERROR", "object": gone})
    with pytest.raises(ApiError, match="too old resource version") as error:
        await events_of(client)
    assert error.value.code == 410
    script.watch({"type": "ERROR", "object": {"metadata": {}}})
    with pytest.raises(ApiError) as error:
        await events_of(client)
    assert error.value.code == 0


@pytest.mark.parametrize("line", [b'{"type": "ADDED", "obj', b"[]", b"{}", b'{"type": "ADDED", "object": null}'])
async def test_what_is_no_event(client, script, line) -> None:
    script.watch(line)
    with pytest.raises(ApiError, match="which is no event"):
        await events_of(client)


async def test_a_connection_that_breaks(client, script) -> None:
    script.watch(event("ADDED", thing("a", "6")), httpx2.ReadError("reset"))
    with pytest.raises(httpx2.ReadError):
        await events_of(client)


async def test_a_watch_that_is_not_taken_up(client) -> None:
    with pytest.raises(httpx2.ReadTimeout, match="no answer within 10 s"):
        await events_of(client)
