"""The files of an image: which there are, and where links lead. What is in them is not kept.

Layers are laid over each other as the OCI image-spec says (layer changesets, whiteouts).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from rynxs.computer.tar import BadTar, Member

MAX_FILES = 2_000_000
MAX_NAMES = 64 << 20
"""Characters of all names and targets: with MAX_FILES the most that an image can make us keep."""

_HOPS = 40
"""Links that are followed to find one file, as in Linux."""

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"

Node: TypeAlias = "dict[str, Node] | str | None"
"""A folder, the target of a link, or any other file."""


class Found(NamedTuple):
    """What a path leads to: `blocked` when a file is where a folder should be. `path` has no links in it."""

    kind: Literal["folder", "file", "missing", "blocked"]
    path: str
    folder: dict[str, Node]


class FileTree:
    """An empty tree at first."""

    def __init__(self) -> None:
        self.root: dict[str, Node] = {}
        self._files = 0
        self._names = 0

    def apply(self, layer: Iterable[Member]) -> None:
        """Lay a layer over it: first what it takes away, which is never its own. Raises BadTar."""
        added: list[tuple[list[str], Member]] = []
        for member in layer:
            self._files += 1
            self._names += len(member.name) + len(member.target)
            if self._files > MAX_FILES or self._names > MAX_NAMES:
                raise BadTar(f"it has more than {MAX_FILES} files, or names that are too long")
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if ".." in parts:
                raise BadTar(f"the file {member.name[:200]!r} would be outside of the image")
            if not parts:
                continue
            if parts[-1].startswith(_WHITEOUT):
                self._remove(parts)
            else:
                added.append((parts, member))
        for parts, member in added:
            if member.kind == "folder":
                self.add(parts, {})
            elif member.kind == "link":
                self.add(parts, member.target)
            else:
                self.add(parts, None)

    def add(self, parts: list[str], node: Node) -> None:
        """Put a file there, in place of what was there; a folder keeps what it has. Links above it are followed."""
        folder = self.root
        for end, part in enumerate(parts[:-1], start=1):
            below = folder.get(part)
            if isinstance(below, str):
                found = self.find("/".join(parts[:end]))
                below = found.folder if found.kind == "folder" else None
            if not isinstance(below, dict):
                below = folder[part] = {}
            folder = below
        if not (node == {} and isinstance(folder.get(parts[-1]), dict)):
            folder[parts[-1]] = node

    def find(self, path: str) -> Found:
        """What is there, links followed inside of the image."""
        todo = path.split("/")[::-1]
        names: list[str] = []
        folders = [self.root]
        hops = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if names:
                    names.pop()
                    folders.pop()
                continue
            here = "/" + "/".join([*names, part])
            if part not in folders[-1]:
                rest = [each for each in todo[::-1] if each not in ("", ".")]
                return Found("missing", "/".join([here, *rest]), {})
            node = folders[-1][part]
            if isinstance(node, str):
                hops += 1
                if hops > _HOPS:
                    return Found("blocked", here, {})
                if node.startswith("/"):
                    names, folders = [], [self.root]
                todo += node.split("/")[::-1]
            elif isinstance(node, dict):
                names.append(part)
                folders.append(node)
            else:
                left = any(each not in ("", ".") for each in todo)
                return Found("blocked" if left else "file", here, {})
        return Found("folder", "/" + "/".join(names), folders[-1])

    def _remove(self, parts: list[str]) -> None:
        folder = self.find("/".join(parts[:-1])).folder
        if parts[-1] == _OPAQUE:
            folder.clear()
        else:
            folder.pop(parts[-1].removeprefix(_WHITEOUT), None)
