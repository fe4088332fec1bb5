"""`rynxs log tail`: events as lines, as in the tour, whatever an agent wrote into them."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from rynxs.cli.log import shown


def event(type_: str, data, **changes):
    return {
        "seq": 412,
        "id": "01993c",
        "type": type_,
        "time": "2026-11-23T14:02:11.201Z",
        "subject": "team-a/dev",
        "actor": "alice",
        "data": data,
    } | changes


def decided(args, effect="Allow", rule="coder/everyday"):
    return event("action.decided", {"action": {"tool": "shell_exec", "args": args}, "effect": effect, "rule": rule})


TIME = datetime.fromisoformat("2026-11-23T14:02:11.201+00:00").astimezone().strftime("%H:%M:%S.201")


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            decided({"argv": ["pytest", "-q"]}),
            'action.decided   dev shell_exec Allow coder/everyday  ["pytest","-q"]  by alice',
        ),
        (decided({"argv": ["x"]}, "Deny", ""), 'action.decided   dev shell_exec Deny -  ["x"]  by alice'),
        (decided({"path": "a/ü"}), 'action.decided   dev shell_exec Allow coder/everyday  "a/ü"  by alice'),
        (
            decided({"sha256": "9f", "bytes": 70000}),
            'action.decided   dev shell_exec Allow coder/everyday  {"sha256":"9f","bytes":70000}  by alice',
        ),
        (
            event(
                "action.finished",
                {
                    "outcome": "Finished",
                    "exit_code": 0,
                    "seconds": 2.717,
                    "stdout": {"sha256": "9f86d081884c", "bytes": 71},
                    "stderr": {"sha256": "e3", "bytes": 0},
                },
            ),
            "action.finished  dev Finished exit 0  2.7 s  out 71 B sha256:9f86d081...",
        ),
        (
            event("action.finished", {"outcome": "TimedOut", "error": "after 60 s", "seconds": 60.0}),
            "action.finished  dev TimedOut  60.0 s  after 60 s",
        ),
        (
            event("writer.claimed", {"writer": "host/1 2", "epoch": 3}, subject=""),
            "writer.claimed    writer='host/1 2' epoch=3",
        ),
        (
            event("policy.loaded", {"operation": "created", "hash": "sha256:4b"}),
            "policy.loaded    dev operation=created hash=sha256:4b",
        ),
        (event("something.new", {"x": 1}), "something.new    dev"),
    ],
)
def test_lines(made, line) -> None:
    assert shown("shard-0", made) == f"{TIME} shard-0 412   {line}"


def test_long_arguments_are_cut() -> None:
    line = shown("shard-0", decided({"argv": ["x" * 5000]}))
    assert len(line) < 300
    assert "...  by alice" in line


@pytest.mark.parametrize(
    "text", ["x\n14:02:11.201 shard-0 413 action.decided dev", "\x1b[2J", "\u009b2J", "\u2028", "\u202e", "\r", "\x7f"]
)
def test_an_agent_can_not_write_lines_or_steer_the_terminal(text) -> None:
    for made in (
        decided({"argv": [text]}),
        decided({"path": text}),
        event("action.finished", {"outcome": "Failed", "error": text}),
    ):
        line = shown("shard-0", made)
        assert line.isprintable()
        assert len(line.splitlines()) == 1


def test_tail(rynxs, server) -> None:
    events = [decided({"argv": ["ls"]}), event("something.new", {})]
    server.says(200, b"".join(json.dumps(each).encode() + b"\n" for each in events))
    done = rynxs("log", "tail", "-l", "2")
    assert done.out.splitlines() == [shown("shard-0", each) for each in events]
    assert dict(server.requests[0].url.params) == {"last": "2", "follow": "false"}
    as_json = rynxs("log", "tail", "-f", "-o", "json")
    assert [json.loads(line) for line in as_json.out.splitlines()] == events
    assert dict(server.requests[1].url.params) == {"last": "20", "follow": "true"}


def test_tail_of_a_server_that_refuses(rynxs, server) -> None:
    server.refuses(404, "there is no stream 'shard-0' here")
    done = rynxs("log", "tail")
    assert (done.code, done.err) == (1, "rynxs: there is no stream 'shard-0' here\n")
