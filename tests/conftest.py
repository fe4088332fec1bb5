"""What all tests need."""

from __future__ import annotations

import asyncio
import contextlib
import warnings

import pytest

pytest_plugins = ["cluster.fixtures"]


@pytest.fixture(autouse=True, scope="session")
def no_loop() -> None:
    """Close the loop that looptime's plugin makes for the first test without one: `asyncio.run` would only drop it."""
    with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.get_event_loop_policy().get_event_loop().close()
    asyncio.set_event_loop(None)
