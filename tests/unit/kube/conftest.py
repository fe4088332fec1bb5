"""A client of an API server that the test has written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from unit.kube.script import CONFIG, Script

from rynxs.kube.client import Client


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[Client]:
    async with Client(CONFIG) as made:
        await made.http.aclose()
        made.http = httpx2.AsyncClient(transport=httpx2.MockTransport(script), base_url="http://server.test")
        yield made
