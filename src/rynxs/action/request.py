"""Requests: who asks which agent's computer to do what, validated and in canonical form."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from rynxs.action.tool import TOOLS, Tool
from rynxs.eventlog import time_of

RETRY_WINDOW = 3600.0
"""Seconds for which an action id given by a caller is remembered. An older id is refused, not run."""

FUTURE_SKEW = 300.0
"""Seconds that a caller's clock may be ahead of ours."""


class InvalidRequest(Exception):
    """The request is not one of ours: unknown tool, wrong arguments, bad id. The message names the field."""


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks: a name and the groups it is in."""

    name: str
    groups: list[str] = []


class AgentRef(Struct, frozen=True, kw_only=True):
    """Which agent: `uid` tells two lives of one name apart."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        """`namespace/name`, as events name it."""
        return f"{self.namespace}/{self.name}"


class Request(Struct, frozen=True, kw_only=True):
    """One request to use one tool. `args` is an instance of the tool's argument type."""

    id: str
    agent: AgentRef
    principal: Principal
    tool: Tool
    args: Struct

    @property
    def key(self) -> tuple[str, str]:
        """What an action id is unique in: the agent."""
        return (self.agent.uid, self.id)

    def canonical_args(self) -> bytes:
        """The arguments as JSON with sorted keys, defaults filled in."""
        return msgspec.json.encode(self.args, order="sorted")

    def digest(self) -> str:
        """`sha256:<hex>` over agent, principal, tool and arguments: what an action id is bound to."""
        parts = [self.agent.uid, self.principal.name, self.tool.name]
        body = msgspec.json.encode(parts) + self.canonical_args()
        return "sha256:" + hashlib.sha256(body).hexdigest()


def parse_args(tool: str, args: Any) -> tuple[Tool, Struct]:
    """The tool and its validated arguments from JSON values. Raises InvalidRequest naming tool and field."""
    known = TOOLS.get(tool)
    if known is None:
        raise InvalidRequest(f"there is no tool {tool!r}; the tools are {', '.join(sorted(TOOLS))}")
    try:
        decoded = msgspec.convert(args, known.args)
        msgspec.json.encode(decoded).decode()
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(f"arguments of {tool}: {error}") from error
    return known, decoded


def check_id(id_: str, now: float) -> None:
    """Accept an action id given by a caller: a UUIDv7 (RFC 9562) not older than the retry window.

    `now` is in seconds since the epoch. Raises InvalidRequest.
    """
    try:
        made = time_of(id_)
    except ValueError as error:
        raise InvalidRequest(f"action id {id_!r} is not a UUIDv7 (RFC 9562) in lower case") from error
    if made < now - RETRY_WINDOW:
        raise InvalidRequest(
            f"action id {id_} is older than the retry window of {RETRY_WINDOW:.0f} s: it may have run; "
            "look in the log, and use a new id to run it again"
        )
    if made > now + FUTURE_SKEW:
        raise InvalidRequest(f"action id {id_} carries a time in the future: check the clock")
