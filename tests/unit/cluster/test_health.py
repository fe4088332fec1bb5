"""What the kubelet is told, and what becomes of those who ask otherwise."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.cluster import health
from rynxs.cluster.health import Health


async def ask(port, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


@pytest.fixture
async def port():
    async with Health(lambda: reasons[0]).listening(0, "127.0.0.1") as port:
        reasons = [""]
        yield port, reasons


@pytest.mark.parametrize(
    ("reason", "path", "code", "text"),
    [
        ("", "/livez", 200, "ok"),
        ("", "/readyz", 200, "ok"),
        ("waiting for the store", "/livez", 200, "ok"),
        ("waiting for the störe", "/readyz", 503, "waiting for the störe"),
        ("", "/metrics", 404, "there are /livez and /readyz"),
    ],
)
async def test_what_it_says(port, reason, path, code, text) -> None:
    number, reasons = port
    reasons[0] = reason
    answer = await ask(number, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {code} ")
    assert f"Content-Length: {len(body.encode())}" in head
    assert body == f"{text}\n"


async def test_only_get(port) -> None:
    assert (await ask(port[0], b"POST /livez HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404")


@pytest.mark.parametrize("sent", [b"x" * 20_000 + b"\r\n\r\n", b"\x00\xff\r\n\r\n"])
async def test_nonsense_harms_nobody(port, sent) -> None:
    try:
        await ask(port[0], sent)
    except ConnectionError:
        pass
    assert "200" in await ask(port[0], b"GET /livez HTTP/1.1\r\n\r\n")


async def test_who_asks_too_slowly_is_left(monkeypatch) -> None:
    monkeypatch.setattr(health, "_PATIENCE", 0.05)
    async with Health(lambda: "").listening(0, "127.0.0.1") as port:
        assert await ask(port, b"GET /livez HTTP/1.1\r\n") == ""


async def test_it_ends_with_its_context() -> None:
    async with Health(lambda: "").listening(0, "127.0.0.1") as port:
        pass
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
