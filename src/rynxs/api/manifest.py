"""Manifests: the text of a file to agents and policies, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from rynxs.api import document
from rynxs.api.agent import Agent
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy, Policy
from rynxs.api.problem import Problem, near, shown
from rynxs.api.shape import Misshapen, read

API_VERSION = "rynxs.dev/v1alpha1"

Item = Agent | AgentPolicy | ClusterAgentPolicy
"""What a file may hold."""

KINDS: dict[str, type[Item]] = {kind.__name__: kind for kind in (Agent, AgentPolicy, ClusterAgentPolicy)}
"""The kinds a file may hold. A `List` is refused: separate documents say the same."""

Check = Callable[[Sequence[Policy]], Sequence[tuple[Policy, Problem]]]
"""Finds what else is wrong with policies; it is `rynxs.policy.engine.check` (this package is below that)."""


class ManifestError(Struct, frozen=True, kw_only=True):
    """One thing wrong in a file. `document` counts from 1 and is None when the whole file is meant.

    `object` (`agentpolicy/coder`) is empty when the document does not say what it is.
    """

    source: str
    document: int | None
    object: str
    problem: Problem

    def __str__(self) -> str:
        """`coder.yaml, document 2 (agentpolicy/coder), spec.rules[1].when: reason (did you mean 'x'?)`."""
        place = self.source
        if self.document is not None:
            place += f", document {self.document}"
        if self.object:
            place += f" ({self.object})"
        return f"{place}, {self.problem}" if self.problem.path else f"{place}: {self.problem}"


class ManifestErrors(Exception):
    """A file with errors: nothing of it may be used. `errors` holds at least one, in the file's order."""

    def __init__(self, errors: list[ManifestError]) -> None:
        self.errors = errors
        super().__init__("\n".join(map(str, errors)))


def parse(text: str | bytes, source: str, check: Check | None = None) -> list[Item]:
    """Read the objects of a file, in its order.

    `source` names the file in errors; `check` looks at its policies as well. Raises ManifestErrors with every
    error found: at least one for each document that is wrong.
    """
    errors: list[ManifestError] = []
    found: dict[tuple[str, str, str], tuple[int, Item]] = {}

    def refuse(number: int | None, named: str, problem: Problem) -> None:
        errors.append(ManifestError(source=source, document=number, object=named, problem=problem))

    empty = True
    try:
        for number, value, problem in document.read(text):
            empty = False
            if problem is not None:
                refuse(number, "", problem)
                continue
            try:
                item = read(value, _kind(value))
            except Misshapen as misshapen:
                for wrong in misshapen.problems:
                    refuse(number, _named(value), wrong)
                continue
            key = (item.kind, item.metadata.namespace, item.metadata.name)
            if key in found:
                reason = f"the same object is in document {found[key][0]}"
                refuse(number, _named(value), Problem("metadata.name", reason))
                continue
            found[key] = (number, item)
    except document.Unreadable as error:
        raise ManifestErrors(
            [ManifestError(source=source, document=None, object="", problem=Problem("", str(error)))]
        ) from error
    if empty:
        refuse(None, "", Problem("", "holds no object"))
    if check is not None:
        policies = [item for _, item in found.values() if not isinstance(item, Agent)]
        for policy, problem in check(policies):
            metadata = policy.metadata
            number, _ = found[(policy.kind, metadata.namespace, metadata.name)]
            refuse(number, f"{policy.kind.lower()}/{metadata.name}", problem)
    if errors:
        raise ManifestErrors(sorted(errors, key=lambda error: error.document or 0))
    return [item for _, item in found.values()]


def _kind(value: Any) -> type[Item]:
    """Find the type that a document says it is. Raises Misshapen."""
    if not isinstance(value, dict):
        raise Misshapen([Problem("", "is not an object: it needs apiVersion, kind, metadata and spec")])
    version, kind = value.get("apiVersion"), value.get("kind")
    if version is None or kind is None:
        missing = "apiVersion" if version is None else "kind"
        raise Misshapen([Problem(missing, "is required")])
    if version != API_VERSION:
        reason = f"{shown(version)} is not supported; this version knows {API_VERSION}"
        raise Misshapen([Problem("apiVersion", reason)])
    if not isinstance(kind, str) or kind not in KINDS:
        reason = f"{shown(kind)} is not supported; this version knows {', '.join(KINDS)}"
        raise Misshapen([Problem("kind", reason, near(str(kind), KINDS))])
    return KINDS[kind]


def _named(value: Any) -> str:
    """`agentpolicy/coder` when the document says so much, or an empty string."""
    if not isinstance(value, dict) or not isinstance(metadata := value.get("metadata"), dict):
        return ""
    kind, name = value.get("kind"), metadata.get("name")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(name, str):
        return ""
    return f"{kind.lower()}/{shown(name)[1:-1]}"
