"""The daemon's bundle: what is in it, and that a computer of any image works with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from integration.images.conftest import pod
from PyInstaller.archive.readers import CArchiveReader
from PyInstaller.loader.pyimod01_archive import ZlibArchiveReader

from rynxs.action.tool import FileRead, FileWrite

ENVIRONMENT = {
    "HOME": "/workspace",
    "LANG": "de_DE.UTF-8",  # no image here has that locale
    "LD_LIBRARY_PATH": "/usr/local/somewhere",
    "PATH": "/usr/bin:/bin",
    "TMPDIR": "/tmp",
    "USER": "agent",
}
OF_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1"}


def test_it_has_the_daemons_modules_only(bundle: Path, tmp_path: Path):
    archive = CArchiveReader(str(bundle / "rynxs-computer"))
    [inner] = [name for name, entry in archive.toc.items() if entry[-1] == "z"]
    extracted = tmp_path / "modules"
    extracted.write_bytes(archive.extract(inner))
    modules = set(ZlibArchiveReader(str(extracted)).toc)
    ours = {name for name in modules if name.split(".")[0] == "rynxs"}
    assert {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) == {"rynxs", "msgspec"}
    assert {name for name in ours if not name.startswith("rynxs.computer")} == {
        "rynxs",
        "rynxs.action",
        "rynxs.action.outcome",
        "rynxs.action.tool",
    }
    assert "rynxs.computer.check" not in ours
    assert not modules & {"multiprocessing", "xml", "http.server", "unittest"}


def test_every_library_is_in_it(bundle: Path):
    libraries = {file.name for file in bundle.glob("_internal/*.so*")}
    for file in [bundle / "rynxs-computer", *bundle.rglob("*.so*")]:
        said = subprocess.run(["objdump", "-p", file], stdout=subprocess.PIPE, text=True, check=True).stdout
        needed = {line.split()[1] for line in said.splitlines() if line.split()[:1] == ["NEEDED"]}
        assert needed <= libraries, file


async def test_a_computer_of_an_image_without_python(image: Path, bundle: Path, scratch: Path):
    assert not list(image.rglob("bin/python*"))
    async with pod(image, bundle, scratch, {**ENVIRONMENT, **OF_KUBERNETES}) as computer:
        print(f"ready after {computer.seconds:.2f} s")
        assert await computer.sh("echo hi") == "hi\n"

        walls = computer.client.hello.walls
        assert (walls["pid"], walls["pids"], walls["dumpable"], walls["capeff"]) == ("1", "1", "0", "0" * 16)
        assert await computer.sh("cat /proc/1/comm") == "rynxs-computer\n"

        said = await computer.sh("env")
        programs = dict(line.split("=", 1) for line in said.splitlines())
        assert {name: value for name, value in programs.items() if name not in ("PWD", "SHLVL", "_")} == ENVIRONMENT

        assert await computer.sh("ls -A /run/rynxs") == ""
        assert await computer.sh("id -un") == "agent\n"
        assert await computer.sh("cat /proc/1/environ 2>/dev/null || echo refused") == "refused\n"

        written, _ = await computer.tool(FileWrite(path="größe.txt", content="ä\n"))
        assert written.ending == "Finished", written
        assert (computer.workspace / "größe.txt").read_text() == "ä\n"
        read, _ = await computer.tool(FileRead(path="größe.txt"))
        assert read.result["content"] == "ä\n", read

        assert await computer.terminate() == 0


@pytest.mark.parametrize("targets", ["[]", '[{"name":"nobody","host":"127.0.0.1","port":1}]'])
def test_the_walls_are_probed(image: Path, bundle: Path, targets: str):
    command = ["bwrap", "--ro-bind", image, "/", "--ro-bind", bundle, "/opt/rynxs", "--proc", "/proc", "--unshare-pid"]
    program = [*command, "--clearenv", "/opt/rynxs/rynxs-computer", "walls", targets]
    assert subprocess.run(program, check=False, env=dict(os.environ)).returncode == 0
