"""How long `rynxs --help` takes, beside a bare Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20


def median(*command: str) -> float:
    """Milliseconds, median of RUNS."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print the medians."""
    rynxs = str(Path(sys.executable).parent / "rynxs")
    print(f"python -c pass   {median(sys.executable, '-c', 'pass'):6.0f} ms")
    print(f"rynxs --help     {median(rynxs, '--help'):6.0f} ms")
    print(f"rynxs exec -h    {median(rynxs, 'exec', '--help'):6.0f} ms")
