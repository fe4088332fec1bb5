"""A store in a folder. An object is durable when `create` returns, also over a loss of power.

A synced temporary file is linked to the object's name, which fails if the name is taken, and the folder is
synced. A crash can leave temporary files; their names begin with a dot, and nobody reads them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from rynxs.eventlog.file import SyncFailed, sync_folder, temporary
from rynxs.eventlog.store import Exists, Missing, StoreBroken, StoreError, check_key

T = TypeVar("T")
_LISTED = 1000


class DiskStore:
    """Objects as files below `path`, which is made with the first object. Calls run in order in one thread.

    After an error of fsync nobody can know what is on the disk: the store refuses everything from then on.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._root = Path(path).absolute()
        self.url = self._root.as_uri()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rynxs-disk")
        self._synced: set[str] = set()
        self._broken = ""

    async def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._call(key, lambda: self._create(f"{self._root}/{key}", data))

    async def get(self, key: str) -> bytes:
        """See ObjectStore."""
        check_key(key)
        return await self._call(key, lambda: self._get(key))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """See ObjectStore. Reads a folder at a time."""
        keys = _keys(self._root, "", prefix, after)
        while page := await self._call(prefix, lambda: _take(keys, _LISTED)):
            for key in page:
                yield key

    async def _call(self, key: str, blocking: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, key, blocking)

    def _guarded(self, key: str, blocking: Callable[[], T]) -> T:
        where = f"{self.url}/{key}"
        if self._broken:
            raise StoreBroken(f"{where}: refused after an earlier error: {self._broken}")
        try:
            return blocking()
        except SyncFailed as error:
            self._broken = str(error)
            raise StoreBroken(
                f"{where}: {error}: what was written may be lost; check the disk, then start again"
            ) from error
        except FileExistsError:
            raise Exists(f"{where} exists") from None
        except OSError as error:
            raise StoreError(f"{where}: {error.strerror}") from error

    def _get(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"{self.url}/{key} does not exist") from None

    def _create(self, path: str, data: bytes) -> None:
        folder = path.rpartition("/")[0]  # not pathlib: it would take a fifth of the time of a create
        if folder not in self._synced:
            self._make(Path(folder))
        with temporary(folder, data) as made:
            os.link(made, path)
            sync_folder(folder)

    def _make(self, folder: Path) -> None:
        """Make a folder and its parents durable, once in this process.

        An earlier process may have made one and died before the sync: those that exist are synced, too.
        """
        if str(folder) in self._synced:
            return
        if self._root in folder.parents or not folder.parent.exists():
            self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
        self._synced.add(str(folder))


def _take(keys: Iterator[str], count: int) -> list[str]:
    return list(islice(keys, count))


def _keys(folder: Path, path: str, prefix: str, after: str) -> Iterator[str]:
    """Keys below a folder in the order of a flat store: there a folder sorts as its name with the slash."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name + "/" * entry.is_dir() for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(names):
        key = path + name
        if name.endswith("/"):
            may_match = key.startswith(prefix) or prefix.startswith(key)
            all_before = key < after and not after.startswith(key)
            if may_match and not all_before:
                yield from _keys(folder / name, key, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key
