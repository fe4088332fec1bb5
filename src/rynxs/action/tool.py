"""The tools: one name, one argument type, one result type for MCP, REST, policy, log and docs.

Argument types are msgspec Structs. Their JSON Schema (2020-12) is what clients see, their field types are
what policy rules are checked against, and decoding into them is the validation: unknown fields are refused.
The computer's daemon imports this module, so it imports nothing but msgspec.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(pattern="^[^\\x00]*$")]
"""A string that may become an argument, a path or an environment value: no NUL."""

Path = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^[^\\x00]*$")]
"""A path in the workspace: relative to it, or absolute below /workspace."""

Encoding = Literal["utf-8", "base64"]
"""How bytes travel in JSON: as text, or in base64 (RFC 4648 section 4) when they are not UTF-8."""

MAX_CONTENT = 2 * 1024 * 1024
"""Most characters of one `content` or `stdin`."""


class ShellExec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a program with arguments (no shell in between) and stream what it prints."""

    argv: Annotated[list[Text], Meta(min_length=1, max_length=4096, description="Program and arguments.")]
    cwd: Annotated[Path, Meta(description="Working directory, in the workspace.")] = "."
    env: Annotated[dict[Text, Text], Meta(max_length=256, description="Added to the environment.")] = {}
    stdin: Annotated[str, Meta(max_length=MAX_CONTENT, description="Given on standard input.")] = ""
    timeout: Annotated[float, Meta(gt=0, le=86400, description="Seconds until the whole process tree is killed.")] = (
        60.0
    )


class FileRead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a file of the workspace."""

    path: Path
    offset: Annotated[int, Meta(ge=0, description="First byte.")] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_CONTENT, description="Most bytes.")] = 1024 * 1024


class FileWrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write a whole file of the workspace, atomically; missing folders are made."""

    path: Path
    content: Annotated[str, Meta(max_length=MAX_CONTENT)]
    encoding: Encoding = "utf-8"
    executable: bool = False


class FileList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List a folder of the workspace, sorted by name."""

    path: Path = "."
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Most entries.")] = 1000


class FileDelete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delete a file, a link or a folder of the workspace."""

    path: Path
    recursive: Annotated[bool, Meta(description="Also a folder that is not empty.")] = False


Args = ShellExec | FileRead | FileWrite | FileList | FileDelete


class ShellResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the program ended. Exactly one of `exit_code` and `signal` is set once it ran to an end."""

    exit_code: int | None = None
    signal: int | None = None

    def __post_init__(self) -> None:
        if (self.exit_code is None) == (self.signal is None):
            raise ValueError("exactly one of exit_code and signal must be set")


class FileContent(Struct, frozen=True, kw_only=True):
    """Bytes of a file; `size` is the whole file's."""

    content: str
    encoding: Encoding
    size: int


class FileWritten(Struct, frozen=True, kw_only=True):
    """What was written, in bytes."""

    size: int


class Entry(Struct, frozen=True, kw_only=True):
    """One entry of a folder. `size` is in bytes, `modified` in seconds since the epoch."""

    name: str
    kind: Literal["file", "directory", "link", "other"]
    size: int
    modified: float


class FileEntries(Struct, frozen=True, kw_only=True):
    """Entries of a folder; `truncated` when there are more than the limit."""

    entries: list[Entry]
    truncated: bool


class FileDeleted(Struct, frozen=True, kw_only=True):
    """How many files, links and folders were deleted."""

    count: int


class Tool(Struct, frozen=True, kw_only=True):
    """One capability: `args` and `result` are the Struct types; `title` is for people."""

    name: str
    title: str
    args: type[Struct]
    result: type[Struct]
    read_only: bool

    @property
    def description(self) -> str:
        """The first line of the argument type's docstring."""
        return (self.args.__doc__ or "").splitlines()[0]

    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments, without `$ref` at its root (MCP wants an object there)."""
        return _inline(self.args)

    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the result."""
        return _inline(self.result)


def _inline(type_: type[Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(type_)
    definitions = schema.get("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(value) for key, value in node.items() if key != "$defs"}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = resolve(schema)
    return inlined


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(name="shell_exec", title="Run a program", args=ShellExec, result=ShellResult, read_only=False),
        Tool(name="file_read", title="Read a file", args=FileRead, result=FileContent, read_only=True),
        Tool(name="file_write", title="Write a file", args=FileWrite, result=FileWritten, read_only=False),
        Tool(name="file_list", title="List a folder", args=FileList, result=FileEntries, read_only=True),
        Tool(name="file_delete", title="Delete a file", args=FileDelete, result=FileDeleted, read_only=False),
    )
}
"""Every tool by its name."""
