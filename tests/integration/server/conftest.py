"""A real server of local mode, in its own process and folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

RYNXS = str(Path(sys.executable).parent / "rynxs")

MANIFESTS = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, labels: {role: coder}}
spec:
  workspace: {size: 64Mi, retain: Delete}
---
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder}
spec:
  selector: {matchLabels: {role: coder}}
  rules:
  - {name: files, tools: [file_read, file_write, file_list, file_delete], when: "true", effect: Allow}
  - name: run
    tools: [shell_exec]
    when: action.args.argv[0] in ["sh", "true", "cat", "printf", "sleep"]
    effect: Allow
  - name: no-rm
    tools: [shell_exec]
    when: action.args.argv[0] == "rm"
    effect: Deny
    message: Nothing is removed here.
"""


class LocalServer:
    """`rynxs serve` and the commands that talk to it."""

    program = RYNXS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "PYTHONWARNINGS": "error"}
        self.environment.pop("RYNXS_TOKEN", None)
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, *options: str, entry: tuple[str, ...] = (RYNXS,)) -> str:
        """Start it; gives its first line."""
        command = [*entry, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        banner = self.process.stdout.readline()
        if "http://" not in banner:
            _, problem = self.process.communicate(timeout=30)
            raise AssertionError(f"the server did not start: {banner}{problem}")
        self.url = next(word for word in banner.split() if word.startswith("http://"))
        self.environment["RYNXS_SERVER"] = self.url
        return banner

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal it and wait; gives exit code, the rest of stdout, and stderr."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=30)
        code, self.process = self.process.returncode, None
        return code, out, err

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One command."""
        return subprocess.run(
            [RYNXS, *args], env=self.environment, input=stdin, capture_output=True, text=True, timeout=60
        )

    def apply(self, manifests: str = MANIFESTS) -> subprocess.CompletedProcess[str]:
        """`rynxs apply -f -`."""
        return self.run("apply", "-f", "-", stdin=manifests)

    @property
    def token(self) -> str:
        """The token."""
        return (self.data / "token").read_text().strip()

    def http(self, **more: Any) -> httpx2.Client:
        """A client with the token."""
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, **more)

    def act(self, tool: str, args: dict[str, Any], **more: Any) -> httpx2.Response:
        """One action of agent dev by REST."""
        with self.http() as client:
            body = {"tool": tool, "args": args} | more
            return client.post("/v1/namespaces/default/agents/dev/actions", json=body)

    def events(self) -> list[dict[str, Any]]:
        """Every event of the log, read from its objects."""
        found = []
        for path in sorted((self.data / "log" / "streams" / "shard-0").iterdir()):
            lines = path.read_text().splitlines()
            found += [json.loads(line) for line in lines[1:-1]]
        return found


@pytest.fixture
def idle_server(tmp_path: Path) -> Iterator[LocalServer]:
    """Not started yet; ended whatever happens."""
    server = LocalServer(tmp_path)
    yield server
    if server.process is not None:
        server.process.kill()
        server.process.communicate()


@pytest.fixture
def server(idle_server: LocalServer) -> LocalServer:
    """Started, with one agent."""
    idle_server.start()
    applied = idle_server.apply()
    assert applied.returncode == 0, applied.stderr
    return idle_server
