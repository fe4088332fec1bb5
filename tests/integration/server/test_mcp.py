"""The official MCP client against a real server, in both protocol versions."""

from __future__ import annotations

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_an_agent_works_by_mcp(server, mode, version) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    said: list[str] = []

    async def progress(_: float, __: float | None, message: str | None) -> None:
        said.append(message or "")

    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        transport = streamable_http_client(f"{server.url}/agents/default/dev/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            assert client.protocol_version == version
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"shell_exec", "file_read", "file_write", "file_list", "file_delete"}
            wrote = await client.call_tool("file_write", {"path": "a/b", "content": "hello"})
            assert wrote.structured_content == {"size": 5}
            ran = await client.call_tool(
                "shell_exec", {"argv": ["sh", "-c", "cat a/b; exit 3"]}, progress_callback=progress
            )
            assert ran.structured_content is not None
            assert (ran.structured_content["exit_code"], ran.structured_content["stdout"]) == (3, "hello")
            assert "".join(said) == "hello"
            denied = await client.call_tool("shell_exec", {"argv": ["rm", "a/b"]})
            assert denied.is_error
            assert "denied by coder/no-rm" in denied.content[0].text
            wrong = await client.call_tool("shell_exec", {"argv": "rm"})
            assert wrong.is_error
    assert sum(event["type"] == "action.decided" for event in server.events()) == 3
