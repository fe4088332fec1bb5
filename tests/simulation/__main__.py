"""Many runs, by seed: `python -m simulation 2000` stops at the first that breaks a promise, and exits 1."""

from __future__ import annotations

import random
import sys

from simulation.scenario import play
from simulation.world import Broken

for seed in range(int(sys.argv[1])):
    try:
        play(random.Random(seed).randbytes(500))
    except Broken as broken:
        print(f"run {seed}: {broken}")
        sys.exit(1)
