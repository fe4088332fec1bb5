"""An image as its files and settings, read from an archive or a folder, with no container runtime and nothing unpacked.

Archives are those that `docker save` writes, and OCI image layouts (image-spec v1.1). Nobody vouches for them: what is
kept of them is bounded.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from rynxs.computer.filetree import FileTree
from rynxs.computer.tar import BadTar, Member, members

MAX_JSON = 4 << 20
MAX_LAYERS = 512
MAX_PARTS = 10_000
MAX_UNPACKED = 64 << 30
"""Bytes of one layer, unpacked."""

_PLATFORM = ("linux", "amd64")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MACHINES = {62: "linux/amd64", 183: "linux/arm64", 3: "linux/386", 40: "linux/arm", 243: "linux/riscv64"}
"""e_machine of ELF files, elf(5)."""

_T = TypeVar("_T")


class Unreadable(Exception):
    """It can't be read as an image; the message says why."""


class Image(NamedTuple):
    """An image. `platform` is like linux/amd64, or empty where nothing says it; `volumes` are paths it declares."""

    platform: str
    environment: dict[str, str]
    volumes: list[str]
    files: FileTree


class _Settings(Struct, rename="pascal"):
    env: list[str] | None = None
    volumes: dict[str, Any] | None = None


class _Config(Struct):
    os: str
    architecture: str
    config: _Settings | None = None


class _Saved(Struct, rename="pascal"):
    config: str
    layers: list[str]


class _Platform(Struct):
    os: str
    architecture: str


class _Descriptor(Struct, rename="camel"):
    digest: str
    platform: _Platform | None = None


class _Manifest(Struct):
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None


def read(path: Path) -> Image:
    """Read the archive, or the folder that is a root file system. Raises Unreadable, OSError."""
    try:
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as file:
            return _Archive(file).image()
    except (BadTar, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable(f"{path}: {error}") from error
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from error


class _Archive:
    """An archive with the parts of one image."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(2) == _GZIP:
            raise Unreadable("it is compressed: unpack it first, with gunzip")
        self._parts: dict[str, Member] = {}
        for part in members(file, file.seek(0, io.SEEK_END)):
            self._parts[posixpath.normpath(part.name)] = part
            if len(self._parts) > MAX_PARTS:
                raise Unreadable(f"it has more than {MAX_PARTS} files: it is no image")

    def image(self) -> Image:
        if "manifest.json" in self._parts:
            config, layers = self._saved()
        elif "index.json" in self._parts:
            config, layers = self._layout()
        else:
            raise Unreadable("it has neither manifest.json nor index.json: it is no image")
        if len(layers) > MAX_LAYERS:
            raise Unreadable(f"it has more than {MAX_LAYERS} layers")
        said = self._json(config, _Config)
        settings = said.config or _Settings()
        files = FileTree()
        for layer in layers:
            files.apply(self._layer(layer))
        environment = dict(variable.partition("=")[::2] for variable in settings.env or ())
        return Image(f"{said.os}/{said.architecture}", environment, sorted(settings.volumes or ()), files)

    def _saved(self) -> tuple[str, list[str]]:
        saved = self._json("manifest.json", list[_Saved])
        if len(saved) != 1:
            raise Unreadable(f"it has {len(saved)} images: save only one")
        return saved[0].config, saved[0].layers

    def _layout(self) -> tuple[str, list[str]]:
        manifest = self._json("index.json", _Manifest)
        for _ in range(3):  # an index may name an index, for several platforms
            if manifest.manifests is None:
                break
            fitting = [each for each in manifest.manifests if each.platform in (None, _Platform(*_PLATFORM))]
            if not manifest.manifests or (len(manifest.manifests) > 1 and len(fitting) != 1):
                raise Unreadable(f"it has {len(manifest.manifests)} images, {len(fitting)} of them for {_PLATFORM[1]}")
            manifest = self._json(_blob((fitting or manifest.manifests)[0]), _Manifest)
        if manifest.config is None:
            raise Unreadable("its manifest has no config: it is no image")
        return _blob(manifest.config), [_blob(layer) for layer in manifest.layers or ()]

    def _json(self, name: str, kind: type[_T]) -> _T:
        part = self._part(name)
        if part.size > MAX_JSON:
            raise Unreadable(f"{name} has {part.size} bytes, more than {MAX_JSON}")
        try:
            return msgspec.json.decode(_Window(self._file, part).read(part.size), type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unreadable(f"{name} can't be read: {error}") from error

    def _layer(self, name: str) -> Iterator[Member]:
        window = io.BufferedReader(_Window(self._file, self._part(name)))
        begin = window.peek(4)[:4]
        if begin == _ZSTD:
            raise Unreadable(f"layer {name} is compressed with zstd, which can't be read here: save it uncompressed")
        if begin[:2] == _GZIP:
            with gzip.GzipFile(fileobj=window) as unpacked:
                yield from members(unpacked, MAX_UNPACKED)  # type: ignore[arg-type]  # all that is used of it is there
        else:
            yield from members(window, MAX_UNPACKED)

    def _part(self, name: str) -> Member:
        """The part of that name; older dockers save a layer that comes twice as a link."""
        path = posixpath.normpath(name)
        for _ in range(2):
            part = self._parts.get(path)
            if part is None or part.kind == "file":
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), part.target))
        if part is None or part.kind != "file":
            raise Unreadable(f"{name[:200]} is missing")
        return part


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: BinaryIO, part: Member) -> None:
        self._file = file
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size}[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._part.size - self._at))
        self._file.seek(self._part.offset + self._at)
        data = self._file.read(size)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _blob(descriptor: _Descriptor) -> str:
    if not re.fullmatch(r"[a-z0-9]+:[a-f0-9]+", descriptor.digest):
        raise Unreadable(f"{descriptor.digest[:100]!r} is no digest")
    return "blobs/" + descriptor.digest.replace(":", "/")


def _folder(root: Path) -> Image:
    files = FileTree()
    files.apply(_walk(root))
    platform = ""
    for program in ("/bin/sh", "/usr/bin/env", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        found = files.find(program)
        if found.kind == "file":
            with open(root / found.path.lstrip("/"), "rb") as file:
                begin = file.read(20)
            if begin[:4] == b"\x7fELF":
                platform = _MACHINES.get(int.from_bytes(begin[18:20], "little"), "unknown")
                break
    return Image(platform, {}, [], files)


def _walk(root: Path) -> Iterator[Member]:
    for folder, folders, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        for name in folders + names:
            path = os.path.join(folder, name)
            target = os.readlink(path) if os.path.islink(path) else ""
            kind = "link" if target else "folder" if name in folders else "file"
            yield Member(f"{inside}/{name}", kind, target, 0, 0)  # type: ignore[arg-type]
