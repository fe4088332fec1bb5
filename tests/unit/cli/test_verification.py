"""`rynxs log verify`: 0 for a whole log, 1 for a changed one, 2 when nobody can say."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime

import pytest

from rynxs.cli.verification import shown
from rynxs.eventlog import DiskStore, Draft, FileAnchors, Finding, Log, Report, Signer, Trust
from rynxs.local.state import Server, log_folder, record_server


@pytest.fixture
def made(rynxs, tmp_path):
    """A log with three events, its trust file and its anchor where a server leaves them."""
    folder = tmp_path / "data" / "log"

    async def make() -> str:
        log = await Log.create_or_open(DiskStore(folder))
        signer = Signer.generate("gateway-2026")
        trust = Trust(log=log.id, keys=[signer.trusted(["*"])])
        state = log_folder(log.id)
        state.mkdir(parents=True)
        trust.save(state / "trust.json")
        writer = await log.claim(
            "shard-0",
            writer="w",
            signer=signer,
            trust=trust,
            anchor=FileAnchors(state / "anchors"),
            observe=lambda _: None,
            now=lambda: datetime.now(UTC),
        )
        for value in range(2):
            await writer.append(Draft(type="test.made", subject="a/b", data={"value": value}))
        await writer.close()
        return log.id

    log_id = asyncio.run(make())
    return folder, log_folder(log_id)


def objects(folder):
    return sorted((folder / "streams" / "shard-0").iterdir())


def test_a_whole_log(rynxs, made) -> None:
    folder, _ = made
    done = rynxs("log", "verify", folder.as_uri())
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        "shard-0   3 events  1 epoch  chain ok  signatures ok  root ok  complete up to seq 2 (anchor "
    )
    assert rynxs("log", "verify", str(folder)).out == done.out
    [report] = json.loads(rynxs("log", "verify", str(folder), "-o", "json").out)
    assert (report["stream"], report["events"], report["findings"]) == ("shard-0", 3, [])


def test_the_log_of_the_server(rynxs, made) -> None:
    folder, _ = made
    record_server(Server(url="http://127.0.0.1:8765", data=str(folder.parent)))
    assert rynxs("log", "verify").code == 0
    done = rynxs("log", "verify", "--server", "http://127.0.0.1:1")
    assert done.code == 2
    assert "no server was started at http://127.0.0.1:1 there by this user: give the log's URL" in done.err


def test_a_flipped_byte(rynxs, made) -> None:
    folder, _ = made
    victim = objects(folder)[1]
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    done = rynxs("log", "verify", str(folder))
    assert done.code == 1
    assert f"shard-0   TAMPERED  object {victim.name} (seq 1)" in done.out
    assert json.loads(rynxs("log", "verify", str(folder), "-o", "json").out)[0]["findings"]


def test_a_missing_tail(rynxs, made) -> None:
    folder, _ = made
    objects(folder)[-1].unlink()
    done = rynxs("log", "verify", str(folder))
    assert done.code == 1
    assert "TAMPERED" in done.out


def test_a_stream_that_was_removed_whole(rynxs, made) -> None:
    folder, _ = made
    shutil.rmtree(folder / "streams")
    done = rynxs("log", "verify", str(folder))
    assert done.code == 1
    assert "shard-0   TAMPERED" in done.out


def test_nothing_to_verify_is_not_a_whole_log(rynxs, made) -> None:
    folder, state = made
    shutil.rmtree(folder / "streams")
    shutil.rmtree(state / "anchors")
    done = rynxs("log", "verify", str(folder))
    assert (done.code, done.out) == (2, "")
    assert "there is no stream in the log" in done.err


def test_without_an_anchor_nobody_knows_the_end(rynxs, made, tmp_path) -> None:
    folder, state = made
    empty = tmp_path / "empty"
    empty.mkdir()
    done = rynxs("log", "verify", str(folder), "--anchor", str(empty))
    assert "no anchor: nobody knows whether its end was cut off" in done.out
    assert rynxs("log", "verify", str(folder), "--anchor", str(tmp_path / "nowhere")).code == 2
    assert rynxs("log", "verify", str(folder), "--anchor", str(state / "anchors")).code == 0


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["https://bucket/log"], "reads logs at file:///... only"),
        (["file:///no/such/folder"], "there is no such folder"),
        (["http://["], "could not be checked"),
        (["LOG", "--stream", "shard-9"], "there is no stream shard-9 in the log; there are: shard-0"),
        (["LOG", "--trust", "nowhere.json"], "there is no trust file of log"),
        (["EMPTY"], "could not be checked"),
    ],
)
def test_what_could_not_be_checked_is_2(rynxs, made, tmp_path, args, reason) -> None:
    folder, _ = made
    (tmp_path / "empty").mkdir()
    places = {"LOG": str(folder), "EMPTY": str(tmp_path / "empty")}
    done = rynxs("log", "verify", *(places.get(arg, arg) for arg in args))
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


def test_another_trust_file(rynxs, made, tmp_path) -> None:
    folder, state = made
    other = tmp_path / "other.json"
    log_id = Trust.load(state / "trust.json").log
    Trust(log=log_id, keys=[Signer.generate("gateway-2026").trusted(["*"])]).save(other)
    assert rynxs("log", "verify", str(folder), "--trust", str(other)).code == 1
    other.write_text("{")
    assert rynxs("log", "verify", str(folder), "--trust", str(other)).code == 2


def report(*findings, **changes):
    whole = {"objects": 1, "events": 4, "epochs": 2, "complete_up_to": 3, "anchored_at": "2026-11-23T14:02:21.000Z"}
    return Report(stream="shard-0", findings=list(findings), **(whole | changes))


def test_lines_of_reports() -> None:
    time = datetime.fromisoformat("2026-11-23T14:02:21+00:00").astimezone().strftime("%H:%M:%S")
    assert shown(report()) == [
        f"shard-0   4 events  2 epochs  chain ok  signatures ok  root ok  complete up to seq 3 (anchor {time})"
    ]
    first = Finding(object="0000000398", seq=398, message="bytes differ", since="13:58:07")
    second = Finding(object="epochs/shard-0/1", seq=None, message="is missing")
    assert shown(report(first, second)) == [
        "shard-0   TAMPERED  object 0000000398 (seq 398): bytes differ; all was well at 13:58:07",
        "shard-0   TAMPERED  epochs/shard-0/1: is missing",
    ]
