"""Refusals: everything that a gateway answers instead of an outcome, each with its HTTP status (RFC 9457)."""

from __future__ import annotations

from typing import Any, ClassVar

from rynxs.action.decision import Decision


class Refusal(Exception):
    """The request was not carried out. `str()` says what happened, to which object, and what to do.

    `kind` names the class of refusal for programs; `status` is the HTTP status; `retry_after` is in seconds.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]
    retry_after: ClassVar[int | None] = None

    def problem(self) -> dict[str, Any]:
        """The refusal as an RFC 9457 problem document."""
        return {
            "type": f"urn:rynxs:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": str(self),
        }


class Unauthenticated(Refusal):
    """No token, or one that nobody has."""

    kind, title, status = "unauthenticated", "Who is asking is not known", 401


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    kind, title, status = "forbidden", "The caller may not do this", 403


class NotFound(Refusal):
    """There is no such object."""

    kind, title, status = "not-found", "There is no such object", 404


class Invalid(Refusal):
    """The request is malformed."""

    kind, title, status = "invalid", "The request is not valid", 400


class Conflict(Refusal):
    """The action id was used with other arguments, or by another caller."""

    kind, title, status = "conflict", "The action id is taken", 409


class Busy(Refusal):
    """Too many actions at once."""

    kind, title, status, retry_after = "busy", "Too many actions at once", 429, 1


class Unavailable(Refusal):
    """Policy, log or computer can't be had now: nothing was run."""

    kind, title, status = "unavailable", "Nothing was run", 503
    retry_after: ClassVar[int | None] = 5


class Unrecorded(Unavailable):
    """The action was run, and its outcome could not be made durable here; the log's next owner records one."""

    kind, title, status, retry_after = "unrecorded", "The outcome is not recorded", 500, None


class Left(Refusal):
    """The gateway stops, and what runs goes on in its computer; the log's next owner records how it ended."""

    kind, title, status = "left", "The action goes on without this gateway", 503

    def __init__(self, action: str) -> None:
        super().__init__(
            f"the gateway is stopping, and action {action} goes on in its computer. Ask for its outcome by repeating "
            "the request with this id; without it, it would run again"
        )
        self.action = action

    def problem(self) -> dict[str, Any]:
        """Also names the action."""
        return super().problem() | {"action": self.action}


class Denied(Refusal):
    """Policy denies the action. The denial is in the log."""

    kind, title, status = "denied", "Policy denies the action", 403

    def __init__(self, action: str, decision: Decision) -> None:
        by = f"denied by {decision.rule}" if decision.rule else "denied"
        super().__init__(f"{by}: {decision.message} (action {action})")
        self.action = action
        self.decision = decision

    def problem(self) -> dict[str, Any]:
        """Also names the action and the rule."""
        return super().problem() | {
            "action": self.action,
            "rule": self.decision.rule,
            "policies": self.decision.policies,
        }
