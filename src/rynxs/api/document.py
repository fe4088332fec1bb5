"""Documents: strict YAML to JSON values.

A file means here what it means to kubectl, or it is refused: keys that are there twice, merge keys, tags,
keys that are not strings, control characters. The reader works on libyaml's events and never builds more than
the limits allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from rynxs.api.problem import Problem, join, shown
from rynxs.api.scalar import Scalar, plain

MAX_SIZE = 1024 * 1024
"""Most bytes of one file."""

MAX_DEPTH = 32
"""Most levels of mappings and lists in each other, aliases followed."""

MAX_DOCUMENTS = 1000
"""Most documents of one file."""

MAX_VALUES = 50_000
"""Most values in one document, aliases followed."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


class Document(NamedTuple):
    """One document: its `number` in the file from 1, its value, and what kept it from being read."""

    number: int
    value: Any
    problem: Problem | None


class _Read(NamedTuple):
    """A value with its size: `values` in all, `height` levels of mappings and lists."""

    value: Any
    values: int
    height: int


class _Refused(Exception):
    def __init__(self, path: str, line: int, reason: str) -> None:
        self.problem = Problem(path, f"line {line}: {reason}")
        super().__init__(str(self.problem))


class Unreadable(ValueError):
    """The file as a whole can't be read; the message says why."""


def read(text: str | bytes) -> Iterator[Document]:
    """Read the documents of a file in order, empty ones left out. Raises Unreadable before the first one.

    A document with a problem has the value None. After one that is not YAML, or far too deep, nothing is read.
    """
    loader = yaml.CSafeLoader(_decoded(text))
    try:
        yield from _documents(loader)
    finally:
        loader.dispose()


def _decoded(text: str | bytes) -> str:
    try:
        body = text.encode() if isinstance(text, str) else text
        if len(body) > MAX_SIZE:
            raise Unreadable(f"has {len(body)} bytes, over the limit of {MAX_SIZE}: split it")
        return body.decode("utf-8-sig")
    except UnicodeError as error:
        raise Unreadable(f"is not UTF-8 text (at byte {getattr(error, 'start', 0)})") from error


def _documents(loader: yaml.CSafeLoader) -> Iterator[Document]:
    number = 0
    try:
        while (event := loader.get_event()) is not None:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            number += 1
            if number > MAX_DOCUMENTS:
                yield Document(number, None, Problem("", f"is over the limit of {MAX_DOCUMENTS}: split the file"))
                return
            try:
                value = _Reader(loader).next("", 0).value
            except _Refused as refused:
                yield Document(number, None, refused.problem)
                if not _skip(loader):
                    return
            else:
                if value is not None:
                    yield Document(number, value, None)
    except yaml.YAMLError as error:
        yield Document(max(number, 1), None, Problem("", f"is not YAML: {_syntax(error)}"))


def _skip(loader: yaml.CSafeLoader) -> bool:
    """Go to the end of a document; False when what is left is too deep (libyaml takes quadratic time for it)."""
    depth = 0
    while not isinstance(event := loader.get_event(), yaml.DocumentEndEvent):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return False
    return True


def _syntax(error: yaml.YAMLError) -> str:
    mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or reason is None:
        return " ".join(str(getattr(error, "reason", error)).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}"


class _Reader:
    """Reads one document's values from a loader's events."""

    def __init__(self, loader: yaml.CSafeLoader) -> None:
        self._loader = loader
        self._anchors: dict[str, _Read | None] = {}
        self._values = 0

    def next(self, path: str, depth: int) -> _Read:
        """Read the value that begins with the loader's next event. Raises _Refused, yaml.YAMLError."""
        return self._value(self._loader.get_event(), path, depth)

    def _value(self, event: yaml.Event | None, path: str, depth: int) -> _Read:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            read = self._alias(str(event.anchor), path, line)
            self._values += read.values
        else:
            read = self._node(event, path, depth, line)
            self._values += 1
        if depth + read.height > MAX_DEPTH:
            raise _Refused(path, line, f"is nested more than {MAX_DEPTH} levels deep")
        if self._values > MAX_VALUES:
            raise _Refused(path, line, f"the document has more than {MAX_VALUES} values, aliases followed")
        return read

    def _node(self, event: yaml.Event | None, path: str, depth: int, line: int) -> _Read:
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(f"libyaml gave {event!r} where a value begins")
        if event.tag is not None:
            raise _Refused(path, line, f"tag {shown(event.tag)} is not allowed: write the plain value")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            read = _Read(_scalar(event, path, line), 1, 0)
        elif depth >= MAX_DEPTH:
            raise _Refused(path, line, f"is nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.MappingStartEvent):
            read = self._mapping(path, depth)
        else:
            read = self._sequence(path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = read
        return read

    def _alias(self, anchor: str, path: str, line: int) -> _Read:
        if anchor not in self._anchors:
            raise _Refused(path, line, f"alias *{anchor} has no anchor &{anchor} before it")
        read = self._anchors[anchor]
        if read is None:
            raise _Refused(path, line, f"alias *{anchor} is inside what it stands for")
        return read

    def _mapping(self, path: str, depth: int) -> _Read:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        values, height = 1, 0
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            line = _line(event)
            key = self._key(event, path, depth, line)
            if key in mapping:
                raise _Refused(path, line, f"key {shown(key)} is there twice (first in line {lines[key]})")
            item = self.next(join(path, key), depth + 1)
            mapping[key], lines[key] = item.value, line
            values, height = values + item.values, max(height, item.height)
        return _Read(mapping, values, height + 1)

    def _key(self, event: yaml.Event | None, path: str, depth: int, line: int) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
            raise _Refused(path, line, "merge keys (<<) are not allowed: write the fields out")
        key = self._value(event, path, depth + 1).value
        if not isinstance(key, str):
            written = event.value if isinstance(event, yaml.ScalarEvent) else "a mapping or a list"
            raise _Refused(path, line, f"key {written} is not a string: write it in quotes")
        return key

    def _sequence(self, path: str, depth: int) -> _Read:
        items: list[Any] = []
        values, height = 1, 0
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            item = self._value(event, f"{path}[{len(items)}]", depth + 1)
            items.append(item.value)
            values, height = values + item.values, max(height, item.height)
        return _Read(items, values, height + 1)


def _line(event: yaml.Event | None) -> int:
    """Give the line of the file that an event begins in, from 1."""
    mark = event.start_mark if event is not None else None
    return mark.line + 1 if mark is not None else 0


def _scalar(event: yaml.ScalarEvent, path: str, line: int) -> Scalar:
    if control := _CONTROL.search(event.value):
        raise _Refused(path, line, f"control character U+{ord(control[0]):04X} is not allowed")
    if not event.implicit[0]:
        return event.value
    try:
        return plain(event.value)
    except ValueError as error:
        raise _Refused(path, line, str(error)) from error
