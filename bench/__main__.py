"""Run the measurements: `python -m bench` for all, `python -m bench action` for one."""

from __future__ import annotations

import importlib
import sys

NAMES = ("append", "action", "computer", "policy", "cli")

names = sys.argv[1:] or NAMES
del sys.argv[1:]  # a measurement may have options of its own when it is run by itself
for name in names:
    if name not in NAMES:
        sys.exit(f"there is no measurement {name!r}: {', '.join(NAMES)}")
    print(f"== {name}", flush=True)
    importlib.import_module(f"bench.{name}").main()
