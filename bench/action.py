"""Governed actions end to end: a real server (log fsynced), a kept HTTP connection, a bubblewrap computer.

Reports medians of one run: from `apply` to the end of the first command, `shell_exec ["true"]`, `file_read` of
1 KiB, a denied action, and the same command through MCP; and `true` without any of it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

POLICY = """
---
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: bench}
spec:
  selector: {}
  rules:
  - {name: files, tools: [file_read, file_write], when: "true", effect: Allow}
  - {name: run, tools: [shell_exec], when: 'action.args.argv[0] == "true"', effect: Allow}
"""
AGENT = """
---
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: %s}
"""


async def timed(call: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """Milliseconds of each call, one after the other."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        await call()
        times.append((time.perf_counter() - start) * 1000)
    return times


def show(name: str, times: list[float]) -> None:
    """One line."""
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name:<44} p50 {statistics.median(times):7.2f} ms   p99 {p99:7.2f} ms   n={len(times)}", flush=True)


async def measure(url: str, token: str) -> None:
    """Everything, against the server at `url`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client:

        async def act(agent: str, tool: str, args: dict, status: int = 200) -> None:
            response = await client.post(
                f"/v1/namespaces/default/agents/{agent}/actions", json={"tool": tool, "args": args}
            )
            assert response.status_code == status, response.text

        async def apply(manifest: str) -> None:
            response = await client.post("/v1/manifests", content=manifest)
            assert response.status_code == 200, response.text

        await apply(POLICY)
        names = iter(f"cold-{i}" for i in range(100))

        async def create() -> None:
            name = next(names)
            await apply(AGENT % name)
            await act(name, "shell_exec", {"argv": ["true"]})

        show("create to the end of the first command", await timed(create, 20))
        await apply(AGENT % "warm")
        await act("warm", "file_write", {"path": "k", "content": "x" * 1024})

        async def true() -> None:
            await act("warm", "shell_exec", {"argv": ["true"]})

        await timed(true, 50)
        kept = Kept(url, token)
        show('shell_exec ["true"], REST, kept connection', kept.timed("shell_exec", {"argv": ["true"]}, 200))
        show("file_read of 1 KiB, REST", kept.timed("file_read", {"path": "k"}, 200))
        show("denied, REST", kept.timed("shell_exec", {"argv": ["rm"]}, 403))
        show('shell_exec ["true"], REST, by httpx2', await timed(true, 500))

        for callers in (8, 32):
            start, count = time.perf_counter(), 40
            await asyncio.gather(*(timed(true, count) for _ in range(callers)))
            rate = callers * count / (time.perf_counter() - start)
            print(f"{f'shell_exec true, {callers} callers':<44} {rate:7.0f} /s", flush=True)

        transport = streamable_http_client(f"{url}/agents/default/warm/mcp", http_client=client)
        async with Client(transport) as mcp:

            async def call() -> None:
                result = await mcp.call_tool("shell_exec", {"argv": ["true"]})
                assert not result.is_error

            await timed(call, 20)
            show('shell_exec ["true"], MCP', await timed(call, 200))


class Kept:
    """One kept connection of the standard library's client: it costs less than what is measured."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"))
        self._headers = {"Authorization": f"Bearer {token}"}

    def timed(self, tool: str, args: dict, status: int) -> list[float]:
        """Milliseconds of 500 actions, one after the other."""
        times = []
        body = json.dumps({"tool": tool, "args": args})
        for _ in range(500):
            start = time.perf_counter()
            self._connection.request("POST", "/v1/namespaces/default/agents/warm/actions", body, self._headers)
            response = self._connection.getresponse()
            response.read()
            times.append((time.perf_counter() - start) * 1000)
            assert response.status == status
        return times


def bare() -> list[float]:
    """Milliseconds to spawn `true` from here, without Rynxs."""
    times = []
    for _ in range(200):
        start = time.perf_counter()
        subprocess.run(["true"], check=True)
        times.append((time.perf_counter() - start) * 1000)
    return times


def main() -> None:
    """Start a server of our own, measure, end it."""
    show("true, by subprocess.run", bare())
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "rynxs"), "serve", "--data", f"{folder}/data"]
        server = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_STATE_HOME": f"{folder}/state"},
        )
        try:
            assert server.stdout is not None
            banner = server.stdout.readline()
            url = next(word for word in banner.split() if word.startswith("http://"))
            token = Path(folder, "data", "token").read_text().strip()
            asyncio.run(measure(url, token))
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
