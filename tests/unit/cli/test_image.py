"""`rynxs image check`: where images come from, and what is said of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from imagearchive import DEBIAN, config, docker, layer


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return docker(tmp_path / "image.tar", layer(DEBIAN))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch):
    """Only these programs are here: each a shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def test_it_fits(rynxs, archive):
    done = rynxs("image", "check", str(archive))
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{archive} can be an agent's computer"
    assert lines[1] == "  ok       platform      linux/amd64"
    assert "  missing  git           there is no git in PATH: repositories can't be cloned or changed" in lines


def test_it_does_not_fit(rynxs, tmp_path):
    path = docker(tmp_path / "image.tar", layer("workspace"), settings=config("arm64"))
    done = rynxs("image", "check", str(path))
    assert done.code == 1
    assert done.out.startswith(f"{path} can NOT be an agent's computer\n  wrong    platform ")


def test_for_programs(rynxs, archive):
    done = rynxs("image", "check", str(archive), "-o", "json")
    said = json.loads(done.out)
    assert (done.code, said["image"], said["fits"]) == (0, str(archive), True)
    assert said["findings"][0] == {"about": "platform", "state": "ok", "message": "linux/amd64"}


def test_a_folder(rynxs, tmp_path):
    (tmp_path / "root").mkdir()
    assert rynxs("image", "check", str(tmp_path / "root")).code == 0


def test_what_an_image_says_does_not_steer_the_terminal(rynxs, tmp_path):
    path = docker(tmp_path / "image.tar", settings=config(Volumes={"/a\n  ok  \x1b[2J": {}}))
    done = rynxs("image", "check", str(path))
    assert "\x1b" not in done.out
    assert "/a\\n  ok  \\x1b[2J" in done.out


@pytest.mark.parametrize("content", [b"", b"no archive" * 100])
def test_no_image(rynxs, tmp_path, content):
    (tmp_path / "image.tar").write_bytes(content)
    done = rynxs("image", "check", str(tmp_path / "image.tar"))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"rynxs: {tmp_path / 'image.tar'} could not be checked: ")
    assert done.err.count("\n") == 1


def test_a_name_without_any_program(rynxs, programs):
    done = rynxs("image", "check", "tools:3")
    assert done.code == 2
    assert "none of docker, podman, buildah is here" in done.err


def test_the_first_program_that_has_it_saves_it(rynxs, programs, archive, tmp_path):
    programs("docker", "echo first >&2; echo 'Cannot connect to the daemon' >&2; exit 1")
    programs("podman", f'echo "$6" >{tmp_path}/to; [ "$4 $8" = "docker-archive tools:3" ] && cp {archive} "$6"')
    programs("buildah", "exit 1")
    done = rynxs("image", "check", "tools:3")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("tools:3 can be")
    assert not Path((tmp_path / "to").read_text().strip()).exists(), "nothing is left"


def test_no_program_has_it(rynxs, programs):
    programs("docker", "echo first >&2; echo 'Cannot connect to the daemon' >&2; exit 1")
    programs("buildah", 'echo "$@" >&2; exit 125')
    done = rynxs("image", "check", "tools:3")
    assert done.code == 2
    assert "docker: Cannot connect to the daemon; buildah: push -q -- tools:3 docker-archive:" in done.err


def test_a_name_is_never_an_option(rynxs, programs):
    programs("docker", 'echo "$@" >&2; exit 1')
    done = rynxs("image", "check", "--", "--output=/etc/passwd")
    assert f"docker: save -o {os.sep}" in done.err
    assert "-- --output=/etc/passwd" in done.err
