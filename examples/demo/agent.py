"""The agent of the demo: a plain MCP client (the official SDK's), in a process of its own.

    agent.py URL REPOSITORY < token

It copies the repository's source into its computer, runs some of its unit tests there, and then tries what it should
not be able to do. It prints what it sees, and exits 1 when something else happened than it should.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

PYTHON = "/opt/python/bin/python3"
TESTS = ["tests/unit/action", "tests/unit/policy"]


def files_of(repository: Path) -> list[Path]:
    """What the computer needs of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src", *TESTS, "pyproject.toml"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(name) for name in listed.stdout.splitlines() if (repository / name).is_file()]


def text_of(result: CallToolResult) -> str:
    """The text that a model would see."""
    return "".join(getattr(part, "text", "") for part in result.content)


class Unexpected(Exception):
    """A step of the story did not hold."""


def expect(held: bool, what: str) -> None:
    """Raise Unexpected when a step of the story did not hold."""
    if not held:
        raise Unexpected(what)


async def story(client: Client, repository: Path) -> None:
    """The agent's day."""
    tools = await client.list_tools()
    print("  tools:", ", ".join(tool.name for tool in tools.tools))

    files = files_of(repository)
    for name in files:
        content = (repository / name).read_text()
        written = await client.call_tool("file_write", {"path": str(name), "content": content})
        expect(not written.is_error, text_of(written))
    print(f"  {len(files)} files written into the workspace, each one decided and recorded")

    print("  python3 -m pytest", *TESTS)
    print("    | ", end="")

    async def show(_: float, __: float | None, message: str | None) -> None:
        print((message or "").replace("\n", "\n    | "), end="", flush=True)

    argv = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    tests = await client.call_tool(
        "shell_exec",
        {"argv": argv, "env": {"PYTHONPATH": "/opt/site-packages:src"}, "timeout": 120},
        progress_callback=show,
    )
    expect(not tests.is_error and (tests.structured_content or {}).get("exit_code") == 0, text_of(tests))

    print("\n4. A command that policy denies")
    denied = await client.call_tool("shell_exec", {"argv": ["git", "push", "--force"]})
    print("  git push --force:", text_of(denied))
    expect(bool(denied.is_error) and "coder/no-force-push" in text_of(denied), text_of(denied))

    print("\n5. Commands that policy allows, and the computer's walls stop")
    shadow = await client.call_tool("shell_exec", {"argv": ["cat", "/etc/shadow"]})
    print("  cat /etc/shadow:", text_of(shadow).strip().replace("\n", " "))
    expect((shadow.structured_content or {}).get("exit_code") != 0, "the host's /etc/shadow could be read")
    connect = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    network = await client.call_tool("shell_exec", {"argv": [PYTHON, "-c", connect]})
    print("  connect to 192.0.2.1:", next(line for line in text_of(network).splitlines() if "Error" in line))
    expect("Network is unreachable" in text_of(network), text_of(network))


async def main() -> None:
    """Connect, and live the day."""
    url, repository = sys.argv[1], Path(sys.argv[2])
    headers = {"Authorization": f"Bearer {sys.stdin.readline().strip()}"}
    timeout = httpx2.Timeout(10, read=180)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport) as client:
            print(f"  MCP {client.protocol_version} at {url}")
            await story(client, repository)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* Unexpected as group:
        sys.exit(f"  this should not have happened: {group.exceptions[0]}")
