"""Tar archives, against Python's own writer and against what no honest writer makes."""

import io
import tarfile

import pytest

from rynxs.computer.tar import MAX_HEADER, BadTar, members

LONG = "a/" + "long/" * 60 + "größe"


def tar(kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, kind, target, data in (
            ("bin", tarfile.DIRTYPE, "", b""),
            ("bin/sh", tarfile.REGTYPE, "", b"x" * 1000),
            (LONG, tarfile.REGTYPE, "", b"y" * 512),
            ("link", tarfile.SYMTYPE, LONG, b""),
            ("hard", tarfile.LNKTYPE, "bin/sh", b""),
            ("dev/null", tarfile.CHRTYPE, "", b""),
            ("empty", tarfile.REGTYPE, "", b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(data)
            entry.pax_headers = {"comment": "nothing"}
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def read(data: bytes, limit: int = 1 << 30) -> list:
    return list(members(io.BytesIO(data), limit))


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members(kind):
    data = tar(kind)
    found = read(data)
    assert [(each.name, each.kind, each.target) for each in found] == [
        ("bin/", "folder", ""),
        ("bin/sh", "file", ""),
        (LONG, "file", ""),
        ("link", "link", LONG),
        ("hard", "hardlink", "bin/sh"),
        ("dev/null", "other", ""),
        ("empty", "file", ""),
    ]
    for each, fill in ((found[1], b"x"), (found[2], b"y")):
        assert data[each.offset : each.offset + each.size] == fill * each.size
        assert each.size in (1000, 512)


def test_a_size_in_binary():
    out = io.BytesIO()
    entry = tarfile.TarInfo("big")
    entry.size = 9 << 30
    out.write(entry.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(BadTar, match="more than"):
        read(out.getvalue())
    out.seek(0)
    assert next(members(out, 1)).size == 9 << 30


def test_ends_without_zeros():
    [only] = read(tar()[: 3 * 512])  # the first member's two extended blocks and its header
    assert only.name == "bin/"


def test_empty():
    assert read(b"") == read(bytes(1024)) == []


@pytest.mark.parametrize("cut", [100, 512, 700, 3 * 512 + 10, 6 * 512 + 100])
def test_cut_short(cut):
    with pytest.raises(BadTar, match="too early"):
        read(tar()[:cut])


def test_not_a_tar():
    with pytest.raises(BadTar, match="no tar archive"):
        read(b"#!/bin/sh\n" * 100)


def extended(data: bytes, size: int | None = None) -> bytes:
    entry = tarfile.TarInfo("x")
    entry.type = tarfile.XHDTYPE
    entry.size = len(data) if size is None else size
    return entry.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512) + tarfile.TarInfo("file").tobuf()


def test_a_huge_extended_header_is_not_read():
    with pytest.raises(BadTar, match="an extended header has"):
        read(extended(b"", MAX_HEADER + 1))


@pytest.mark.parametrize(
    "record", [b"10 path=x", b"0 path=x\n", b"-1 path=\n", b"9 path=xy\n", b"99999999999999999999999 path=x\n", b"\xff"]
)
def test_damaged_extended_headers(record):
    with pytest.raises(BadTar, match="extended header"):
        read(extended(record))


@pytest.mark.parametrize("size", ["-5", "1e9", "²", "9" * 30])
def test_a_size_that_is_none(size):
    record = f" size={size}\n".encode()
    with pytest.raises(BadTar, match="a size is"):
        read(extended(str(len(record) + 2).encode() + record))


def test_many_small_records_take_no_time():
    [only] = read(extended(b"6 a=b\n" * 170_000))
    assert only.name == "file"


def test_a_name_that_no_system_has():
    record = b" path=" + b"x" * 5000 + b"\n"
    with pytest.raises(BadTar, match="more than 4096"):
        read(extended(b"5011" + record))
