"""The connection: the token, and what the server says as errors for people."""

from __future__ import annotations

import httpx2
import pytest

from rynxs.local.state import Server, record_server

URL = "http://127.0.0.1:8765"


@pytest.fixture
def listed(server):
    server.says(200, {"items": []})
    return server


def test_the_token_is_found_by_the_address(rynxs, listed, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("RYNXS_TOKEN")
    (tmp_path / "token").write_text("a" * 43 + "\n")
    record_server(Server(url=URL, data=str(tmp_path)))
    assert rynxs("get", "agents").code == 0
    assert listed.requests[0].headers["authorization"] == "Bearer " + "a" * 43
    assert rynxs("get", "agents", "--server", URL + "/").code == 0


def test_a_token_that_is_given_goes_first(rynxs, listed, monkeypatch) -> None:
    monkeypatch.setenv("RYNXS_TOKEN", "given\n")
    assert rynxs("get", "agents", "--server", "http://elsewhere:1").code == 0
    assert listed.requests[0].headers["authorization"] == "Bearer given"
    assert listed.requests[0].url == "http://elsewhere:1/v1/agents"


@pytest.mark.parametrize("url", [URL, "http://[", "", "http://" + "x" * 3000])
def test_a_server_that_nobody_started(rynxs, url) -> None:
    done = rynxs("get", "agents", "--server", url)
    assert done.code == 1
    assert f"no server was started at {url} by this user: give its token as RYNXS_TOKEN" in done.err


@pytest.mark.parametrize("secret", ["secret\nsecret", "secr\u00e9t", "secret secret", "sec\x7fret"])
def test_what_is_no_token_is_not_printed(rynxs, server, monkeypatch, secret) -> None:
    monkeypatch.setenv("RYNXS_TOKEN", secret)
    done = rynxs("get", "agents")
    assert (done.code, done.err) == (1, "rynxs: RYNXS_TOKEN holds no token: a token is one word of ASCII\n")
    assert server.requests == []


@pytest.mark.parametrize("content", [None, b"\xff" * 43])
def test_a_token_file_that_can_not_be_read(rynxs, tmp_path, content) -> None:
    record_server(Server(url=URL, data=str(tmp_path)))
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    done = rynxs("get", "agents")
    assert done.code == 1
    assert f"the token of {URL} can't be read: " in done.err


def raising(error):
    def answer(request):
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (httpx2.ConnectError("refused"), f"no server answers at {URL}: refused. Start one: rynxs serve --data DIR"),
        (httpx2.ConnectTimeout("slow"), f"no server answers at {URL}: slow"),
        (httpx2.RemoteProtocolError("cut"), f"{URL}: cut"),
        (httpx2.ReadError(""), f"{URL}: ReadError"),
    ],
)
def test_a_network_that_fails(rynxs, server, error, text) -> None:
    server.answer = raising(error)
    assert text in (done := rynxs("get", "agents")).err
    assert (done.code, rynxs("exec", "dev", "--", "true").code) == (1, 125)
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "ftp://x", "http://a b"])
def test_what_is_no_address(rynxs, monkeypatch, url) -> None:
    monkeypatch.setenv("RYNXS_TOKEN", "x" * 43)
    done = rynxs("get", "agents", "--server", url)
    assert done.code == 1
    assert done.err.startswith("rynxs: ")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"detail": "what happened"}', "rynxs: what happened\n"),
        (b"<html>", "rynxs: the server answered 500 <html>\n"),
        (b"[]", "rynxs: the server answered 500 []\n"),
        (b"", "rynxs: the server answered 500\n"),
    ],
)
def test_refusals_in_the_words_of_the_server(rynxs, server, body, text) -> None:
    server.says(500, body)
    done = rynxs("get", "agents")
    assert (done.code, done.err) == (1, text)
