import asyncio
import os
import sys

import msgspec
import pytest

from rynxs.sandbox import boot


async def sleeper() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")


async def test_the_end_of_a_boot_is_proven():
    process = await sleeper()
    await boot.end(boot.record("b", process.pid))
    assert await process.wait() == -9


async def test_a_boot_that_has_ended_is_over():
    process = await sleeper()
    entry = boot.record("b", process.pid)
    process.kill()
    await process.wait()
    await boot.end(entry)


@pytest.mark.parametrize("change", [{"start_time": 1}, {"machine_boot": "another"}])
async def test_another_process_of_that_pid_is_left_alone(change):
    process = await sleeper()
    await boot.end(msgspec.structs.replace(boot.record("b", process.pid), **change))
    assert process.returncode is None
    os.kill(process.pid, 0)
    process.kill()
    await process.wait()


def test_a_record_comes_back(tmp_path):
    path = tmp_path / "boot.json"
    assert boot.read(path) is None
    entry = boot.record("b", os.getpid())
    boot.write(path, entry)
    assert boot.read(path) == entry
    boot.write(path, msgspec.structs.replace(entry, boot="c"))
    assert boot.read(path).boot == "c"
    assert os.listdir(tmp_path) == ["boot.json"]


def test_a_damaged_record_proves_nothing(tmp_path):
    (tmp_path / "boot.json").write_text("{")
    with pytest.raises(boot.NotOver, match="damaged"):
        boot.read(tmp_path / "boot.json")


def test_a_record_needs_a_living_process():
    with pytest.raises(ProcessLookupError):
        boot.record("b", 2**22 + 1)
