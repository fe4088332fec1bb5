"""A store in a bucket of S3 or of a server that speaks it (MinIO, versitygw, Ceph).

The client never retries by itself: a hidden second PUT would find the first one and call our own success a
conflict. Those who append look into the slot instead (`placing`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from rynxs.eventlog.store import Exists, Missing, StoreError, check_key

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_TIMEOUT, REQUEST_TIMEOUT = "3s", "10s"
"""Of every request: to connect, and in all. One that takes longer may or may not have been carried out."""

_PAGE = 1000
_BEHIND = "z" * 129  # sorts behind every segment of a key


class Credentials(NamedTuple):
    """A pair of S3 keys."""

    access_key_id: str
    secret_access_key: str


class BucketStore:
    """Objects below a prefix of a bucket. Without `credentials` those of the environment count (AWS_*).

    `url` is `s3://bucket/prefix`; `endpoint` is the server's address, by default that of AWS in `region`, and may
    be http. Raises ValueError for another URL.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        credentials: Credentials | None = None,
    ) -> None:
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is not a bucket's URL, such as s3://bucket/prefix")
        if prefix:
            check_key(prefix)
        self.url = f"s3://{parts.netloc}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        config: S3Config = {"region": region}
        if endpoint:
            config |= {"endpoint": endpoint.rstrip("/"), "virtual_hosted_style_request": False}
        if credentials:
            config |= {
                "access_key_id": credentials.access_key_id,
                "secret_access_key": credentials.secret_access_key,
            }
        self._store = S3Store(
            parts.netloc,
            config=config,
            client_options={"allow_http": True, "connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT},
            retry_config={"max_retries": 0},
        )

    async def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        check_key(key)
        try:
            await obstore.put_async(self._store, self._prefix + key, bytes(data), mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            await self._check_exists(key, error)
            raise Exists(f"{self.url}/{key} exists") from error
        except (BaseError, OSError) as error:
            raise self._failed(key, error) from error

    async def get(self, key: str) -> bytes:
        """See ObjectStore."""
        check_key(key)
        try:
            answer = await obstore.get_async(self._store, self._prefix + key)
            return bytes(await answer.bytes_async())
        except FileNotFoundError:
            raise Missing(f"{self.url}/{key} does not exist") from None
        except (BaseError, OSError) as error:
            raise self._failed(key, error) from error

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """See ObjectStore. Asks for a page at a time."""
        folder = self._prefix + prefix[: prefix.rfind("/") + 1]
        # The client takes no other characters, and asks for what is behind a name.
        offset = self._prefix + after.replace("~", _BEHIND) if after else None
        start = len(self._prefix)
        last = ""
        try:
            async for page in obstore.list(self._store, folder or None, offset=offset, chunk_size=_PAGE):
                for item in page:
                    key = item["path"][start:]
                    if not key.startswith(prefix) or key <= after:
                        continue
                    if key <= last:
                        raise StoreError(f"{self.url}: the store lists {key} behind {last}: it can't hold a log")
                    last = key
                    yield key
        except (BaseError, OSError) as error:
            raise self._failed(prefix, error) from error

    async def _check_exists(self, key: str, problem: Exception) -> None:
        """A 409 says that another request is on its way, not that anything is there."""
        try:
            await obstore.head_async(self._store, self._prefix + key)
        except (FileNotFoundError, BaseError, OSError) as error:
            raise self._failed(key, problem) from error

    def _failed(self, key: str, error: Exception) -> StoreError:
        return StoreError(f"{self.url}/{key}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The first line of the client's account, without its debugging text."""
    return str(error).split("\n", 1)[0].removeprefix("Generic S3 error: ").strip()
