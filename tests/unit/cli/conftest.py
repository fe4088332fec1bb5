"""The command line against a server that the test plays."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import httpx2
import pytest

from rynxs.cli.main import main

TOKEN = "t" * 43
PROBLEM = {"Content-Type": "application/problem+json"}


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def rynxs(monkeypatch, capfd, tmp_path):
    """Run a command line in this process."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RYNXS_TOKEN", raising=False)
    monkeypatch.delenv("RYNXS_SERVER", raising=False)
    monkeypatch.setenv("TZ", "UTC")

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["rynxs", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(ended.value.code or 0, out, err)

    return run


class Server:
    """Answers each request with what `answer` gives; `requests` are those that came."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.answer = lambda request: httpx2.Response(500, text="unexpected")

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)

    def says(self, status: int, body, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = lambda request: httpx2.Response(status, content=content, headers=headers)

    def refuses(self, status: int, detail: str) -> None:
        self.says(status, {"type": "urn:rynxs:problem:x", "title": "x", "status": status, "detail": detail}, **PROBLEM)

    def streams(self, *events) -> None:
        body = b"".join(
            b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps(data).encode()) for name, data in events
        )
        self.says(200, body, **{"Content-Type": "text/event-stream"})


@pytest.fixture
def server(monkeypatch, rynxs) -> Server:
    """In the place of the network."""
    played = Server()
    real = httpx2.Client

    def client(**options):
        return real(transport=httpx2.MockTransport(played), **options)

    monkeypatch.setattr(httpx2, "Client", client)
    monkeypatch.setenv("RYNXS_TOKEN", TOKEN)
    return played
