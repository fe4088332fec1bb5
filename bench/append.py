"""How fast events become durable: `python -m bench.append [--store disk|memory] [--producers N ...]`."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rynxs.eventlog import DiskStore, Draft, Log, MemoryAnchors, MemoryStore, Signer, Trust, Writer


async def open_writer(store: DiskStore | MemoryStore) -> Writer:
    log = await Log.create_or_open(store)
    signer = Signer.generate("bench")
    return await log.claim(
        "shard-0",
        writer="bench",
        signer=signer,
        trust=Trust(log=log.id, keys=[signer.trusted(["*"])]),
        anchor=MemoryAnchors(),
        observe=lambda events: None,
        now=lambda: datetime.now(UTC),
    )


async def produce(writer: Writer, until: float, seconds: list[float]) -> None:
    data = {"action": {"tool": "shell_exec", "args": {"argv": ["pytest", "-q"]}}, "effect": "Allow"}
    while (start := time.perf_counter()) < until:
        await writer.append(Draft(type="action.decided", subject="team-a/dev", actor="bench", data=data))
        seconds.append(time.perf_counter() - start)


async def measure(store: DiskStore | MemoryStore, producers: int, duration: float) -> str:
    writer = await open_writer(store)
    seconds: list[float] = []
    until = time.perf_counter() + duration
    await asyncio.gather(*(produce(writer, until, seconds) for _ in range(producers)))
    await writer.close()
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    rate = len(seconds) / duration
    return f"{producers:>5} producers  {rate:>8.0f} events/s  p50 {p50 * 1e3:.2f} ms  p99 {p99 * 1e3:.2f} ms"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["disk", "memory"], default="disk")
    parser.add_argument("--folder", type=Path, help="where the disk store is made (default: the temporary folder)")
    parser.add_argument("--producers", type=int, nargs="+", default=[1, 64, 1000])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each number of producers")
    options = parser.parse_args(arguments)
    for producers in options.producers:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            store = MemoryStore() if options.store == "memory" else DiskStore(Path(folder) / "log")
            print(asyncio.run(measure(store, producers, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
