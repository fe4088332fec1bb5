"""`rynxs log verify`: 0 for a whole log, 1 for a changed one, 2 when nobody can say."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rynxs.cli.verification import shown
from rynxs.eventlog import DiskStore, Draft, FileAnchors, Finding, Log, Report, Signer, StoreError, Trust
from rynxs.eventlog import bucket as bucket_module
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
        (["https://bucket/log"], "reads logs at file:///... and s3://bucket/prefix only"),
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


CONFIG = """
namespace: rynxs-system
log: {{url: "s3://rynxs/log", {endpoint} region: here, credentials: rynxs-store}}
computers: {{image: i, daemonImage: d}}
"""


@pytest.fixture
def installed(cluster, made, monkeypatch):
    """An installation whose bucket is the folder of `made`; gives how the bucket was opened."""
    folder, state = made
    opened = []

    def bucket(url, **options):
        opened.append((url, options))
        return DiskStore(folder)

    monkeypatch.setattr(bucket_module, "BucketStore", bucket)
    endpoint = 'endpoint: "http://rynxs-store.rynxs-system.svc:7070",'
    cluster.put("configmaps", "rynxs-config", data={"config.yaml": CONFIG.format(endpoint=endpoint)})
    cluster.put("configmaps", "rynxs-trust", data={"trust.json": (state / "trust.json").read_text()})
    cluster.put("configmaps", "rynxs-anchor-shard-0", data={"note": (state / "anchors" / "shard-0").read_text()})
    cluster.put("configmaps", "rynxs-anchor-operator")
    keys = {"AWS_ACCESS_KEY_ID": "aWQ=", "AWS_SECRET_ACCESS_KEY": "a2V5"}
    cluster.put("secrets", "rynxs-store", data=keys)
    cluster.put("services", "rynxs-store", spec={"selector": {"a": "b"}, "ports": [{"port": 7070}]})
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.put("pods", "rynxs-store-x", {"a": "b"}, status=ready)
    return opened


ON = ("--context", "prod")


def test_the_log_of_a_cluster(rynxs, cluster, installed) -> None:
    done = rynxs("log", "verify", *ON, "--stream", "shard-0")
    assert (done.code, done.err) == (0, "")
    assert "root ok  complete up to seq 2 (anchor " in done.out
    [(url, options)] = installed
    assert (url, options["endpoint"], options["region"]) == ("s3://rynxs/log", "http://127.0.0.1:1234", "here")
    assert options["credentials"] == ("id", "key")
    assert cluster.forwards == [("rynxs-system", "rynxs-store-x", 7070)]


def test_the_log_of_a_cluster_that_was_changed(rynxs, cluster, installed, made) -> None:
    folder, _ = made
    objects(folder)[-1].unlink()
    done = rynxs("log", "verify", *ON)
    assert done.code == 1
    assert "shard-0   TAMPERED" in done.out


def test_a_stream_that_should_be_there(rynxs, cluster, installed, made) -> None:
    folder, _ = made
    shutil.rmtree(folder / "streams")
    done = rynxs("log", "verify", *ON)
    assert done.code == 1
    assert "shard-0   TAMPERED" in done.out
    cluster.put("configmaps", "rynxs-anchor-shard-0")
    assert "no anchor: nobody knows whether its end was cut off" in rynxs("log", "verify", *ON).out


def test_a_stream_that_nobody_anchors(rynxs, installed, made) -> None:
    folder, _ = made
    shutil.copytree(folder / "streams" / "shard-0", folder / "streams" / "other")
    done = rynxs("log", "verify", *ON, "--stream", "other")
    assert (done.code, "TAMPERED" in done.out) == (1, True)


def test_keys_of_the_environment_go_first(rynxs, cluster, installed, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    del cluster.api.objects["secrets", "rynxs-system", "rynxs-store"]
    assert rynxs("log", "verify", *ON).code == 0
    assert installed[0][1]["credentials"] is None


def test_a_store_outside_the_cluster(rynxs, cluster, installed) -> None:
    cluster.put("configmaps", "rynxs-config", data={"config.yaml": CONFIG.format(endpoint="")})
    assert rynxs("log", "verify", *ON).code == 0
    assert cluster.forwards == []
    assert installed[0][1]["endpoint"] is None


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("configmaps", "rynxs-config", "there is no configmap rynxs-config"),
        ("configmaps", "rynxs-trust", "there is no configmap rynxs-trust"),
        ("secrets", "rynxs-store", "there is no secret rynxs-store"),
        ("configmaps", "rynxs-anchor-shard-0", "configmap rynxs-system/rynxs-anchor-shard-0 does not exist"),
        ("pods", "rynxs-store-x", "no pod of service rynxs-system/rynxs-store is ready"),
    ],
)
def test_a_cluster_whose_log_could_not_be_checked(rynxs, cluster, installed, kind, name, reason) -> None:
    del cluster.api.objects[kind, "rynxs-system", name]
    done = rynxs("log", "verify", *ON)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


def test_a_store_that_can_not_be_reached(rynxs, cluster, installed, monkeypatch) -> None:
    class Away(DiskStore):
        async def get(self, key):
            raise StoreError("connection refused")

    monkeypatch.setattr(bucket_module, "BucketStore", lambda url, **options: Away(Path("/")))
    done = rynxs("log", "verify", *ON)
    assert (done.code, done.err) == (2, "rynxs: s3://rynxs/log could not be checked: connection refused\n")
    cluster.problem = "pods is forbidden"
    assert "no way to port 7070 of pod rynxs-system/rynxs-store-x: pods is forbidden" in rynxs("log", "verify", *ON).err


@pytest.mark.parametrize("option", [["--trust", "x"], ["--anchor", "x"], ["--endpoint", "http://x"]])
def test_what_goes_with_a_url_only(rynxs, installed, option) -> None:
    done = rynxs("log", "verify", *ON, *option)
    assert done.code == 2
    assert "go with a URL, not with the log of a cluster" in done.err


def test_a_bucket_without_a_cluster(rynxs, made, monkeypatch) -> None:
    folder, state = made
    opened = []

    def bucket(url, **options):
        opened.append((url, options))
        return DiskStore(folder)

    monkeypatch.setattr(bucket_module, "BucketStore", bucket)
    monkeypatch.setenv("AWS_REGION", "eu-1")
    trusted = ["--trust", str(state / "trust.json"), "--anchor", str(state / "anchors")]
    done = rynxs("log", "verify", "s3://audit/prod", *trusted, "--endpoint", "http://store:9000")
    assert (done.code, "complete up to seq 2" in done.out) == (0, True)
    assert opened == [("s3://audit/prod", {"endpoint": "http://store:9000", "region": "eu-1"})]
    assert rynxs("log", "verify", str(folder), "--endpoint", "http://x").err.endswith("--endpoint is for buckets\n")
