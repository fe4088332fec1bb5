"""Port forwards: bytes to a pod and back through an API server that the test plays."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from lightkube import KubeConfig
from websockets.sync.server import serve

from rynxs.cluster import portforward as portforward_module
from rynxs.cluster.kubeconfig import Unusable
from rynxs.cluster.portforward import PROTOCOL, PortForward
from rynxs.operator.certificate import Authority

PORTS = (b"\x00\x90\x1f", b"\x01\x90\x1f")
"""What begins each channel: its number, and port 8080."""


class Server:
    """The API server. `pod` is called with each stream; `requests` are those that came."""

    def __init__(self, tls=None) -> None:
        self.requests = []
        self.pod = echo
        self.refuse = None
        self.server = serve(
            self._connected,
            "127.0.0.1",
            0,
            ssl=tls,
            subprotocols=[PROTOCOL],
            process_request=self._request,
            compression=None,
        )
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def config(self, scheme="http", **cluster):
        user = {"token": "secret"}
        return KubeConfig.from_dict(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"{scheme}://127.0.0.1:{self.port}", **cluster}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": user}],
                "current-context": "c",
            }
        ).get()

    def _request(self, connection, request):
        self.requests.append(request)
        if self.refuse is None:
            return None
        response = connection.respond(self.refuse[0], "")
        response.body = self.refuse[1]
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(response.body))
        return response

    def _connected(self, stream):
        with contextlib.suppress(Exception):
            self.pod(stream)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()


def echo(stream):
    for begin in PORTS:
        stream.send(begin)
    for message in stream:
        stream.send(message)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def exchange(port, data, size=None):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        return received(connection, size or len(data))


def received(connection, size):
    got = b""
    while len(got) < size and (part := connection.recv(65536)):
        got += part
    return got


def test_bytes_go_and_come(server) -> None:
    with PortForward(server.config(), "rynxs-system", "rynxs-gateway-x", 8443) as forward:
        assert exchange(forward.port, b"hello") == b"hello"
        big = bytes(range(256)) * 4096
        assert exchange(forward.port, big) == big
        assert forward.problem == ""
    first, _ = server.requests
    assert first.path == "/api/v1/namespaces/rynxs-system/pods/rynxs-gateway-x/portforward?ports=8443"
    assert first.headers["Authorization"] == "Bearer secret"
    assert first.headers["Sec-WebSocket-Protocol"] == "v4.channel.k8s.io"


def test_many_connections_at_once(server) -> None:
    with PortForward(server.config(), "n", "p", 80) as forward, contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection(("127.0.0.1", forward.port), 5)) for _ in range(10)]
        for number, connection in enumerate(made):
            connection.sendall(b"%d" % number)
        assert [received(connection, 1) for connection in made] == [b"%d" % number for number in range(10)]


def test_what_the_pod_ends_ends_here(server) -> None:
    def answer(stream):
        for begin in PORTS:
            stream.send(begin)
        stream.recv()
        stream.send(b"\x00bye")

    server.pod = answer
    with PortForward(server.config(), "n", "p", 80) as forward:
        assert exchange(forward.port, b"hello", 100) == b"bye"


def test_what_is_ended_here_ends_at_the_pod(server) -> None:
    over = threading.Event()

    def wait(stream):
        for _ in stream:
            pass
        over.set()

    server.pod = wait
    with PortForward(server.config(), "n", "p", 80) as forward:
        socket.create_connection(("127.0.0.1", forward.port), 5).close()
        assert over.wait(5)


def test_a_port_that_nobody_listens_on(server) -> None:
    def fail(stream):
        for begin in PORTS:
            stream.send(begin)
        stream.send(b"\x01failed to connect to localhost:9: connection refused")
        stream.recv()

    server.pod = fail
    with PortForward(server.config(), "n", "p", 9) as forward:
        assert exchange(forward.port, b"hello") == b""
        assert forward.problem == "failed to connect to localhost:9: connection refused"


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        (
            (HTTPStatus.FORBIDDEN, json.dumps({"message": 'pods "p" is forbidden: User "ci" cannot'}).encode()),
            'pods "p" is forbidden: User "ci" cannot',
        ),
        ((HTTPStatus.BAD_GATEWAY, b"<html>"), "server rejected WebSocket connection: HTTP 502"),
        ((HTTPStatus.NOT_FOUND, b"[]"), "server rejected WebSocket connection: HTTP 404"),
    ],
)
def test_the_words_of_an_api_server_that_refuses(server, refusal, problem) -> None:
    server.refuse = refusal
    with PortForward(server.config(), "n", "p", 80) as forward:
        assert broken(forward.port)
        assert forward.problem == problem


def broken(port):
    try:
        return exchange(port, b"hello") == b""
    except ConnectionError:
        return True


def test_an_api_server_that_is_away(server) -> None:
    config = server.config()
    server.close()
    with PortForward(config, "n", "p", 80) as forward:
        assert broken(forward.port)
        assert "Connect call failed" in forward.problem
    server.thread.join()


def test_an_api_server_that_does_not_answer(monkeypatch) -> None:
    monkeypatch.setattr(portforward_module, "OPEN_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server()
        server.close()
        server.port = silent.getsockname()[1]
        with PortForward(server.config(), "n", "p", 80) as forward:
            assert broken(forward.port)
            assert "timed out" in forward.problem


@pytest.mark.parametrize("nonsense", ["text", b"", b"\x00", b"\x01", b"\x07\x00\x00"])
def test_nonsense_does_no_harm(server, nonsense) -> None:
    def speak(stream):
        stream.send(nonsense)
        echo(stream)

    server.pod = speak
    with PortForward(server.config(), "n", "p", 80) as forward:
        exchange(forward.port, b"hello", 1)
        with socket.create_connection(("127.0.0.1", forward.port), 5):
            pass


def test_names_are_not_paths(server) -> None:
    with PortForward(server.config(), "../x", "a/b?c", 80) as forward:
        exchange(forward.port, b"x")
    assert server.requests[0].path == "/api/v1/namespaces/..%2Fx/pods/a%2Fb%3Fc/portforward?ports=80"


@pytest.fixture
def certified(tmp_path):
    authority = Authority.create("ca", datetime.now(UTC))
    for name, content in authority.sign("kubernetes", ["localhost"], datetime.now(UTC)).items():
        (tmp_path / name).write_bytes(content)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    made = Server(tls)
    yield made
    made.close()


def test_the_api_server_must_be_the_one_of_the_kubeconfig(certified, tmp_path) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(Authority.create("other", datetime.now(UTC)).certificate)
    with PortForward(certified.config("https", **{"certificate-authority": str(other)}), "n", "p", 80) as forward:
        assert broken(forward.port)
        assert "certificate verify failed" in forward.problem
    assert certified.requests == []
    ours = certified.config("https", **{"certificate-authority": str(tmp_path / "ca.crt")})
    named = ours._replace(
        cluster=type(ours.cluster)(f"https://localhost:{certified.port}", ours.cluster.certificate_auth)
    )
    with PortForward(named, "n", "p", 80) as forward:
        assert exchange(forward.port, b"hello") == b"hello"


def test_tls_both_ways_at_once(certified, tmp_path) -> None:
    """Both ways are busy all the time: two threads at one TLS connection would sooner or later stand still."""
    config = certified.config("https", **{"certificate-authority": str(tmp_path / "ca.crt")})
    cluster = type(config.cluster)(f"https://localhost:{certified.port}", config.cluster.certificate_auth)
    data = bytes(range(256)) * 16_384
    with PortForward(config._replace(cluster=cluster), "n", "p", 80) as forward:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", forward.port), 10) as connection:
                sending = threading.Thread(target=connection.sendall, args=(data,))
                sending.start()
                assert received(connection, len(data)) == data
                sending.join()
        assert forward.problem == ""


def test_credentials_that_can_not_be_used(server) -> None:
    with pytest.raises(Unusable, match="its certificates can't be used"):
        PortForward(server.config("https", **{"certificate-authority": "/nowhere"}), "n", "p", 80)


def test_after_the_end_nothing_is_left(server) -> None:
    with PortForward(server.config(), "n", "p", 80) as forward:
        connection = socket.create_connection(("127.0.0.1", forward.port), 5)
        connection.sendall(b"x")
        assert received(connection, 1) == b"x"
    with connection:
        assert connection.recv(1) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", forward.port), 1)
