"""`rynxs exec`: the command's output, its exit code, and 125 for everything that is not the command's."""

from __future__ import annotations

import base64
import io
import json
import os
import sys

import pytest

from rynxs.cli.exec import REFUSED

FINISHED = {"ending": "Finished", "result": {"exit_code": 0}}


def ended(**changes):
    return ("outcome", {"action": "01993c", "outcome": FINISHED | changes})


def output(stream, data: bytes, encoding="utf-8"):
    content = base64.b64encode(data).decode() if encoding == "base64" else data.decode()
    return ("output", {"stream": stream, "content": content, "encoding": encoding})


def test_it_is_as_if_it_ran_here(rynxs, server) -> None:
    server.streams(
        ("decided", {}),
        output("stdout", "ü\n".encode()),
        output("stderr", b"err\n"),
        output("stdout", b"\xff\x00", "base64"),
        ended(result={"exit_code": 3}),
    )
    server_answer = rynxs("exec", "dev", "--", "true")
    assert (server_answer.code, server_answer.err) == (3, "err\n")
    assert server_answer.out.startswith("ü\n")
    assert server_answer.out.endswith("\x00")


def test_what_is_asked(rynxs, server, monkeypatch) -> None:
    server.streams(ended())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("ü\n".encode())))
    options = ["-n", "team-a", "--cwd", "src", "-e", "A=b=c", "-e", "E=", "-i", "--timeout", "5", "--id", "01993c"]
    assert rynxs("exec", *options, "dev", "--", "ls", "-l", "--id").code == 0
    [request] = server.requests
    assert request.url.path == "/v1/namespaces/team-a/agents/dev/actions"
    assert (request.headers["accept"], request.headers["content-type"]) == ("text/event-stream", "application/json")
    assert json.loads(request.content) == {
        "tool": "shell_exec",
        "id": "01993c",
        "args": {
            "argv": ["ls", "-l", "--id"],
            "cwd": "src",
            "env": {"A": "b=c", "E": ""},
            "stdin": "ü\n",
            "timeout": 5.0,
        },
    }


def test_a_name_is_not_a_path(rynxs, server) -> None:
    server.streams(ended())
    rynxs("exec", "../x?y", "-n", "a/b", "--", "true")
    assert server.requests[0].url.raw_path == b"/v1/namespaces/a%2Fb/agents/..%2Fx%3Fy/actions"


@pytest.mark.parametrize(("result", "code"), [({"exit_code": 255}, 255), ({"signal": 15}, 143)])
def test_the_exit_code_is_the_commands(rynxs, server, result, code) -> None:
    server.streams(ended(result=result))
    assert rynxs("exec", "dev", "--", "true").code == code
    server.says(200, {"action": "1", "outcome": {"ending": "Finished", "result": result}})
    assert rynxs("exec", "dev", "-o", "json", "--", "true").code == code


@pytest.mark.parametrize("ending", ["Failed", "TimedOut", "Cancelled", "Interrupted"])
def test_what_did_not_finish_is_125(rynxs, server, ending) -> None:
    outcome = {"ending": ending, "error": "it did not work"}
    server.streams(("outcome", {"action": "01993c", "outcome": outcome}))
    done = rynxs("exec", "dev", "--", "true")
    assert (done.code, done.err) == (REFUSED, f"rynxs: {ending}: it did not work (action 01993c)\n")
    server.says(200, {"action": "1", "outcome": outcome})
    assert rynxs("exec", "dev", "-o", "json", "--", "true").code == REFUSED


def test_a_denial_reads_as_in_the_tour(rynxs, server) -> None:
    said = "denied by coder/no-force-push: Force pushes are not allowed. (action 01993c)"
    server.refuses(403, said)
    done = rynxs("exec", "dev", "--", "git", "push", "--force")
    assert (done.code, done.out, done.err) == (REFUSED, "", f"rynxs: {said}\n")
    json_ = rynxs("exec", "dev", "-o", "json", "--", "git")
    assert (json_.code, json.loads(json_.out)["detail"]) == (REFUSED, said)


def test_output_that_was_cut_is_marked(rynxs, server) -> None:
    server.streams(ended(stdout={"sha256": "0", "bytes": 1, "dropped": 99}))
    done = rynxs("exec", "dev", "--", "true")
    assert (done.code, done.err) == (0, "rynxs: stdout was cut: 99 bytes more were written\n")


def test_a_problem_on_the_way(rynxs, server) -> None:
    server.streams(output("stdout", b"x"), ("problem", {"detail": "its outcome can't be recorded"}))
    done = rynxs("exec", "dev", "--", "true")
    assert (done.code, done.out, done.err) == (REFUSED, "x", "rynxs: its outcome can't be recorded\n")


def test_an_answer_that_is_cut_short(rynxs, server) -> None:
    server.streams(output("stdout", b"x"))
    done = rynxs("exec", "dev", "--", "true")
    assert done.code == REFUSED
    assert "before the outcome; look for it with: rynxs log tail" in done.err


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["dev"],
        ["dev", "--timeout", "soon", "--", "true"],
        ["dev", "--timeout", "nan", "--", "true"],
        ["dev", "--timeout", "inf", "--", "true"],
        ["dev", "-e", "A", "--", "true"],
        ["dev", "-e", "=b", "--", "true"],
        ["dev", "--nothing", "--", "true"],
        ["dev", "--", os.fsdecode(b"\xff")],
    ],
)
def test_a_wrong_use_is_125_too(rynxs, server, args) -> None:
    done = rynxs("exec", *args)
    assert done.code == REFUSED
    assert done.err.startswith("rynxs: ")
    assert server.requests == []


def test_standard_input_that_is_no_text(rynxs, server, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    done = rynxs("exec", "dev", "-i", "--", "cat")
    assert done.code == REFUSED
    assert "only text in UTF-8" in done.err
