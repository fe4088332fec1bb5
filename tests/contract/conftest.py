"""Buckets of real servers: one server of each kind for all tests, a fresh prefix for each."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from cluster import s3

from rynxs.eventlog.bucket import BucketStore, Credentials


def pytest_collection_modifyitems(items):
    """The first use of a server builds it, which takes minutes."""
    for item in items:
        if "buckets" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def servers():
    """A function that starts the server of a name, once."""
    started = {}
    with contextlib.ExitStack() as stack:

        def server(name):
            if name not in started:
                started[name] = stack.enter_context({"versitygw": s3.versitygw, "minio": s3.minio}[name]())
            return started[name]

        yield server


@pytest.fixture
def buckets(servers):
    """A function from a server's name to a function that opens a store there, each time the same objects."""

    def bucket(name):
        server, url = servers(name), f"s3://{s3.BUCKET}/{uuid.uuid4()}"
        keys = Credentials(server.access_key, server.secret_key)
        return lambda: BucketStore(url, endpoint=server.endpoint, credentials=keys)

    return bucket
