"""For each promise, bugs that break it: every one must be caught by the simulation.

A patch in `planted` begins with a line that says which promise it breaks, and how.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
RUNS = 2000
"""Most runs until a bug must have shown; the rarest shows about once in 150."""

PATCHES = sorted((Path(__file__).parent / "planted").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.stem for patch in PATCHES])
def test_a_planted_bug_is_caught(patch: Path, tmp_path: Path) -> None:
    shutil.copytree(TESTS.parent / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", "--unsafe-paths", str(patch)], cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "simulation", str(RUNS)],
        cwd=TESTS,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'src'}:{TESTS}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert f": promise {patch.name[0]}: " in done.stdout, f"not caught in {RUNS} runs: {done.stderr[-2000:]}"


def test_every_promise_of_the_simulation_has_a_planted_bug() -> None:
    assert {patch.name[0] for patch in PATCHES} == {"1", "2", "3"}
