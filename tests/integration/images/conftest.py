"""The built images, and computers that are made of them as Kubernetes would, with bubblewrap for the container."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cluster import images

from rynxs.action.outcome import Outcome
from rynxs.action.tool import TOOLS, ShellExec
from rynxs.cluster.connection import connect
from rynxs.computer.client import Client, ConnectionLost
from rynxs.computer.limits import MIB, Limits
from rynxs.computer.pod import Serve
from rynxs.computer.protocol import Ended, Fence, Output, Run
from rynxs.operator.certificate import Authority, computer_host

ROOT = Path(__file__).parents[3]
FENCE = Fence(1, 1)
HOST = computer_host("team-a", "dev-1")
_uids = itertools.count(1_000_000_001)


def pytest_collection_modifyitems(items):
    """One worker: each would unpack the images for itself. They may have to be built first."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("images"))
            item.add_marker(pytest.mark.timeout(900))
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="images are built by root"))


@pytest.fixture(scope="session")
def archives() -> dict[str, Path]:
    """The archive of each image, by its name without registry and tag."""
    environment = {**os.environ, "TAG": "test", "REGISTRY": "registry.test"}
    command = [ROOT / "scripts" / "images"]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line.split(" ", 1) for line in said.splitlines()]
    return {name.rpartition("/")[2].partition(":")[0]: Path(archive) for name, archive in lines}


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for unpacked images, which other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def bundle(archives: dict[str, Path], scratch: Path) -> Path:
    """The daemon's bundle, out of its image."""
    unpack(archives["rynxs-computer"], scratch / "rynxs-computer", "opt/rynxs/")
    return scratch / "rynxs-computer" / "opt" / "rynxs"


@pytest.fixture(scope="session", params=["debian", "busybox"])
def image(request: pytest.FixtureRequest, scratch: Path) -> Path:
    """The root of a customer's image without Python: Debian's, and one without a C library."""
    archive = request.getfixturevalue("archives")["debian"] if request.param == "debian" else images.busybox()
    root = scratch / request.param
    unpack(archive, root)
    prepared = [f"prepared/{name}" for name in ("bundle", "run", "etc", "certificate")]
    for folder in ("etc", "opt/rynxs", "proc", "dev", "run/rynxs", "tmp", "workspace", *prepared):
        (root / folder).mkdir(parents=True, exist_ok=True)  # as a container runtime makes what is to be mounted on
    for file in ("passwd", "group"):
        (root / "etc" / file).touch()
    return root


def unpack(archive: Path, root: Path, prefix: str = "") -> None:
    """Unpack what is below `prefix` of an archive in Docker's format."""
    with tarfile.open(archive) as outer:
        [manifest] = json.load(outer.extractfile("manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(name), mode="r|*") as layer:
                for member in layer:
                    if f"{member.name.removeprefix('./')}/".startswith(prefix):
                        layer.extract(member, root, filter="fully_trusted")


@dataclass
class Computer:
    """A running computer of a pod."""

    client: Client
    process: asyncio.subprocess.Process
    workspace: Path
    seconds: float
    _ids: itertools.count = field(default_factory=itertools.count)

    async def tool(self, args: msgspec.Struct) -> tuple[Outcome, str]:
        """Run it; gives its outcome, and its output."""
        [tool] = [tool.name for tool in TOOLS.values() if isinstance(args, tool.args)]
        run = Run(
            action=f"action-{next(self._ids)}",
            fence=FENCE,
            boot=self.client.hello.boot,
            tool=tool,
            args=msgspec.json.encode(args),
            timeout=30,
            max_output=MIB,
        )
        output = b""
        async for frame in self.client.run(run):
            if isinstance(frame, Output):
                output += frame.data
            else:
                assert isinstance(frame, Ended), frame
                return frame.outcome, output.decode()
        raise AssertionError("a run ended without its last frame")

    async def terminate(self) -> int:
        """End it as Kubernetes ends a container; gives the exit code."""
        [daemon] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(daemon), signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()

    async def sh(self, script: str) -> str:
        """What a script prints; it must end well."""
        outcome, output = await self.tool(ShellExec(argv=["sh", "-c", script]))
        assert (outcome.ending, outcome.result) == ("Finished", {"exit_code": 0}), (outcome, output)
        return output


@contextlib.asynccontextmanager
async def pod(image: Path, bundle: Path, scratch: Path, environment: dict[str, str]) -> AsyncIterator[Computer]:
    """A computer, as `operator.resources.pod` says: `prepare` in the daemon's image, then `serve` in this one.

    Its user has no rights at all, and its volumes are root's with a group that may write, as the kubelet makes them.
    """
    user = next(_uids)
    folder = scratch / str(user)
    folder.mkdir()
    volumes = {name: folder / name for name in ("workspace", "tmp", "bundle", "run", "etc", "certificate")}
    for volume in volumes.values():
        volume.mkdir()
        os.chown(volume, 0, user)
        volume.chmod(0o2777)
    authority = Authority.create("test", datetime.now(UTC))
    for name, content in authority.sign(HOST, [HOST], datetime.now(UTC)).items():
        (volumes["certificate"] / name).write_bytes(content)
        os.chown(volumes["certificate"] / name, 0, user)
        (volumes["certificate"] / name).chmod(0o440)
    mounts = {f"/prepared/{name}": volumes[name] for name in ("bundle", "run", "etc", "certificate")}
    program = "/opt/rynxs/rynxs-computer"
    rights = {"user": user, "group": user, "extra_groups": []}
    command = _container(image, {"/opt/rynxs": bundle, **mounts}, {}, program, "prepare")
    preparing = await asyncio.create_subprocess_exec(*command, **rights)
    assert await preparing.wait() == 0

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    limits = Limits(processes=100, memory=512 * MIB, workspace=64 * MIB, tmp=16 * MIB)
    settings = msgspec.json.encode(Serve(port=port, limits=limits)).decode()
    mounts = {
        "/workspace": volumes["workspace"],
        "/tmp": volumes["tmp"],
        "/opt/rynxs": volumes["bundle"],
        "/run/rynxs": volumes["run"],
        "/etc/passwd": volumes["etc"] / "passwd",
        "/etc/group": volumes["etc"] / "group",
    }
    keys = folder / "gateway"
    keys.mkdir()
    for name, content in authority.sign("rynxs-gateway", ["localhost"], datetime.now(UTC), client=True).items():
        (keys / name).write_bytes(content)
    started = time.monotonic()
    command = _container(image, mounts, environment, program, "serve", settings)
    process = await asyncio.create_subprocess_exec(*command, **rights)
    try:
        client = await _reach(port, keys, process)
        try:
            await client.claim(FENCE, [])
            yield Computer(client, process, volumes["workspace"], time.monotonic() - started)
        finally:
            await client.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _reach(port: int, keys: Path, process: asyncio.subprocess.Process) -> Client:
    """Connect as soon as the daemon listens: as the pod's startup probe, by trying."""
    while True:
        try:
            return await connect("127.0.0.1", port, HOST, keys)
        except ConnectionLost:
            if process.returncode is not None:
                raise
            await asyncio.sleep(0.02)


def _container(image: Path, mounts: dict[str, Path], environment: dict[str, str], *command: str) -> list[str]:
    """A read-only container with these mounts; the command is its first process."""
    argv = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1"]
    argv += ["--die-with-parent", "--ro-bind", str(image), "/", "--proc", "/proc", "--dev", "/dev", "--clearenv"]
    for inside, outside in mounts.items():
        argv += ["--bind", str(outside), inside]
    for name, value in environment.items():
        argv += ["--setenv", name, value]
    return [*argv, "--chdir", "/", "--", *command]
