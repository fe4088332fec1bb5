"""HTTP pieces that REST and MCP share: problem documents, bounded bodies, bytes in JSON, callers who leave."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from rynxs.gateway.refusal import Invalid, Refusal

MAX_BODY = 6 * 1024 * 1024
"""Most bytes of a request's body."""


class Json(Response):
    """Any value that msgspec encodes, as application/json."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The content's JSON."""
        return msgspec.json.encode(content)


def problem(refusal: Refusal) -> Response:
    """The refusal as an RFC 9457 problem document, with Retry-After and WWW-Authenticate where they belong."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    response = Json(refusal.problem(), status_code=refusal.status, headers=headers)
    response.headers["Content-Type"] = "application/problem+json"
    return response


async def body_of(request: Request) -> bytes:
    """The whole body. Raises Invalid when it is longer than MAX_BODY."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise Invalid(f"the body is longer than {MAX_BODY} bytes")
        parts.append(part)
    return b"".join(parts)


def encoded(data: bytes) -> dict[str, str]:
    """Bytes for JSON: as text where they are UTF-8, else in base64."""
    try:
        return {"content": data.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"content": base64.b64encode(data).decode(), "encoding": "base64"}


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C Trace Context header, or empty."""
    parts = traceparent.split("-")
    well_formed = len(parts) >= 4 and len(parts[1]) == 32 and all(c in "0123456789abcdef" for c in parts[1])
    return parts[1] if well_formed else ""


async def while_connected(receive: Receive, work: Awaitable[None]) -> None:
    """Await `work`, and cancel it when the client disconnects. The request's body must have been read."""
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
