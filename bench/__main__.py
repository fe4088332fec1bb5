"""Run the measurements: `python -m bench` for all, `python -m bench action` for one."""

from __future__ import annotations

import importlib
import sys

NAMES = ("append", "action", "computer", "policy", "cli")

for name in sys.argv[1:] or NAMES:
    if name not in NAMES:
        sys.exit(f"there is no measurement {name!r}: {', '.join(NAMES)}")
    print(f"== {name}", flush=True)
    importlib.import_module(f"bench.{name}").main()
