"""The log of an installation: in the bucket that the configuration names, with the keys of the environment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rynxs.eventlog import Log, StoreError, probe
from rynxs.eventlog.bucket import BucketStore
from rynxs.operator.config import LogSettings

SHARDS = 1
"""So many shards has a log of this version."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_logger = logging.getLogger(__name__)


def open_store(settings: LogSettings) -> BucketStore:
    """The store, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment. Raises ValueError."""
    return BucketStore(settings.url, endpoint=settings.endpoint, region=settings.region)


async def open_log(settings: LogSettings, log_id: str, waiting: Callable[[str], None]) -> Log:
    """Open the log with that id, or create it, in a store that has been probed.

    A store that does not answer may be starting just as we are: it is asked until it does, and `waiting` is told
    why each time. Raises Unfit, WrongLog, WrongShards, NotALog, ValueError.
    """
    store = open_store(settings)
    pause = _FIRST_PAUSE
    while True:
        try:
            await probe(store)
            return await Log.create_or_open(store, log_id, SHARDS)
        except StoreError as error:
            _logger.warning("waiting for the log's store: %s", error)
            waiting(f"waiting for the log's store: {error}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
