"""REST: answers whole and as events, refusals as problem documents, agents, and the log."""

from __future__ import annotations

import asyncio
import json

import pytest

from rynxs.action.outcome import Ending
from rynxs.computer.client import ConnectionLost
from rynxs.gateway import http
from rynxs.gateway.http import encoded, trace_of
from rynxs.gateway.refusal import Forbidden

ACTIONS = "/v1/namespaces/team-a/agents/dev/actions"
GOOD = {"tool": "shell_exec", "args": {"argv": ["good"]}}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def events_of(response):
    """The server-sent events of a response."""
    found = []
    for block in response.text.split("\n\n")[:-1]:
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_whole_answer(world) -> None:
    async with world.http() as client:
        response = await client.post(ACTIONS, json=GOOD | {"id": (id_ := world.id())})
    answer = response.json()
    assert (response.status_code, answer["action"]) == (200, id_)
    assert answer["decision"]["rule"] == "coder/good"
    assert (answer["outcome"]["ending"], answer["outcome"]["result"]) == ("Finished", {"exit_code": 0})
    assert answer["stdout"] == {"content": "hello\n", "encoding": "utf-8"}
    assert "stderr" not in answer


async def test_an_answer_as_events(world) -> None:
    async with world.http() as client:
        response = await client.post(ACTIONS, json=GOOD, headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream"
    (first, decided), (second, output), (third, end) = events_of(response)
    assert (first, second, third) == ("decided", "output", "outcome")
    assert decided["decision"]["effect"] == "Allow"
    assert output == {"stream": "stdout", "content": "hello\n", "encoding": "utf-8"}
    assert (end["action"], end["outcome"]["ending"]) == (decided["action"], "Finished")


async def test_a_retry_gets_the_outcome_without_output(world) -> None:
    id_ = world.id()
    async with world.http() as client:
        first = (await client.post(ACTIONS, json=GOOD | {"id": id_})).json()
        await asyncio.sleep(0.01)
        again = (await client.post(ACTIONS, json=GOOD | {"id": id_})).json()
    assert again == {key: first[key] for key in ("action", "decision", "outcome")}
    assert len(world.runs) == 1


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_denial(world, accept) -> None:
    body = {"tool": "shell_exec", "args": {"argv": ["bad"]}}
    async with world.http() as client:
        response = await client.post(ACTIONS, json=body, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")
    problem = response.json()
    assert (problem["type"], problem["rule"]) == ("urn:rynxs:problem:denied", "coder/bad")
    assert (await world.events())[0].data["action"]["id"] == problem["action"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is not an action"),
        (b"\xff", "the body is not an action"),
        (b"[" * 100_000, "the body is not an action"),
        (b'{"args": {}}', "missing required field `tool`"),
        (b'{"tool": "shell_exec", "approval": "x"}', "unknown field `approval`"),
        (b'{"tool": "rm"}', "there is no tool 'rm'"),
        (b'{"tool": "shell_exec", "args": {"argv": ["good"]}, "id": "1"}', "is not a UUIDv7"),
        (b'{"tool": "file_write", "args": {"path": "a", "content": "\\ud800"}}', "the body is not an action"),
    ],
)
async def test_rubbish(world, body, detail) -> None:
    async with world.http() as client:
        response = await client.post(ACTIONS, content=body)
    assert response.status_code == 400
    assert detail in response.json()["detail"]
    assert world.journal == []


async def test_a_body_over_the_limit(world, monkeypatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1000)
    async with world.http() as client:
        assert (await client.post(ACTIONS, content=b" " * 1001)).json()[
            "detail"
        ] == "the body is longer than 1000 bytes"


async def test_statuses_of_refusals(world) -> None:
    id_ = world.id()
    async with world.http() as client:
        assert (await client.post("/v1/namespaces/team-a/agents/nobody/actions", json=GOOD)).status_code == 404
        await client.post(ACTIONS, json=GOOD | {"id": id_})
        other = {"tool": "shell_exec", "args": {"argv": ["good", "x"]}, "id": id_}
        assert (await client.post(ACTIONS, json=other)).status_code == 409
        world.store.broken = True
        stopped = await client.post(ACTIONS, json=GOOD)
    assert (stopped.status_code, stopped.headers["retry-after"]) == (503, "5")


async def test_an_outcome_that_can_not_be_recorded(world) -> None:
    async def break_(connection, run):
        world.store.broken = True
        yield connection.say(run, b"x")
        raise ConnectionLost("gone")

    world.behave = break_
    async with world.http() as client:
        response = await client.post(ACTIONS, json=GOOD, headers={"Accept": "text/event-stream"})
    name, problem = events_of(response)[-1]
    assert (name, problem["type"], problem["status"]) == ("problem", "urn:rynxs:problem:unrecorded", 500)


async def test_a_gateway_that_leaves_says_what_goes_on(world) -> None:
    world.behave = world.hang
    id_ = world.id()
    async with world.http() as client:
        whole = asyncio.create_task(client.post(ACTIONS, json=GOOD | {"id": id_}))
        stream = asyncio.create_task(
            client.post(ACTIONS, json=GOOD | {"id": id_}, headers={"Accept": "text/event-stream"})
        )
        await world.until("run")
        await asyncio.sleep(0.1)
        await world.pipeline.leave()
        answer = await whole
        assert (answer.status_code, "retry-after" in answer.headers) == (503, False)
        assert (answer.json()["type"], answer.json()["action"]) == ("urn:rynxs:problem:left", id_)
        name, problem = events_of(await stream)[-1]
        assert (name, problem["action"]) == ("problem", id_)


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", ACTIONS, ("use", "team-a", "dev")),
        ("GET", "/v1/agents", ("list", "", "")),
        ("GET", "/v1/namespaces/team-a/agents", ("list", "team-a", "")),
        ("GET", "/v1/namespaces/team-a/agents/dev", ("get", "team-a", "dev")),
        ("GET", "/v1/log/shard-0/events", ("read-log", "", "")),
    ],
)
async def test_each_request_needs_its_right(world, monkeypatch, method, path, asked) -> None:
    wanted = []

    async def authorize(principal, verb, namespace="", agent=""):
        wanted.append((principal.name, verb, namespace, agent))
        raise Forbidden("no")

    monkeypatch.setattr(world.identity, "authorize", authorize)
    async with world.http() as client:
        response = await client.request(method, path, json=GOOD if method == "POST" else None)
    assert response.status_code == 403
    assert wanted == [("alice", *asked)]


@pytest.mark.parametrize("accept", [b"application/json", b"text/event-stream"])
async def test_a_client_who_leaves_cancels_the_action(world, accept) -> None:
    world.behave = world.hang
    left = asyncio.Event()
    coming = iter([{"type": "http.request", "body": json.dumps(GOOD).encode(), "more_body": False}])

    async def receive():
        message = next(coming, None)
        if message is None:
            await left.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": ACTIONS,
        "raw_path": ACTIONS.encode(),
        "query_string": b"",
        "headers": [(b"host", b"gateway"), (b"authorization", b"Bearer alice"), (b"accept", accept)],
    }
    serving = asyncio.create_task(world.app()(scope, receive, send))
    await world.until("run")
    left.set()
    await serving
    await world.until("Cancelled", "settle")


async def test_agents(world) -> None:
    async with world.http() as client:
        everywhere = (await client.get("/v1/agents")).json()["items"]
        there = (await client.get("/v1/namespaces/team-a/agents")).json()["items"]
        elsewhere = (await client.get("/v1/namespaces/other/agents")).json()["items"]
        one = (await client.get("/v1/namespaces/team-a/agents/dev")).json()
        missing = await client.get("/v1/namespaces/team-a/agents/x")
    assert [item["agent"]["metadata"]["name"] for item in everywhere] == ["dev", "web"]
    assert there == everywhere
    assert elsewhere == []
    assert one == everywhere[0]
    assert (one["uid"], one["created"]) == ("uid-dev", "2026-11-23T14:00:00Z")
    assert missing.status_code == 404


async def test_the_log(world) -> None:
    await world.ask("good")
    async with world.http() as client:

        async def seqs(**query):
            response = await client.get("/v1/log/shard-0/events", params=query)
            assert response.headers["content-type"] == "application/x-ndjson"
            return [json.loads(line)["seq"] for line in response.text.splitlines()]

        everything = await seqs()
        assert everything == list(range(world.shard.size))
        assert await seqs(after=0) == everything[1:]
        assert await seqs(last=1) == everything[-1:]
        assert await seqs(last=0) == []
        assert await seqs(last=10_000, after=-5) == everything
        assert await seqs(after=10**30) == []
        for name, value in (("after", "x"), ("last", "1.5"), ("last", "")):
            response = await client.get("/v1/log/shard-0/events", params={name: value})
            assert response.status_code == 400
            assert f"query parameter {name}" in response.json()["detail"]
        assert (await client.get("/v1/log/shard-9/events")).status_code == 404


async def test_the_trace_of_the_caller_is_recorded(world) -> None:
    async with world.http() as client:
        await client.post(ACTIONS, json=GOOD, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert (await world.events())[0].trace_id == TRACE


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        ("", ""),
        ("00-short-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}", ""),
    ],
)
def test_trace_ids(header, trace) -> None:
    assert trace_of(header) == trace


def test_bytes_in_json() -> None:
    assert encoded("ü".encode()) == {"content": "ü", "encoding": "utf-8"}
    assert encoded(b"\xff") == {"content": "/w==", "encoding": "base64"}


async def test_output_that_is_no_text(world) -> None:
    async def bytes_(connection, run):
        yield connection.say(run, b"\xc3")
        yield connection.say(run, b"\xbc")
        yield connection.say(run, b"\xff", "stderr")
        async for message in world.finish(connection, run):
            if not hasattr(message, "data"):
                yield message

    world.behave = bytes_
    async with world.http() as client:
        answer = (await client.post(ACTIONS, json=GOOD)).json()
    assert answer["stdout"] == {"content": "ü", "encoding": "utf-8"}
    assert answer["stderr"] == {"content": "/w==", "encoding": "base64"}
    assert answer["outcome"]["ending"] == Ending.FINISHED
