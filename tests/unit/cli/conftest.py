"""The command line against a server that the test plays."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import pytest
import yaml

from rynxs.cli import cluster as cluster_module
from rynxs.cli.main import main
from rynxs.operator.certificate import Authority

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
    for name in ("RYNXS_TOKEN", "RYNXS_SERVER", "RYNXS_CONTEXT", "KUBECONFIG", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
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


class Cluster:
    """A cluster with an installation, in the place of its API server and of the way to its pods.

    `forwards` are the ports of pods that were forwarded, `problem` is what goes wrong with them; the gateway is the
    `server`.
    """

    def __init__(self, api, path) -> None:
        self.api = api
        self.path = path
        self.forwards: list[tuple[str, str, int]] = []
        self.problem = ""
        self.port = 1234
        labels = {"app.kubernetes.io/name": "rynxs", "app.kubernetes.io/component": "gateway"}
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.put("pods", "rynxs-gateway-x", labels, status=ready)
        authority = Authority.create("rynxs", datetime.now(UTC)).certificate.decode()
        self.put("configmaps", "rynxs-trust", data={"ca.crt": authority})
        self.write({"token": "of-the-context"})

    def put(self, plural, name, labels=None, namespace="rynxs-system", **item) -> None:
        metadata = {"name": name, "namespace": namespace, "labels": labels or {}, "uid": f"uid-{name}"}
        self.api.objects[plural, namespace, name] = {"metadata": metadata, **item}

    def write(self, user, **changes) -> None:
        config = {
            "current-context": "prod",
            "clusters": [{"name": "c", "cluster": {"server": "https://kubernetes:6443"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("prod", "test")],
            "users": [{"name": "u", "user": user}],
        }
        self.path.write_text(yaml.safe_dump(config | changes))

    @contextlib.asynccontextmanager
    async def client(self, config, manager):
        assert (config.cluster.server, manager) == ("https://kubernetes:6443", "rynxs-cli")
        yield self.api

    @contextlib.contextmanager
    def forward(self, config, namespace, pod, port):
        self.forwards.append((namespace, pod, port))
        yield self


@pytest.fixture
def cluster(monkeypatch, rynxs, api, server, tmp_path) -> Cluster:
    made = Cluster(api, tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(made.path))
    monkeypatch.setattr(cluster_module, "Client", made.client)
    monkeypatch.setattr(cluster_module, "PortForward", made.forward)
    monkeypatch.delenv("RYNXS_TOKEN")
    return made
