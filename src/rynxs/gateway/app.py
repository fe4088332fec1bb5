"""The gateway's ASGI application: authentication around REST and MCP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from rynxs.eventlog import Log
from rynxs.gateway.http import problem
from rynxs.gateway.identity import Identity
from rynxs.gateway.mcp import McpEndpoint
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.refusal import Forbidden, NotFound, Refusal, Unauthenticated
from rynxs.gateway.registry import Registry
from rynxs.gateway.rest import routes
from rynxs.gateway.shard import Shard


def create_app(
    pipeline: Pipeline,
    registry: Registry,
    identity: Identity,
    log: Log,
    shard: Shard,
    *,
    hosts: Sequence[str],
    more_routes: Sequence[Route] = (),
) -> Starlette:
    """The application of one gateway.

    `hosts` are the names it answers to (the Host header without its port): a page that a browser was led to by
    another name can't reach it. Requests with an Origin are refused: no page has business here.
    """
    mcp = McpEndpoint(pipeline, registry, identity)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with mcp.lifespan():
            yield

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return problem(error)

    async def missing(request: Request, _: Exception) -> Response:
        return problem(NotFound(f"there is nothing at {request.url.path}; see /openapi.json"))

    return Starlette(
        routes=[*routes(pipeline, registry, identity, log, shard), *more_routes, mcp.route],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(Authentication, identity=identity),
        ],
        exception_handlers={Refusal: refused, 404: missing},
        lifespan=lifespan,
    )


class Authentication:
    """Finds out who is asking before anything else happens: every request needs a bearer token (RFC 6750)."""

    def __init__(self, app: ASGIApp, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the caller into the scope's state, or answer 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = HTTPConnection(scope).headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        try:
            if "origin" in headers:
                raise Forbidden("requests from web pages (with an Origin header) are refused")
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated("give a token: Authorization: Bearer TOKEN")
            scope.setdefault("state", {})["principal"] = await self._identity.authenticate(token.strip())
        except Refusal as refusal:
            await problem(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)
