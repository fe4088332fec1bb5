"""What the program in a computer's pod does besides being the daemon."""

import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from rynxs.computer import init, listener, pod
from rynxs.computer.limits import Limits


class Ended(Exception):
    """In place of os._exit."""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    for name in ("bundle", "run", "etc", "certificate"):
        (tmp_path / name).mkdir()
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / "certificate" / name).write_text(f"this is {name}")
    program = tmp_path / "ours" / "_internal" / "lib.so"
    program.parent.mkdir(parents=True)
    program.write_text("library")
    (tmp_path / "ours" / "rynxs-computer").write_text("program")
    (tmp_path / "ours" / "rynxs-computer").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("times", [1, 2])
def test_prepare_fills_the_volumes_also_again(prepared: Path, times: int):
    before = prepared.joinpath("bundle").stat()
    for _ in range(times):
        pod.prepare(prepared, prepared / "ours")
    program = prepared / "bundle" / "rynxs-computer"
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("program", 0o755)
    assert (prepared / "bundle" / "_internal" / "lib.so").read_text() == "library"
    assert prepared.joinpath("bundle").stat().st_mode == before.st_mode
    for name in ("tls.crt", "tls.key", "ca.crt"):
        assert (prepared / "run" / name).read_text() == f"this is {name}"
        assert stat.S_IMODE((prepared / "run" / name).stat().st_mode) == 0o600


def test_prepare_does_not_touch_the_volume_itself(prepared: Path, monkeypatch: pytest.MonkeyPatch):
    touched = []
    monkeypatch.setattr("shutil.copystat", lambda source, target, **_: touched.append(Path(target)))
    pod.prepare(prepared, prepared / "ours")
    assert touched
    assert prepared / "bundle" not in touched, "it is root's, and we are not"


def test_our_user_has_a_name(prepared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 1_000_000_007)
    monkeypatch.setattr(os, "getgid", lambda: 1_000_000_008)
    pod.prepare(prepared, prepared / "ours")
    users = [line.split(":") for line in (prepared / "etc" / "passwd").read_text().splitlines()]
    groups = [line.split(":") for line in (prepared / "etc" / "group").read_text().splitlines()]
    assert ["agent", "x", "1000000007", "1000000008", "", "/workspace", "/bin/sh"] in users
    assert ["agent", "x", "1000000008", ""] in groups


def test_the_daemon_starts_without_what_programs_must_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = {}

    def become_pid_1(limits):
        seen["first"] = dict(os.environ)
        seen["secrets"] = list(tmp_path.iterdir())
        del os.environ["LD_LIBRARY_PATH"]
        return {"pid": "1"}, 2, "orders"

    async def serve(*arguments):
        seen["then"] = dict(os.environ)
        seen["arguments"] = arguments

    def leave(code):
        raise Ended(code)

    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    monkeypatch.setattr(pod, "SECRETS", tmp_path)
    monkeypatch.setattr(listener, "context", lambda folder: sorted(file.name for file in folder.iterdir()))
    monkeypatch.setattr(listener, "serve", serve)
    monkeypatch.setattr(init, "become_pid_1", become_pid_1)
    monkeypatch.setattr(os, "_exit", leave)
    kept = {"PATH": "/bin", "KUBERNETES_CONFIG": "the agent's own", "LD_LIBRARY_PATH": "/image"}
    bootloader = {"LD_LIBRARY_PATH": "/opt/rynxs/_internal", "LD_LIBRARY_PATH_ORIG": "/image", "_PYI_ARCHIVE_FILE": "x"}
    kubernetes = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_PORT": "tcp://", "KUBERNETES_PORT_443_TCP": "tcp:"}
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in (kept | bootloader | kubernetes).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Ended, match="0"):
        pod.serve(pod.Serve(port=7443, limits=Limits()))
    assert seen["then"] == kept
    assert seen["first"] == kept | {"LD_LIBRARY_PATH": "/opt/rynxs/_internal"}
    assert seen["secrets"] == []
    assert seen["arguments"] == (7443, ["ca.crt", "tls.crt", "tls.key"], 2, "orders", Limits(), {"pid": "1"})


@pytest.mark.parametrize("arguments", [[], ["help"], ["walls"], ["prepare", "x"], ["check"]])
def test_what_it_is_not_for(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["rynxs-computer", *arguments])
    with pytest.raises(SystemExit, match="usage: rynxs-computer prepare"):
        pod.main()


@pytest.mark.parametrize("settings", ["{}", '{"port": 1, "limits": {}, "more": 1}', "x"])
def test_settings_must_be_whole(settings: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["rynxs-computer", "serve", settings])
    with pytest.raises(msgspec.DecodeError):
        pod.main()
