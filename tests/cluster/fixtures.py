"""Pytest fixtures: `cluster`, a real one of two nodes, `namespace` in it, and `controlplane`, an API server alone.

The cluster is one of the machine, shared by the workers of a test run and by runs. It is started when it does not run,
and removed at the end by the run that started it. A test marked `faults` breaks parts of it, and so has it to itself.
With RYNXS_TEST_KUBECONFIG it is somebody's own cluster: nothing is built, and tests marked `faults` are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from cluster import packages
from cluster.client import Client
from cluster.cluster import Cluster
from cluster.components import Components
from cluster.controlplane import ControlPlane, free_port
from cluster.process import Processes
from cluster.programs import CACHE, kubectl, program

KEPT = 20
RUN = "RYNXS_TEST_RUN"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


class Machine:
    """This machine's cluster, as one test process sees it."""

    def __init__(self) -> None:
        foreign = os.environ.get("RYNXS_TEST_KUBECONFIG")
        self.client: Client = Client(Path(foreign)) if foreign else Cluster()
        self.error: Exception | None = None
        self._user: IO[str] | None = None

    def prepare(self) -> None:
        """Start the cluster unless it runs; what goes wrong is kept for the tests that ask for it."""
        if self._user is not None or not isinstance(self.client, Cluster) or os.geteuid() != 0:
            return
        CACHE.mkdir(parents=True, exist_ok=True)
        self._user = (CACHE / "cluster.users").open("w")
        fcntl.flock(self._user, fcntl.LOCK_SH)
        note = self.client.layout.folder / "run"
        with _lock("cluster.prepare"), self.turn(alone=False):
            if note.exists() and note.read_text() == os.environ[RUN]:
                return  # another worker did; by now a test may have broken it on purpose
            try:
                if self.client.up():
                    note.write_text(os.environ[RUN])
            except Exception as error:  # noqa: BLE001
                self.error = error

    @contextlib.contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """While no test has the cluster to itself, or while no other test has it at all."""
        with contextlib.ExitStack() as queue:
            queue.enter_context(_lock("cluster.queue"))  # who waits for it alone is not overtaken
            with _lock("cluster.tests", fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
                queue.close()
                yield

    def leave(self) -> None:
        """Say that this process does not use the cluster any more."""
        if self._user is not None:
            self._user.close()
            self._user = None

    def remove(self) -> None:
        """Remove the cluster if this run started it and nobody else uses it."""
        if not isinstance(self.client, Cluster):
            return
        note = self.client.layout.folder / "run"
        if note.exists() and note.read_text() == os.environ[RUN]:
            with (CACHE / "cluster.users").open("w") as users, contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.client.down()


MACHINE = pytest.StashKey[Machine]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: breaks parts of the cluster, which no other test uses meanwhile")
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = uuid.uuid4().hex  # the workers inherit it
    config.stash[MACHINE] = Machine()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[MACHINE].leave()
    if not hasattr(config, "workerinput"):
        config.stash[MACHINE].remove()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Building, starting and waiting for a turn are not part of a test's time."""
    machine = item.config.stash[MACHINE]
    needs = getattr(item, "fixturenames", ())
    if "controlplane" in needs:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):  # the fixture fails of it then
            kubectl()
    with contextlib.ExitStack() as stack:
        if "cluster" in needs:
            machine.prepare()
            stack.enter_context(machine.turn(alone=item.get_closest_marker("faults") is not None))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """When a test fails that uses the cluster, collect what the cluster knows, before its namespace is deleted."""
    report = yield
    machine = item.config.stash[MACHINE]
    needs = getattr(item, "fixturenames", ())
    if report.failed and "cluster" in needs and machine.error is None:
        name = re.sub(r"[^\w.-]+", "-", item.nodeid.removeprefix("tests/"))[:150]
        for old in sorted((CACHE / "failures").glob("*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        folder = CACHE / "failures" / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
        machine.client.collect(folder)
        report.sections.append(("the cluster's logs", str(folder)))
    if report.failed and isinstance(alone := getattr(item, "funcargs", {}).get("controlplane"), Components):
        report.sections.append(("the control plane's logs", str(alone.processes.logs)))
    return report


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Client:
    """The cluster: a `Cluster`, or only a `Client` of somebody's own."""
    machine = request.config.stash[MACHINE]
    if isinstance(machine.client, Cluster) and os.geteuid() != 0:
        pytest.skip("the test cluster needs root; or set RYNXS_TEST_KUBECONFIG to use another")
    if machine.error is not None:
        raise machine.error
    return machine.client


@pytest.fixture(autouse=True)
def _faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked `faults` leaves a whole cluster behind, however it ends."""
    if request.node.get_closest_marker("faults") is None:
        yield
        return
    cluster = request.getfixturevalue("cluster")
    if not isinstance(cluster, Cluster):
        pytest.skip("breaks the cluster, which is not ours to break")
    yield
    cluster.mend()


@pytest.fixture
def namespace(cluster: Client) -> Iterator[str]:
    """A new namespace, where pods may do what they like."""
    yield from _namespace(cluster)


@pytest.fixture
def restricted_namespace(cluster: Client) -> Iterator[str]:
    """A new namespace with Pod Security `restricted` enforced."""
    yield from _namespace(cluster, RESTRICTED)


@pytest.fixture(scope="module")
def controlplane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Components]:
    """etcd and an API server on loopback for one module, with no controllers and no nodes.

    What a module's tests leave there (agents, policies of the whole cluster) no other module meets. Nothing makes
    service accounts, collects garbage or finishes the deletion of a namespace: pods are admitted without a service
    account, and a test uses a namespace that no other uses.
    """
    packages.install("etcd")
    program("kube")
    folder = tmp_path_factory.mktemp("controlplane")
    processes = Processes(folder, f"controlplane-{os.getpid()}", tied=True)
    control = ControlPlane(folder, processes, "127.0.0.1", free_port())
    control.certify()
    try:
        options = ("--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none")
        control.start_server(control.start_store(), "10.96.0.0/16", *options)
        yield Components(control, processes)
    finally:
        for name in processes.names():
            processes.kill(name)


def _namespace(cluster: Client, *labels: str) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    for label in labels:
        cluster.kubectl("label", "namespace", name, label)
    cluster.kubectl("wait", "--for=create", "--timeout=30s", "serviceaccount/default", f"--namespace={name}")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@contextlib.contextmanager
def _lock(name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / name).open("w") as lock:
        fcntl.flock(lock, kind)
        yield
