"""The file tools, confined to the workspace by openat2(2): neither `..` nor a link leads out of it."""

from __future__ import annotations

import base64
import binascii
import codecs
import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import Literal

from rynxs.action.tool import (
    Encoding,
    Entry,
    FileContent,
    FileDelete,
    FileDeleted,
    FileEntries,
    FileList,
    FileRead,
    FileWrite,
    FileWritten,
)
from rynxs.computer.removal import remove
from rynxs.computer.syscall import open_beneath

ROOT = "/workspace"
"""Where the workspace is in every computer; absolute paths must lie below it."""


class FileError(Exception):
    """The file tool could not do it; the message names the path as the caller gave it."""


class Workspace:
    """The folder that an agent owns. Every call blocks, and may run in a thread."""

    def __init__(self, path: str = ROOT) -> None:
        """Open the folder at `path`; paths of calls are relative to it or start with ROOT. Raises OSError."""
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_folder(self, path: str) -> int:
        """A descriptor of a folder, for a working directory. Raises FileError."""
        with _errors(path):
            return open_beneath(self.descriptor, _relative(path), os.O_PATH | os.O_DIRECTORY)

    def read(self, args: FileRead) -> FileContent:
        """Bytes of a regular file, as text when they are UTF-8. A character cut by the limit is left out."""
        # O_NONBLOCK: opening a FIFO must not wait for its other end. It means nothing for a regular file.
        with _errors(args.path), self._opened(args.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as file:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise FileError(f"{args.path!r} is {_kind_words(found.st_mode)}, not a regular file")
            data = _read_at(file, args.offset, args.limit)
        whole = args.offset + len(data) >= found.st_size
        content, encoding = _to_text(data, whole)
        return FileContent(content=content, encoding=encoding, size=found.st_size)

    def write(self, args: FileWrite) -> FileWritten:
        """Write a whole file: a temporary file beside it, then rename. A link of that name is replaced."""
        data = _to_bytes(args)
        with _errors(args.path), self._parent(args.path, make=True) as (folder, name):
            temporary = f".{secrets.token_hex(8)}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(temporary, flags, 0o755 if args.executable else 0o644, dir_fd=folder)
            try:
                with open(file, "wb", buffering=0) as raw:
                    view = memoryview(data)
                    while view:
                        view = view[raw.write(view) :]
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
        return FileWritten(size=len(data))

    def list(self, args: FileList) -> FileEntries:
        """Entries of a folder by name; links are shown, not followed."""
        with _errors(args.path), self._opened(args.path, os.O_RDONLY | os.O_DIRECTORY) as folder:
            names = sorted(os.listdir(folder))
            entries = []
            for name in names[: args.limit]:
                with contextlib.suppress(FileNotFoundError):  # deleted since listdir
                    entries.append(_entry(name, os.stat(name, dir_fd=folder, follow_symlinks=False)))
        return FileEntries(entries=entries, truncated=len(names) > args.limit)

    def delete(self, args: FileDelete, stopped: Callable[[], bool] = lambda: False) -> FileDeleted:
        """Delete a file, a link (not its target) or a folder.

        Raises FileError, and Stopped between entries.
        """
        with _errors(args.path), self._parent(args.path) as (folder, name):
            return FileDeleted(count=remove(folder, name, recursive=args.recursive, stopped=stopped))

    @contextlib.contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        descriptor = open_beneath(self.descriptor, _relative(path), flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder that holds `path`, open, and the name in it; missing folders are made if asked."""
        above, _, name = _relative(path).rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            raise FileError(f"{path!r} names no file in the workspace")
        if make:
            self._make_folders(above)
        descriptor = open_beneath(self.descriptor, above or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)

    def _make_folders(self, path: str) -> None:
        done = ""
        for part in filter(None, path.split("/")):
            try:
                os.close(open_beneath(self.descriptor, done + part, os.O_PATH | os.O_DIRECTORY))
            except FileNotFoundError:
                folder = open_beneath(self.descriptor, done or ".", os.O_PATH | os.O_DIRECTORY)
                try:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=folder)
                finally:
                    os.close(folder)
            done += part + "/"


def _relative(path: str) -> str:
    """`path` relative to the workspace. Raises FileError for an absolute path elsewhere."""
    if not path.startswith("/"):
        return path
    if path != ROOT and not path.startswith(ROOT + "/"):
        raise FileError(f"{path!r} is outside the workspace: use a relative path, or one below {ROOT}")
    return path[len(ROOT) :].lstrip("/") or "."


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{path!r}: {_words(error)}") from error
    except UnicodeEncodeError as error:
        raise FileError(f"{path!r} is not a name that can be written in UTF-8") from error


def _words(error: OSError) -> str:
    match error.errno:
        case errno.EXDEV:
            return "leads out of the workspace, by a link or by '..'"
        case errno.ENOENT:
            return "there is no such file or folder"
        case errno.ENXIO | errno.ENODEV:
            return "is a FIFO, a socket or a device, not a regular file"
        case errno.ENOTEMPTY:
            return "the folder is not empty; set recursive to delete it with what is in it"
        case errno.ENOTDIR:
            return "a folder was expected here"
        case errno.EISDIR:
            return "is a folder"
        case _:
            return error.strerror or "the operation failed"


def _read_at(file: int, offset: int, limit: int) -> bytes:
    parts = []
    while limit and (part := os.pread(file, limit, offset)):
        parts.append(part)
        offset += len(part)
        limit -= len(part)
    return b"".join(parts)


def _to_text(data: bytes, whole: bool) -> tuple[str, Encoding]:
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=whole), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


def _to_bytes(args: FileWrite) -> bytes:
    if args.encoding == "utf-8":
        return args.content.encode()
    try:
        return base64.b64decode(args.content, validate=True)
    except binascii.Error as error:
        raise FileError(f"content for {args.path!r} is not base64 (RFC 4648): {error}") from error


def _kind(mode: int) -> Literal["file", "directory", "link", "other"]:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def _kind_words(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a FIFO, a socket or a device"


def _entry(name: str, found: os.stat_result) -> Entry:
    # A name that is not UTF-8 can't be in JSON: its odd bytes are shown as \xNN.
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    return Entry(name=shown, kind=_kind(found.st_mode), size=found.st_size, modified=found.st_mtime)
