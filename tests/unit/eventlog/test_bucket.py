"""Buckets: what of a server's answers counts as what. Real servers are in tests/contract."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from rynxs.eventlog.bucket import BucketStore, Credentials
from rynxs.eventlog.store import Exists, Missing, StoreError

KEYS = Credentials("key", "secret")


@pytest.fixture
async def server():
    """An S3 server that answers as `answers` says, by method; `requests` are the request lines that came."""

    made = SimpleNamespace(answers={}, requests=[])

    async def answer(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                made.requests.append((method, path, body, head))
                code = made.answers.get(method, 200)
                writer.write(f'HTTP/1.1 {code} X\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'.encode())
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


@pytest.fixture
def store(server):
    return BucketStore("s3://bucket/some/prefix/", endpoint=server.url + "/", credentials=KEYS)


@pytest.mark.parametrize(
    "url", ["bucket", "https://bucket/x", "s3://", "s3:///x", "s3://b/x?y", "s3://b/x#y", "s3://b/../x", "s3://b/a//b"]
)
def test_what_is_no_bucket(url) -> None:
    with pytest.raises(ValueError, match=r"bucket|key"):
        BucketStore(url, credentials=KEYS)


@pytest.mark.parametrize(("url", "shown"), [("s3://b", "s3://b"), ("s3://b/", "s3://b"), ("s3://b/a/b/", "s3://b/a/b")])
def test_its_name(url, shown) -> None:
    assert BucketStore(url, credentials=KEYS).url == shown


async def test_a_create_is_conditional(server, store) -> None:
    await store.create("a/b", b"data")
    [(method, path, body, head)] = server.requests
    assert (method, path, body) == ("PUT", "/bucket/some/prefix/a/b", b"data")
    assert b"if-none-match: *" in head.lower()


@pytest.mark.parametrize("code", [412, 409])
async def test_what_exists(server, store, code) -> None:
    server.answers = {"PUT": code}
    with pytest.raises(Exists):
        await store.create("a", b"data")


@pytest.mark.parametrize("head", [404, 503])
async def test_a_conflict_where_nothing_is_means_nothing(server, store, head) -> None:
    """S3 answers 409 while another request for the key is on its way, which may yet come to nothing."""
    server.answers = {"PUT": 409, "HEAD": head}
    with pytest.raises(StoreError) as caught:
        await store.create("a", b"data")
    assert not isinstance(caught.value, Exists)


@pytest.mark.parametrize("code", [500, 503, 403, 404, 429])
async def test_a_failed_create_is_sent_once(server, store, code) -> None:
    """A second PUT by the client itself would meet the first one and call our own success a conflict."""
    server.answers = {"PUT": code}
    with pytest.raises(StoreError) as caught:
        await store.create("a", b"data")
    assert not isinstance(caught.value, Exists | Missing)
    assert [method for method, *_ in server.requests] == ["PUT"]
    assert str(caught.value).startswith("s3://bucket/some/prefix/a: ")
    assert "\n" not in str(caught.value)


async def test_what_is_missing(server, store) -> None:
    server.answers = {"GET": 404}
    with pytest.raises(Missing, match="s3://bucket/some/prefix/a does not exist"):
        await store.get("a")


@pytest.mark.parametrize("code", [403, 500])
async def test_a_failed_get(server, store, code) -> None:
    server.answers = {"GET": code}
    with pytest.raises(StoreError, match="s3://bucket/some/prefix/a: ") as caught:
        await store.get("a")
    assert not isinstance(caught.value, Missing)


async def test_nobody_listens(unused_tcp_port) -> None:
    store = BucketStore("s3://b", endpoint=f"http://127.0.0.1:{unused_tcp_port}", credentials=KEYS)
    with pytest.raises(StoreError, match="s3://b/a: "):
        await store.create("a", b"")
    with pytest.raises(StoreError, match="s3://b/a: "):
        await store.get("a")
    with pytest.raises(StoreError, match="s3://b/a: "):
        [key async for key in store.list("a")]


async def test_the_environment_s_keys(server, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    await BucketStore("s3://b", endpoint=server.url).create("a", b"")
    [(*_, head)] = server.requests
    assert b"Credential=from-the-environment/" in head
