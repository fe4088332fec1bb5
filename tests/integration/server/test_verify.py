"""`rynxs log verify` on damaged copies of a real server's log: exit code 1, and the object is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def flip(objects: list[Path]) -> Path:
    data = bytearray(objects[3].read_bytes())
    data[len(data) // 2] ^= 1
    objects[3].write_bytes(data)
    return objects[3]


def remove(objects: list[Path]) -> Path:
    objects[3].unlink()
    return objects[3]


def remove_last(objects: list[Path]) -> Path:
    objects[-1].unlink()
    return objects[-1]


def cut_last(objects: list[Path]) -> Path:
    objects[-1].write_bytes(objects[-1].read_bytes()[:-40])
    return objects[-1]


def swap(objects: list[Path]) -> Path:
    third, fourth = objects[3].read_bytes(), objects[4].read_bytes()
    objects[3].write_bytes(fourth)
    objects[4].write_bytes(third)
    return objects[3]


def duplicate(objects: list[Path]) -> Path:
    following = objects[-1].with_name(f"{int(objects[-1].name) + 1:010d}")
    following.write_bytes(objects[-1].read_bytes())
    return following


def sign_otherwise(objects: list[Path]) -> Path:
    *lines, signature = objects[-1].read_bytes().splitlines(keepends=True)
    other = objects[-2].read_bytes().splitlines(keepends=True)[-1]
    assert other != signature
    objects[-1].write_bytes(b"".join([*lines, other]))
    return objects[-1]


def insert(objects: list[Path]) -> Path:
    foreign = objects[-1].with_name("note.txt")
    foreign.write_text("rubbish")
    return foreign


DAMAGES = [flip, remove, remove_last, cut_last, swap, duplicate, sign_otherwise, insert]


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.__name__ for damage in DAMAGES])
def test_damage_is_found(server, tmp_path: Path, damage: Callable[[list[Path]], Path]) -> None:
    for number in range(3):
        server.run("exec", "dev", "--", "printf", str(number))
    server.end()
    copy = tmp_path / "copy"
    shutil.copytree(server.data / "log", copy)
    clean = server.run("log", "verify", copy.as_uri())
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert f"complete up to seq {len(server.events()) - 1} (anchor " in clean.stdout
    damaged = damage(sorted((copy / "streams" / "shard-0").iterdir()))
    found = server.run("log", "verify", copy.as_uri())
    assert found.returncode == 1
    assert "TAMPERED" in found.stdout
    assert damaged.name in found.stdout


def test_what_could_not_be_checked(server, tmp_path: Path) -> None:
    for url in ("s3://bucket/log", f"file://{tmp_path}/nothing", tmp_path.as_uri()):
        done = server.run("log", "verify", url)
        assert done.returncode == 2
        assert done.stderr.startswith("rynxs: ")
        assert "Traceback" not in done.stderr
