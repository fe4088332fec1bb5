"""REST: one resource for actions, one for agents, one for the log. Errors are RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rynxs.action.outcome import Outcome
from rynxs.computer.protocol import Output
from rynxs.eventlog import Event, Log
from rynxs.eventlog.event import MAX_SEQ
from rynxs.gateway.execution import Execution, Recorded
from rynxs.gateway.http import Json, body_of, encoded, problem, trace_of, while_connected
from rynxs.gateway.identity import Identity
from rynxs.gateway.openapi import document
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.refusal import Invalid, NotFound, Refusal
from rynxs.gateway.registry import Registered, Registry
from rynxs.gateway.shard import Shard


class ActionBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST .../actions`. `id` is a UUIDv7; give one to make a retry safe."""

    tool: str
    args: dict[str, Any] = {}
    id: str | None = None


def routes(pipeline: Pipeline, registry: Registry, identity: Identity, log: Log, shard: Shard) -> list[Route]:
    """The routes below /v1. The caller is in `request.state.principal`."""

    async def act(request: Request) -> Response:
        body = _decode(await body_of(request))
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        await identity.authorize(request.state.principal, "use", namespace, name)
        return _ActionResponse(pipeline, request, namespace, name, body)

    async def list_agents(request: Request) -> Response:
        namespace = request.path_params.get("namespace")
        await identity.authorize(request.state.principal, "list", namespace or "")
        found = [item for item in registry.agents() if namespace in (None, item.agent.metadata.namespace)]
        return Json({"items": [_agent(item) for item in found]})

    async def get_agent(request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        await identity.authorize(request.state.principal, "get", namespace, name)
        return Json(_agent(registry.agent(namespace, name)))

    async def read_log(request: Request) -> Response:
        await identity.authorize(request.state.principal, "read-log")
        if request.path_params["stream"] != shard.stream:
            raise NotFound(
                f"there is no stream {request.path_params['stream']!r} here; this gateway has {shard.stream}"
            )
        after, last = _integer(request, "after", -1), _integer(request, "last", shard.size)
        events = log.follow if request.query_params.get("follow") == "true" else log.read
        lines = _lines(events(shard.stream, max(after, shard.size - 1 - last)))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def openapi(_: Request) -> Response:
        return Json(document())

    agents = "/v1/namespaces/{namespace}/agents"
    return [
        Route(agents + "/{name}/actions", act, methods=["POST"]),
        Route(agents + "/{name}", get_agent, methods=["GET"]),
        Route(agents, list_agents, methods=["GET"]),
        Route("/v1/agents", list_agents, methods=["GET"]),
        Route("/v1/log/{stream}/events", read_log, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
    ]


class _ActionResponse(Response):
    """Runs the action while the client stays, and answers as it asked: one JSON object, or server-sent events."""

    def __init__(self, pipeline: Pipeline, request: Request, namespace: str, name: str, body: ActionBody) -> None:
        super().__init__()
        self._action: Callable[[], Any] = lambda: pipeline.action(
            request.state.principal,
            namespace,
            name,
            body.tool,
            body.args,
            id_=body.id,
            trace_id=trace_of(request.headers.get("traceparent", "")),
        )
        self._streams = "text/event-stream" in request.headers.get("accept", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._stream if self._streams else self._whole
        await while_connected(receive, answer(scope, receive, send))

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._action() as execution:
                response: Response = Json(await whole_answer(execution))
        except Refusal as refusal:
            response = problem(refusal)
        await response(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            async with self._action() as execution:
                headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                started = True
                decision = {"action": execution.id, "decision": execution.decision}
                await send(_server_sent("decided", decision))
                async for item in execution.follow():
                    if isinstance(item, Output):
                        await send(_server_sent("output", {"stream": item.stream} | encoded(item.data)))
                    else:
                        await send(_server_sent("outcome", {"action": execution.id, "outcome": item}))
        except Refusal as refusal:
            if not started:
                await problem(refusal)(scope, receive, send)
                return
            await send(_server_sent("problem", refusal.problem()))
        await send({"type": "http.response.body", "body": b""})


async def whole_answer(execution: Execution | Recorded) -> dict[str, Any]:
    """Everything of one action: decision, outcome, and the whole output of its two streams."""
    kept: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    outcome: Outcome | None = None
    async for item in execution.follow():
        if isinstance(item, Output):
            kept[item.stream].append(item.data)
        else:
            outcome = item
    answer: dict[str, Any] = {"action": execution.id, "decision": execution.decision, "outcome": outcome}
    if isinstance(execution, Execution):
        answer |= {stream: encoded(b"".join(parts)) for stream, parts in kept.items() if parts}
    return answer


def _decode(body: bytes) -> ActionBody:
    try:
        return msgspec.json.decode(body, type=ActionBody)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"the body is not an action: {error}") from error


def _server_sent(event: str, data: Any) -> dict[str, Any]:
    body = b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data))
    return {"type": "http.response.body", "body": body, "more_body": True}


def _integer(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    try:
        number = int(value)
    except ValueError as error:
        raise Invalid(f"query parameter {name} is {value!r}: give a whole number") from error
    return min(number, MAX_SEQ)


def _agent(registered: Registered) -> dict[str, Any]:
    return {"uid": registered.uid, "created": registered.created, "agent": registered.agent}


async def _lines(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    async for event in events:
        yield msgspec.json.encode(event) + b"\n"
