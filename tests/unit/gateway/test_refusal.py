"""Refusals as problem documents."""

from __future__ import annotations

import pytest

from rynxs.action.decision import Decision, Effect
from rynxs.gateway import refusal
from rynxs.gateway.refusal import Denied, Left, Refusal, Unavailable, Unrecorded

KINDS = [
    kind
    for kind in vars(refusal).values()
    if isinstance(kind, type) and issubclass(kind, Refusal) and kind not in (Refusal, Denied, Left)
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_document(kind) -> None:
    assert kind("what happened").problem() == {
        "type": f"urn:rynxs:problem:{kind.kind}",
        "title": kind.title,
        "status": kind.status,
        "detail": "what happened",
    }


def test_kinds_are_told_apart() -> None:
    assert len({kind.kind for kind in KINDS} | {"denied", "left"}) == len(KINDS) + 2
    assert {kind.kind: kind.status for kind in KINDS} == {
        "unauthenticated": 401,
        "forbidden": 403,
        "not-found": 404,
        "invalid": 400,
        "conflict": 409,
        "busy": 429,
        "unavailable": 503,
        "unrecorded": 500,
    }


def test_only_what_did_not_run_invites_to_repeat_it() -> None:
    assert {kind.kind for kind in KINDS if kind.retry_after} == {"busy", "unavailable"}
    assert "Nothing was run" not in Unrecorded.title
    assert Unavailable.title == "Nothing was run"


@pytest.mark.parametrize(
    ("rule", "text"),
    [("coder/no-rm", "denied by coder/no-rm: Not here. (action 1)"), ("", "denied: Not here. (action 1)")],
)
def test_a_denial_names_rule_and_action(rule, text) -> None:
    denied = Denied("1", Decision(effect=Effect.DENY, rule=rule, message="Not here.", policies="sha256:0"))
    assert str(denied) == text
    assert denied.problem() == {
        "type": "urn:rynxs:problem:denied",
        "title": "Policy denies the action",
        "status": 403,
        "detail": text,
        "action": "1",
        "rule": rule,
        "policies": "sha256:0",
    }


def test_what_goes_on_without_the_gateway_can_be_asked_for() -> None:
    problem = Left("01993c").problem()
    assert (problem["type"], problem["status"], problem["action"]) == ("urn:rynxs:problem:left", 503, "01993c")
    assert "action 01993c goes on in its computer" in problem["detail"]
    assert Left.retry_after is None  # whoever repeats it without its id runs it twice
