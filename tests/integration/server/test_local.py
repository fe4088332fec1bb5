"""Local mode as its user meets it: the commands, the HTTP surface, restarts, refusals."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess

import httpx2
import pytest

from rynxs.eventlog import uuid7


def test_exec_returns_output_and_exit_code(server) -> None:
    done = server.run("exec", "dev", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_exec_passes_standard_input_on(server) -> None:
    done = server.run("exec", "dev", "-i", "--", "cat", stdin="given\n")
    assert (done.stdout, done.returncode) == ("given\n", 0)


def test_exec_says_which_signal_ended_it(server) -> None:
    assert server.run("exec", "dev", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_exec_of_a_denied_command(server) -> None:
    done = server.run("exec", "dev", "--", "rm", "-rf", "/")
    assert done.returncode == 125
    assert done.stderr.startswith("rynxs: denied by coder/no-rm: Nothing is removed here. (action ")


def test_exec_of_a_program_that_is_not_there(server) -> None:
    assert (
        server.apply(
            "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: all}\n"
            "spec: {selector: {}, rules: [{name: all, tools: [shell_exec], when: 'true', effect: Allow}]}\n"
        ).returncode
        == 0
    )
    done = server.run("exec", "dev", "--", "no-such-program")
    assert done.returncode == 125
    assert "Failed" in done.stderr
    assert "no-such-program" in done.stderr


def test_exec_past_its_timeout(server) -> None:
    done = server.run("exec", "dev", "--timeout", "0.3", "--", "sleep", "60")
    assert done.returncode == 125
    assert "TimedOut" in done.stderr


def test_exec_as_json(server) -> None:
    done = server.run("exec", "dev", "-o", "json", "--", "printf", "x")
    answer = json.loads(done.stdout)
    assert answer["outcome"]["result"] == {"exit_code": 0}
    assert answer["stdout"] == {"content": "x", "encoding": "utf-8"}


def test_output_over_the_limit_is_marked(server) -> None:
    done = server.run("exec", "dev", "--", "sh", "-c", "yes | head -c 6000000")
    assert done.returncode == 0
    assert len(done.stdout) == 4 * 1024 * 1024
    assert f"rynxs: stdout was cut: {6_000_000 - 4 * 1024 * 1024} bytes more were written" in done.stderr


def test_an_agent_that_is_not_there(server) -> None:
    done = server.run("exec", "nobody", "--", "true")
    assert done.returncode == 125
    assert done.stderr == "rynxs: there is no agent nobody in namespace default: rynxs get agents\n"


def test_get_and_delete(server) -> None:
    server.act("file_write", {"path": "secret", "content": "x"})
    assert "default    dev" in server.run("get", "agents").stdout
    workspace = server.data / "workspaces" / "default" / "dev"
    assert workspace.exists()
    assert server.run("delete", "agent", "dev").stdout == "agent/dev deleted\n"
    assert not workspace.exists()
    assert server.run("delete", "agent", "dev").returncode == 1
    assert json.loads(server.run("get", "agents", "-o", "json").stdout) == {"items": []}
    assert [e["data"]["operation"] for e in server.events() if e["type"] == "agent.applied"] == [
        "created",
        "deleted",
    ]


def test_applying_again_changes_nothing(server) -> None:
    before = len(server.events())
    again = server.apply()
    assert [line.split()[:2] for line in again.stdout.splitlines()] == [
        ["agent/dev", "unchanged"],
        ["agentpolicy/coder", "unchanged"],
    ]
    assert len(server.events()) == before


def test_fields_that_mean_nothing_here_are_said_once(server) -> None:
    manifest = (
        "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: pic}\n"
        "spec: {image: registry.example/coder:1, runtimeClassName: gvisor}\n"
    )
    first, second = server.apply(manifest), server.apply(manifest)
    assert "spec.image has no effect in local mode" in first.stderr
    assert "spec.runtimeClassName has no effect in local mode" in first.stderr
    assert second.stderr == ""


def test_a_policy_counts_from_the_moment_it_is_applied(server) -> None:
    assert server.act("shell_exec", {"argv": ["true"]}).status_code == 200
    assert server.run("delete", "policy", "coder").returncode == 0
    denied = server.act("shell_exec", {"argv": ["true"]})
    assert denied.status_code == 403
    assert denied.headers["content-type"] == "application/problem+json"
    assert denied.json()["type"] == "urn:rynxs:problem:denied"


def test_a_changed_agent_gets_a_changed_computer(server) -> None:
    changed = (
        "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: dev, labels: {role: coder}}\n"
        "spec: {env: [{name: X, value: new}]}\n"
    )
    assert server.act("shell_exec", {"argv": ["sh", "-c", "echo $X"]}).json()["stdout"]["content"] == "\n"
    assert "agent/dev configured" in server.apply(changed).stdout
    assert server.act("shell_exec", {"argv": ["sh", "-c", "echo $X"]}).json()["stdout"]["content"] == "new\n"


def test_a_retry_attaches_and_never_runs_again(server) -> None:
    id_ = uuid7()
    args = {"argv": ["sh", "-c", "echo once >> marks; cat marks"]}
    first = server.act("shell_exec", args, id=id_).json()
    second = server.act("shell_exec", args, id=id_).json()
    assert first["stdout"]["content"] == "once\n"
    assert second["outcome"] == first["outcome"]
    other = server.act("shell_exec", {"argv": ["true"]}, id=id_)
    assert (other.status_code, other.json()["type"]) == (409, "urn:rynxs:problem:conflict")


def test_a_caller_who_leaves_cancels_the_action(server) -> None:
    with server.http() as client:
        body = {"tool": "shell_exec", "args": {"argv": ["sh", "-c", "echo up; sleep 600"], "timeout": 900}}
        with client.stream(
            "POST",
            "/v1/namespaces/default/agents/dev/actions",
            json=body,
            headers={"Accept": "text/event-stream"},
        ) as response:
            for line in response.iter_lines():
                if line.startswith("data:") and "up" in line:
                    break
    with (
        server.http() as client,
        client.stream("GET", "/v1/log/shard-0/events", params={"follow": "true"}) as events,
    ):
        endings = (json.loads(line) for line in events.iter_lines())
        ended = next(event for event in endings if event["type"] == "action.finished")
    assert ended["data"]["outcome"] == "Cancelled"


def test_every_call_needs_the_token(server) -> None:
    paths = ["/v1/agents", "/openapi.json", "/agents/default/dev/mcp", "/nothing"]
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        for path in paths:
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert stat.S_IMODE(os.stat(server.data / "token").st_mode) == 0o600


def test_web_pages_have_no_business_here(server) -> None:
    with server.http(headers={"Origin": "https://evil.example"}) as client:
        assert client.get("/v1/agents").status_code == 403
    with server.http(headers={"Host": "evil.example"}) as client:
        assert client.get("/v1/agents").status_code == 400


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is not an action"),
        (b"\xff\xfe", "the body is not an action"),
        (b"[]", "Expected `object`"),
        (b'{"tool": "shell_exec"}', "missing required field `argv`"),
        (b'{"tool": "rm", "args": {}}', "there is no tool 'rm'"),
        (b'{"tool": "shell_exec", "args": {"argv": ["ls"]}, "approval": "x"}', "unknown field `approval`"),
        (b'{"tool": "shell_exec", "args": {"argv": ["ls"]}, "id": "1"}', "is not a UUIDv7"),
        (b'{"tool": "file_write", "args": {"path": "a", "content": "\\ud800"}}', "not"),
        (b"[" * 100_000, "the body is not an action"),
        (b" " * 7_000_000, "longer than"),
    ],
)
def test_rubbish_is_refused_with_a_reason(server, body, detail) -> None:
    with server.http() as client:
        response = client.post("/v1/namespaces/default/agents/dev/actions", content=body)
    assert response.status_code == 400
    assert detail in response.json()["detail"]


def test_a_restart_keeps_everything(server) -> None:
    server.act("file_write", {"path": "kept", "content": "yes"})
    code, _, problem = server.end()
    assert (code, problem) == (0, "")
    server.start()
    answer = server.act("file_read", {"path": "kept"}).json()
    assert answer["outcome"]["result"]["content"] == "yes"
    verified = server.run("log", "verify")
    assert verified.returncode == 0
    assert "2 epochs" in verified.stdout
    assert "complete up to" in verified.stdout


def test_a_running_action_is_cancelled_by_a_stop(server) -> None:
    waiting = subprocess.Popen(
        ["rynxs", "exec", "dev", "--", "sh", "-c", "echo up; sleep 600"],
        executable=server.program,
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "up\n"
    code, _, problem = server.end()
    assert (code, problem) == (0, "")
    _, said = waiting.communicate(timeout=20)
    assert waiting.returncode == 125
    assert "Cancelled" in said
    assert server.events()[-1]["data"]["outcome"] == "Cancelled"


def test_one_server_a_folder(server) -> None:
    second = server.run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0")
    assert second.returncode == 1
    assert f"is used by another server (process {server.process.pid})" in second.stderr


def test_a_taken_port(server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        second = server.run("serve", "--data", str(server.folder / "other"), "--listen", f"127.0.0.1:{port}")
    assert second.returncode == 1
    assert "choose another with --listen" in second.stderr


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("0.0.0.0:0", "is not a loopback address"),
        ("example.com:80", "is not an IP address"),
        ("8765", "is not ADDRESS:PORT"),
        ("127.0.0.1:99999", "is not ADDRESS:PORT"),
    ],
)
def test_where_it_does_not_listen(idle_server, listen, reason) -> None:
    done = idle_server.run("serve", "--data", str(idle_server.data), "--listen", listen)
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_no_bubblewrap_no_server(idle_server) -> None:
    idle_server.environment["PATH"] = "/nowhere"
    done = idle_server.run("serve", "--data", str(idle_server.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "bwrap is not installed: apt-get install bubblewrap" in done.stderr


def test_a_lost_anchor_is_not_taken_for_a_new_log(server) -> None:
    server.end()
    [anchors] = (server.folder / "state" / "rynxs" / "logs").glob("*/anchors")
    for anchor in anchors.iterdir():
        anchor.unlink()
    done = server.run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert done.stderr.startswith("rynxs: refusing to start: ")
    assert "anchor" in done.stderr


def test_commands_without_a_server(idle_server) -> None:
    done = idle_server.run("get", "agents", "--server", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "no server was started at http://127.0.0.1:1 by this user" in done.stderr
    idle_server.environment["RYNXS_TOKEN"] = "x" * 32
    done = idle_server.run("exec", "dev", "--server", "http://127.0.0.1:1", "--", "true")
    assert done.returncode == 125
    assert "no server answers at http://127.0.0.1:1" in done.stderr


def test_log_tail_reads_like_the_tour(server) -> None:
    server.run("exec", "dev", "--", "printf", "hello")
    server.run("exec", "dev", "--", "rm", "x")
    lines = server.run("log", "tail", "-l", "3").stdout.splitlines()
    assert len(lines) == 3
    assert 'action.decided   dev shell_exec Allow coder/run  ["printf","hello"]  by ' in lines[0]
    assert "action.finished  dev Finished exit 0" in lines[1]
    assert "out 5 B sha256:" in lines[1]
    assert 'Deny coder/no-rm  ["rm","x"]  by ' in lines[2]


def test_a_log_that_somebody_else_wrote_into_ends_the_server(server) -> None:
    following = server.data / "log" / "streams" / "shard-0" / f"{len(server.events()):010d}"
    following.write_bytes(b"rubbish")
    refused = server.act("shell_exec", {"argv": ["sh", "-c", "echo x > ran"]})
    assert refused.status_code == 503
    assert "the log is stopped" in refused.json()["detail"]
    code, _, said = server.wait()
    assert code == 1
    assert said.startswith("rynxs: the log is stopped")
    assert "Traceback" not in said
    assert not (server.data / "workspaces" / "default" / "dev" / "ran").exists()
    assert server.run("log", "verify").returncode == 1
