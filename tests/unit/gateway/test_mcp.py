"""MCP by the official client, in both protocol versions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest
from jsonschema import Draft202012Validator
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.action.tool import TOOLS

MODES = {"2026-07-28": "2026-07-28", "legacy": "2025-11-25"}
PATH = "/agents/team-a/dev/mcp"


@pytest.fixture(params=MODES)
def mode(request) -> str:
    return request.param


@contextlib.asynccontextmanager
async def connected(world, mode, path=PATH, token="alice"):
    async with (
        world.http(token) as http,
        Client(streamable_http_client(f"http://gateway{path}", http_client=http), mode=mode) as client,
    ):
        yield client


def text_of(result) -> str:
    return "".join(part.text for part in result.content)


def calls(tool):
    """Arguments that policy allows."""
    return {
        "shell_exec": {"argv": ["good"]},
        "file_read": {"path": "a"},
        "file_write": {"path": "a", "content": "text"},
        "file_list": {},
        "file_delete": {"path": "a"},
    }[tool]


async def test_the_tools_and_their_schemas(world, mode) -> None:
    async with connected(world, mode) as client:
        assert client.protocol_version == MODES[mode]
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == list(TOOLS)
    for name, tool in TOOLS.items():
        assert tools[name].input_schema == tool.input_schema()
        assert tools[name].annotations.read_only_hint is tool.read_only
        Draft202012Validator.check_schema(tools[name].input_schema)
        Draft202012Validator.check_schema(tools[name].output_schema)


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_result_conforms_to_its_schema(world, mode, tool) -> None:
    async with connected(world, mode) as client:
        schema = {each.name: each for each in (await client.list_tools()).tools}[tool].output_schema
        result = await client.call_tool(tool, calls(tool))
    assert not result.is_error
    Draft202012Validator(schema).validate(result.structured_content)
    assert (await world.events())[0].data["action"]["id"] == result.meta["rynxs.dev/action"]


async def test_output_and_progress(world, mode) -> None:
    async def program(connection, run):
        for part in (b"one \xc3", b"\xbc\n", b"two\n"):
            yield connection.say(run, part)
        yield connection.say(run, b"oops\n", "stderr")
        captured = Captured(sha256="0" * 64, bytes=1)
        result = Outcome(ending=Ending.FINISHED, result={"exit_code": 3}, stdout=captured, stderr=captured)
        yield connection.end(run, result)

    seen = []

    async def progress(count, total, message):
        seen.append((count, message))

    world.behave = program
    async with connected(world, mode) as client:
        result = await client.call_tool("shell_exec", {"argv": ["good"]}, progress_callback=progress)
    assert sorted(seen) == [(1.0, "one "), (2.0, "ü\n"), (3.0, "two\n"), (4.0, "oops\n")]
    assert text_of(result) == "one ü\ntwo\noops\n\n[exit code 3]"
    assert result.structured_content == {"exit_code": 3, "stdout": "one ü\ntwo\n", "stderr": "oops\n"}
    assert not result.is_error
    assert result.meta["rynxs.dev/rule"] == "coder/good"
    assert result.meta["rynxs.dev/outcome"] == "Finished"


async def test_output_that_was_cut_and_output_that_is_no_text(world, mode) -> None:
    async def program(connection, run):
        yield connection.say(run, b"\xff\xfe")
        captured = Captured(sha256="0" * 64, bytes=2, dropped=98)
        yield connection.end(run, Outcome(ending=Ending.FINISHED, result={"signal": 9}, stdout=captured))

    world.behave = program
    async with connected(world, mode) as client:
        result = await client.call_tool("shell_exec", {"argv": ["good"]})
    assert text_of(result) == "[stdout in base64] //4=\n[stdout cut: 98 bytes more]\n\n[signal 9]"


async def test_a_file_is_shown_as_it_is(world, mode) -> None:
    async with connected(world, mode) as client:
        assert text_of(await client.call_tool("file_read", {"path": "a"})) == "text"


@pytest.mark.parametrize(
    ("tool", "args", "kind", "text"),
    [
        ("shell_exec", {"argv": ["bad"]}, "denied", "denied by coder/bad: Not here. (action "),
        ("shell_exec", {"argv": [1]}, "invalid", "Expected `str`, got `int`"),
        ("shell_exec", {"argv": ["good"], "more": 1}, "invalid", "unknown field `more`"),
        ("rm", {}, "invalid", "there is no tool 'rm'"),
    ],
)
async def test_a_refusal_is_a_result_for_the_model(world, mode, tool, args, kind, text) -> None:
    async with connected(world, mode) as client:
        result = await client.call_tool(tool, args)
    assert result.is_error
    assert text in text_of(result)
    assert result.meta["rynxs.dev/problem"]["type"] == f"urn:rynxs:problem:{kind}"
    assert world.runs == []


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.TIMED_OUT, Ending.INTERRUPTED])
async def test_an_action_that_did_not_finish(world, mode, ending) -> None:
    async def program(connection, run):
        yield connection.end(run, Outcome(ending=ending, error="it did not work"))

    world.behave = program
    async with connected(world, mode) as client:
        result = await client.call_tool("shell_exec", {"argv": ["good"]})
    assert result.is_error
    assert text_of(result) == f"\n[{ending}] it did not work"
    assert result.structured_content is None


async def test_a_computer_that_lies_about_its_result(world, mode) -> None:
    async def program(connection, run):
        yield connection.end(run, Outcome(ending=Ending.FINISHED, result={"exit_code": "none"}))

    world.behave = program
    async with connected(world, mode) as client:
        result = await client.call_tool("shell_exec", {"argv": ["good"]})
    assert result.is_error
    assert "it may have happened" in text_of(result)


async def test_no_such_agent(world, mode, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        async with connected(world, mode, "/agents/team-a/nobody/mcp") as client:
            with pytest.raises(MCPError, match="there is no agent nobody"):
                await client.list_tools()
            result = await client.call_tool("shell_exec", {"argv": ["good"]})
    assert "there is no agent nobody" in text_of(result)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_who_may_not_use_the_agent(world, mode) -> None:
    async with connected(world, mode, token="eve") as client:
        result = await client.call_tool("shell_exec", {"argv": ["good"]})
    assert "eve may not use" in text_of(result)
    assert world.journal == []


async def test_a_body_over_the_limit(world) -> None:
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    async with world.http(**headers) as client:
        assert (await client.post(PATH, content=b" " * (6 * 1024 * 1024 + 1))).status_code == 413
        assert (await client.post(PATH, content=b"[")).status_code == 400


async def test_a_client_who_leaves_cancels_the_action(world, mode) -> None:
    world.behave = world.hang
    call = {"name": "shell_exec", "arguments": {"argv": ["good"]}}
    headers = [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer alice"),
        (b"accept", b"application/json, text/event-stream"),
        (b"content-type", b"application/json"),
        (b"mcp-protocol-version", MODES[mode].encode()),
    ]
    if mode != "legacy":
        call["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": mode,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers += [(b"mcp-method", b"tools/call"), (b"mcp-name", b"shell_exec")]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode()
    coming = iter([{"type": "http.request", "body": body, "more_body": False}])
    left = asyncio.Event()

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
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": headers,
    }
    app = world.app()
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(app(scope, receive, send))
        await world.until("run")
        left.set()
        await serving
        await world.until("Cancelled", "settle")
