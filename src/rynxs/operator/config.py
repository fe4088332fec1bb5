"""The components' configuration: one file, written by the chart, read by operator, gateway and `rynxs install`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from rynxs.api import document
from rynxs.api.metadata import Name
from rynxs.api.problem import Problem
from rynxs.api.shape import Misshapen, read
from rynxs.operator.settings import ComputerSettings

_Filled = Annotated[str, Meta(min_length=1)]


class BadConfig(Exception):
    """The configuration can't be used; the message names file and field."""


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where the log is: `s3://bucket/prefix`, at AWS in `region` unless there is an `endpoint`.

    `credentials` is the name of the Secret in the system namespace with AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY. Components have these in their environment; people who verify the log look there.
    """

    url: Annotated[str, Meta(pattern=r"^s3://[^/]+(/.*)?$", extra={"valid": "write s3://bucket/prefix"})]
    endpoint: Annotated[str, Meta(pattern=r"^https?://.+$", extra={"valid": "write http:// or https://"})] | None = None
    region: _Filled = "us-east-1"
    credentials: _Filled


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The installation: its system `namespace`, its `log`, and how its `computers` look."""

    namespace: Name
    log: LogSettings
    computers: ComputerSettings

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read the file (strict YAML). Raises BadConfig."""
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise BadConfig(f"{path}: {error.strerror}") from error

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> Config:
        """Read the file's content; `where` says in errors where it came from. Raises BadConfig."""
        try:
            documents = list(document.read(text))
        except document.Unreadable as error:
            raise BadConfig(f"{where} {error}") from error
        if len(documents) != 1:
            raise BadConfig(f"{where}: expected one YAML document, found {len(documents)}")
        value, problem = documents[0].value, documents[0].problem
        if problem is not None:
            raise BadConfig(_said(where, problem))
        try:
            return read(value, cls)
        except Misshapen as misshapen:
            raise BadConfig("; ".join(_said(where, problem) for problem in misshapen.problems)) from misshapen


def _said(where: str, problem: Problem) -> str:
    return f"{where}, {problem}" if problem.path else f"{where}: {problem}"
