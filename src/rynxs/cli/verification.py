"""What `rynxs log verify` does: find trust and anchors, verify every stream, and say it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from rynxs.cli.main import Failure
from rynxs.eventlog import DiskStore, FileAnchors, Log, LogError, Report, StoreError, Trust, streams, verify
from rynxs.local.state import log_folder

UNCHECKED = 2
"""Exit code when the log could not be checked."""


def verify_log(url: str, stream: str | None, trust: Path | None, anchors: Path | None, *, as_json: bool) -> int:
    """Verify the log at a file URL, one stream or all; print the reports; give 0 if nothing was found, else 1.

    Raises Failure with exit code 2 when it could not be checked.
    """
    try:
        reports = asyncio.run(_verify(_path(url), stream, trust, anchors))
    except (LogError, StoreError, OSError, ValueError) as error:
        raise Failure(f"{url} could not be checked: {error}", UNCHECKED) from error
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode())
    else:
        for report in reports:
            for line in shown(report):
                print(line)
    return 0 if all(report.ok for report in reports) else 1


def shown(report: Report) -> list[str]:
    """A report as lines for people."""
    if not report.ok:
        lines = []
        for finding in report.findings:
            place = f"object {finding.object}" if finding.object.isdigit() else finding.object
            seq = "" if finding.seq is None else f" (seq {finding.seq})"
            since = f"; all was well at {finding.since}" if finding.since else ""
            lines.append(f"{report.stream:<9} TAMPERED  {place}{seq}: {finding.message}{since}")
        return lines
    counts = f"{report.events} events  {report.epochs} epoch{'s' * (report.epochs != 1)}"
    if report.complete_up_to is None:
        complete = "no anchor: nobody knows whether its end was cut off"
    else:
        time = datetime.fromisoformat(report.anchored_at).astimezone().strftime("%H:%M:%S")
        complete = f"root ok  complete up to seq {report.complete_up_to} (anchor {time})"
    return [f"{report.stream:<9} {counts}  chain ok  signatures ok  {complete}"]


async def _verify(path: Path, stream: str | None, trust: Path | None, anchors: Path | None) -> list[Report]:
    store = DiskStore(path)
    log = await Log.open(store)
    state = log_folder(log.id)
    trust_file = trust or state / "trust.json"
    if not trust_file.exists():
        raise Failure(
            f"there is no trust file of log {log.id} at {trust_file}: give the one that its owner published, "
            "with --trust FILE",
            UNCHECKED,
        )
    folder = anchors or state / "anchors"
    if anchors is not None and not anchors.is_dir():
        raise Failure(f"there is no folder {anchors} with anchors", UNCHECKED)
    # A stream that has an anchor is there, or it was removed: without this it would not be missed.
    anchored = [file.name for file in folder.glob("[!.]*")]
    known = sorted({*await streams(store), *anchored})
    if not known or (stream is not None and stream not in known):
        wanted = f"stream {stream}" if stream else "stream"
        raise Failure(f"there is no {wanted} in the log; there are: {', '.join(known) or 'none'}", UNCHECKED)
    keys = Trust.load(trust_file)
    return [await verify(store, name, keys, FileAnchors(folder)) for name in ([stream] if stream else known)]


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme not in ("file", "") or parts.netloc not in ("", "localhost"):
        raise Failure(f"{url}: this version reads logs at file:///... only", UNCHECKED)
    path = Path(unquote(parts.path))
    if not path.is_dir():
        raise Failure(f"{url}: there is no such folder", UNCHECKED)
    return path.absolute()
