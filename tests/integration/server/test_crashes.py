"""`kill -9` of the server at each step of an action: one outcome, and the side effect at most once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from integration.server.crashing import STEPS

from rynxs.eventlog import uuid7

CRASHING = str(Path(__file__).with_name("crashing.py"))
SCRIPT = "echo mark >> marks; echo said; sleep 0.1; echo end >> ends"

# What the log must say of the first try, and how often the script must have begun: (ending, least, most).
EXPECTED = {
    "decided": (None, 0, 0),
    "decision recorded": ("Interrupted", 0, 0),
    "sending the run": ("Interrupted", 0, 0),
    "run sent": ("Interrupted", 0, 1),
    "first output": ("Interrupted", 1, 1),
    "ended": ("Interrupted", 1, 1),
    "recording the outcome": ("Interrupted", 1, 1),
    "outcome recorded": ("Finished", 1, 1),
    "settled": ("Finished", 1, 1),
}


def outcomes(events: list[dict[str, Any]], action: str) -> list[str]:
    """The endings that the log has for an action."""
    finished = [e["data"] for e in events if e["type"] == "action.finished" and e["data"]["action"] == action]
    return [data["outcome"] for data in finished]


def decisions(events: list[dict[str, Any]], action: str) -> int:
    """How often the log decides an action."""
    return sum(e["type"] == "action.decided" and e["data"]["action"]["id"] == action for e in events)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(step: str, idle_server) -> None:
    server = idle_server
    server.start()
    assert server.apply().returncode == 0
    server.end()
    server.environment["CRASH_AT"] = step
    server.start(entry=(sys.executable, CRASHING))
    id_ = uuid7()
    args = {"argv": ["sh", "-c", SCRIPT]}
    try:
        server.act("shell_exec", args, id=id_)
    except httpx2.HTTPError:
        pass
    code, _, problem = server.wait()
    assert code == -9, problem

    server.start()
    ending, least, most = EXPECTED[step]
    events = server.events()
    assert decisions(events, id_) == (ending is not None)
    assert outcomes(events, id_) == ([ending] if ending else [])
    marks = server.data / "workspaces" / "default" / "dev" / "marks"
    count = len(marks.read_text().splitlines()) if marks.exists() else 0
    assert least <= count <= most

    # The caller tries again with the same id: what was decided is told, never done again.
    again = server.act("shell_exec", args, id=id_)
    assert again.status_code == 200, again.text
    assert again.json()["outcome"]["ending"] == (ending or "Finished")
    count_now = len(marks.read_text().splitlines()) if marks.exists() else 0
    assert count_now == (count if ending else 1)
    assert decisions(server.events(), id_) == 1
    assert len(outcomes(server.events(), id_)) == 1

    verified = server.run("log", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
