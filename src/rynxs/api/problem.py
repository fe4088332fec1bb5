"""Problems: what is wrong with a value of a manifest, where, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One thing wrong at `path` (`spec.rules[1].when`; empty for the whole document)."""

    path: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        """`path: reason (did you mean 'x'?)`."""
        meant = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        return f"{self.path}: {self.reason}{meant}" if self.path else self.reason + meant


class InvalidField(ValueError):
    """What a Struct's `__post_init__` raises; `problem.path` starts at that Struct."""

    def __init__(self, path: str, reason: str, suggestion: str = "") -> None:
        self.problem = Problem(path, reason, suggestion)
        super().__init__(str(self.problem))


def near(word: str, known: Iterable[str]) -> str:
    """Find the known word that was probably meant by `word`, or an empty string."""
    return next(iter(difflib.get_close_matches(word[:64], sorted(known), n=1)), "")


def join(path: str, more: str) -> str:
    """`path` extended by `more`: a field, an index (`[1]`) or a path; either may be empty."""
    return path + more if not path or not more or more.startswith("[") else f"{path}.{more}"


def shown(value: object) -> str:
    """Quote a value for a message: on one line, shortened."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 66 else f"{text[:62]}...{text[-1]}"
