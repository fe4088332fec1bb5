"""MCP over streamable HTTP: every agent is a server with its computer's tools (2026-07-28 and 2025-11-25).

One low-level server and one stateless session manager serve all agents; the path says which one. The SDK does not
validate arguments against the schemas: the pipeline does.
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from starlette.requests import Request
from starlette.routing import Route

from rynxs import __version__
from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.action.tool import TOOLS, ShellResult, Tool
from rynxs.computer.protocol import Output
from rynxs.gateway.execution import Execution, Recorded
from rynxs.gateway.http import MAX_BODY, encoded, trace_of
from rynxs.gateway.identity import Identity
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.refusal import Refusal
from rynxs.gateway.registry import Registry

Context = ServerRequestContext[Any, Request]


class McpEndpoint:
    """The route `/agents/{namespace}/{name}/mcp`; `lifespan` must be entered while it serves."""

    def __init__(self, pipeline: Pipeline, registry: Registry, identity: Identity) -> None:
        self._pipeline = pipeline
        self._registry = registry
        self._identity = identity
        server: Server[Any] = Server(
            "rynxs",
            version=__version__,
            instructions="Tools of a governed computer. Every call is decided by policy first, and recorded.",
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=_input_schema,
        )
        self._manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=MAX_BODY)
        self.route = Route("/agents/{namespace}/{name}/mcp", StreamableHTTPASGIApp(self._manager))

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run the SDK's session manager. Enter once."""
        async with self._manager.run():
            yield

    async def _list_tools(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        try:
            await self._agent(context)
        except Refusal as refusal:
            raise MCPError(code=types.INVALID_PARAMS, message=str(refusal)) from refusal
        return types.ListToolsResult(tools=_TOOLS)

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            namespace, name = await self._agent(context)
            request = _http(context)
            async with self._pipeline.action(
                request.state.principal,
                namespace,
                name,
                params.name,
                params.arguments or {},
                trace_id=trace_of(request.headers.get("traceparent", "")),
            ) as execution:
                return await _result(context, execution)
        except Refusal as refusal:
            # A refused action is a result the model should read and act on, not a failure of the protocol.
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=str(refusal))],
                is_error=True,
                _meta={"rynxs.dev/problem": refusal.problem()},
            )

    async def _agent(self, context: Context) -> tuple[str, str]:
        request = _http(context)
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        await self._identity.authorize(request.state.principal, "use", namespace, name)
        self._registry.agent(namespace, name)
        return namespace, name


def _input_schema(tool: str) -> dict[str, Any] | None:
    """For the SDK's check of headers; else it would list the tools again for every call."""
    return next((listed.input_schema for listed in _TOOLS if listed.name == tool), None)


def _http(context: Context) -> Request:
    assert context.request is not None, "streamable HTTP gives every call its request"
    return context.request


async def _result(context: Context, execution: Execution | Recorded) -> types.CallToolResult:
    kept: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    outcome = Outcome(ending=Ending.INTERRUPTED)
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in kept}
    count = 0
    async for item in execution.follow():
        if isinstance(item, Output):
            kept[item.stream].append(item.data)
            count += 1
            await context.session.report_progress(count, message=decoders[item.stream].decode(item.data))
        else:
            outcome = item
    stdout = _shown(b"".join(kept["stdout"]), outcome.stdout, "stdout")
    stderr = _shown(b"".join(kept["stderr"]), outcome.stderr, "stderr")
    text = stdout + stderr + _ending(outcome)
    structured = dict(outcome.result or {})
    if outcome.stdout is not None:
        structured |= {"stdout": stdout, "stderr": stderr}
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=structured if outcome.ending is Ending.FINISHED else None,
        is_error=outcome.ending is not Ending.FINISHED,
        _meta={
            "rynxs.dev/action": execution.id,
            "rynxs.dev/rule": execution.decision.rule,
            "rynxs.dev/outcome": msgspec.to_builtins(outcome.ending),
        },
    )


def _shown(data: bytes, captured: Captured | None, stream: str) -> str:
    shown = encoded(data)
    text = shown["content"] if shown["encoding"] == "utf-8" else f"[{stream} in base64] {shown['content']}"
    if captured is not None and captured.dropped:
        text += f"\n[{stream} cut: {captured.dropped} bytes more]\n"
    return text


def _ending(outcome: Outcome) -> str:
    if outcome.ending is not Ending.FINISHED:
        return f"\n[{outcome.ending}] {outcome.error}"
    result = outcome.result or {}
    if "content" in result:
        return str(result["content"])
    if "exit_code" in result or "signal" in result:
        ended = f"exit code {result['exit_code']}" if "exit_code" in result else f"signal {result['signal']}"
        return "" if result.get("exit_code") == 0 else f"\n[{ended}]"
    return msgspec.json.encode(result).decode()


def _tool(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema(),
        output_schema=_output_schema(tool),
        annotations=types.ToolAnnotations(read_only_hint=tool.read_only, open_world_hint=False),
    )


def _output_schema(tool: Tool) -> dict[str, Any]:
    """The result's schema; programs' output is part of it here, since some clients show nothing else."""
    schema = tool.output_schema()
    if tool.result is ShellResult:
        schema["properties"] |= {"stdout": {"type": "string"}, "stderr": {"type": "string"}}
    return schema


_TOOLS = [_tool(tool) for tool in TOOLS.values()]
