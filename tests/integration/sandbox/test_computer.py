"""A computer's tools, through the client, in a real sandbox."""

import asyncio
import hashlib

import pytest

from rynxs.action.outcome import Ending
from rynxs.action.tool import FileDelete, FileList, FileRead, FileWrite, ShellExec
from rynxs.computer.client import ConnectionLost
from rynxs.computer.protocol import Ended, Fence, Output, Refused, Running
from rynxs.sandbox import boot
from rynxs.sandbox.bubblewrap import check


async def test_sandboxes_can_be_made_here():
    assert (await check())[0].isdigit()


async def test_a_program_runs_as_the_agent_in_its_workspace(computer):
    outcome, output = await computer.sh("id -un; pwd; echo oops >&2; exit 3")
    assert output == "agent\n/workspace\noops\n"
    assert (outcome.ending, outcome.result) == (Ending.FINISHED, {"exit_code": 3})
    assert outcome.stdout.sha256 == hashlib.sha256(b"agent\n/workspace\n").hexdigest()
    assert (outcome.stderr.bytes, outcome.stderr.dropped) == (5, 0)


async def test_output_is_streamed_while_the_program_runs(computer):
    (computer.workspace / "go").touch(mode=0o666)
    script = "echo first; while [ ! -s go ]; do sleep 0.01; done; echo second"
    frames = computer.client.run(computer.run(ShellExec(argv=["sh", "-c", script])))
    assert (await anext(frames)).data == b"first\n"
    (computer.workspace / "go").write_text("now")
    rest = [frame async for frame in frames]
    assert rest[0].data == b"second\n"
    assert isinstance(rest[-1], Ended)


async def test_arguments_environment_folder_and_input(computer):
    (computer.workspace / "sub").mkdir()
    outcome, output = await computer.exec(
        "sh", "-c", 'echo "$0" "$A"; pwd; cat', "a b", env={"A": "1"}, cwd="sub", stdin="in"
    )
    assert output == "a b 1\n/workspace/sub\nin"
    assert outcome.result == {"exit_code": 0}


@pytest.mark.parametrize("size", [1, 65536, 65537, 2_000_000])
async def test_input_of_any_size_comes_through(computer, size):
    _, output = await computer.sh("wc -c; echo done", stdin="x" * size)
    assert output.split() == [str(size), "done"]


async def test_input_that_nobody_reads_does_no_harm(computer):
    outcome, _ = await computer.exec("true", stdin="x" * 2_000_000)
    assert outcome.result == {"exit_code": 0}


async def test_output_over_the_limit_is_counted_not_kept(computer):
    outcome, output = await computer.sh("head -c 3000000 /dev/zero", max_output=1000)
    assert len(output) == 1000
    assert (outcome.stdout.bytes, outcome.stdout.dropped) == (1000, 2_999_000)
    assert outcome.result == {"exit_code": 0}


async def test_a_signal_is_told(computer):
    outcome, _ = await computer.sh("kill -TERM $$")
    assert outcome.result == {"signal": 15}


@pytest.mark.parametrize(
    ("argv", "cwd", "says"),
    [
        (["nosuch"], ".", "there is no program 'nosuch'"),
        (["/etc/passwd"], ".", "'/etc/passwd' is not executable"),
        (["true"], "missing", "'missing': there is no such file or folder"),
        (["true"], "..", "leads out of the workspace"),
        (["true"], "/etc", "outside the workspace"),
        (["true", "x" * 200_000], ".", "too long"),
    ],
)
async def test_what_cannot_start_says_why(computer, argv, cwd, says):
    outcome, _ = await computer.exec(*argv, cwd=cwd)
    assert outcome.ending is Ending.FAILED
    assert says in outcome.error


async def test_the_deadline_ends_the_whole_tree(computer):
    outcome, output = await computer.sh("echo started; setsid sleep 60 & sleep 60", timeout=0.3)
    assert (outcome.ending, output) == (Ending.TIMED_OUT, "started\n")
    assert 0.3 <= outcome.seconds < 5
    assert computer.strangers() == []


async def test_cancelling_ends_the_whole_tree_and_no_other(computer):
    def endless():
        return computer.run(ShellExec(argv=["sh", "-c", "echo on; setsid sleep 60 & sleep 60"]))

    runs = [endless(), endless()]
    frames = [computer.client.run(run) for run in runs]
    for each in frames:
        assert isinstance(await anext(each), Output)
    assert len(computer.strangers()) >= 2, "two shells at least"
    await computer.client.cancel(runs[0].action)
    assert (await anext(frames[0])).outcome.ending is Ending.CANCELLED
    assert await computer.client.query(runs[1].action) == Running(action=runs[1].action)
    await computer.client.cancel(runs[1].action)
    assert (await computer.client.wait(runs[1].action)).outcome.ending is Ending.CANCELLED
    assert computer.strangers() == []


async def test_many_programs_at_once(computer):
    count = 200  # more than the processes and the descriptors in flight that are allowed at once
    results = await asyncio.gather(*(computer.exec("echo", str(i)) for i in range(count)))
    for i, (outcome, output) in enumerate(results):
        if outcome.ending is Ending.FINISHED:
            assert output == f"{i}\n"
        else:
            assert "limit of processes is reached" in outcome.error
    assert (await computer.exec("echo", "alive"))[1] == "alive\n"


async def test_the_file_tools(computer):
    assert (await computer.tool(FileWrite(path="a/b", content="x"))).result == {"size": 1}
    assert (await computer.tool(FileRead(path="a/b"))).result["content"] == "x"
    assert [e["name"] for e in (await computer.tool(FileList(path="a"))).result["entries"]] == ["b"]
    _, output = await computer.exec("cat", "a/b")
    assert output == "x"
    assert (await computer.tool(FileDelete(path="a", recursive=True))).result == {"count": 2}
    missing = await computer.tool(FileRead(path="a/b"))
    assert (missing.ending, missing.error) == (Ending.FAILED, "'a/b': there is no such file or folder")


async def test_the_fence_holds(computer):
    client = computer.client

    async def last(run):
        return [frame async for frame in client.run(run)][-1]

    done = computer.run(ShellExec(argv=["true"]))
    assert isinstance(await last(done), Ended)
    assert await last(done) == Refused(action=done.action, reason="duplicate")
    assert isinstance(await client.query(done.action), Ended)
    await client.settle(done.action)
    assert await client.query(done.action) == Refused(action=done.action, reason="unknown")
    await client.claim(Fence(1, 2), [])
    assert (await last(computer.run(ShellExec(argv=["true"])))).reason == "fence"


async def test_an_older_claim_ends_the_connection(computer):
    await computer.client.claim(Fence(0, 9), [])
    await computer.sandbox.wait()
    with pytest.raises(ConnectionLost):
        await computer.client.query("x")


async def test_a_claim_kills_what_is_not_open(computer):
    run = computer.run(ShellExec(argv=["sh", "-c", "echo on; sleep 60"]))
    frames = computer.client.run(run)
    await anext(frames)
    await computer.client.claim(Fence(1, 2), [])
    assert (await anext(frames)).outcome.ending is Ending.CANCELLED


async def test_the_proof_that_a_boot_is_over(computer, tmp_path):
    run = computer.run(ShellExec(argv=["sh", "-c", "echo on; setsid sleep 60 & sleep 60"]))
    await anext(computer.client.run(run))
    inside = computer.processes()
    assert len(inside) >= 4
    boot.write(tmp_path / "boot", computer.sandbox.record)
    await boot.end(boot.read(tmp_path / "boot"))
    assert not any(_alive(pid) for pid in inside)
    await boot.end(computer.sandbox.record)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in (b"Z", b"X")
