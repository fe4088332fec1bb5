"""What `rynxs log verify` does: find trust and anchors, verify every stream, and say it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from rynxs.cli.main import Failure
from rynxs.cli.target import Cluster
from rynxs.eventlog import (
    AnchorStore,
    DiskStore,
    FileAnchors,
    Log,
    LogError,
    ObjectStore,
    Report,
    StoreError,
    Trust,
    streams,
    verify,
)
from rynxs.local.state import log_folder

if TYPE_CHECKING:
    from rynxs.eventlog.bucket import Credentials
    from rynxs.kube.client import Client
    from rynxs.operator.config import LogSettings

UNCHECKED = 2
"""Exit code when the log could not be checked."""


def of_url(
    url: str, stream: str | None, trust: Path | None, anchors: Path | None, endpoint: str | None
) -> list[Report]:
    """Verify the log at a URL, one stream or all. Raises Failure with exit code 2 when it could not be checked."""
    with _checking(url):
        return asyncio.run(_verify_at(_store(url, endpoint), stream, trust, anchors))


def of_cluster(target: Cluster, stream: str | None) -> list[Report]:
    """Verify the log of an installation, as `of_url` does, with its trust file and anchors from the cluster."""
    from rynxs.cli import cluster
    from rynxs.cluster.anchors import STREAMS, ConfigMapAnchors
    from rynxs.cluster.installation import Installation
    from rynxs.eventlog.bucket import BucketStore

    async def look(client: Client) -> _Installed:
        installation = Installation(client, target.system)
        log = (await installation.config()).log
        return _Installed(
            log,
            await installation.trust(),
            await installation.behind(log.endpoint) if log.endpoint else None,
            None if os.environ.get("AWS_ACCESS_KEY_ID") else await installation.credentials(log.credentials),
        )

    config = cluster.load(target, UNCHECKED)
    log, trust, behind, credentials = cluster.ask(config, look, UNCHECKED)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_checking(log.url))
        endpoint = log.endpoint
        if behind is not None:
            endpoint = f"http://127.0.0.1:{stack.enter_context(cluster.forwarded(config, *behind, UNCHECKED))}"
        store = BucketStore(log.url, endpoint=endpoint, region=log.region, credentials=credentials)
        return cluster.ask(
            config,
            lambda client: _verify(store, stream, trust, ConfigMapAnchors(client, target.system), STREAMS),
            UNCHECKED,
        )


class _Installed(NamedTuple):
    """What is known of an installation's log. `behind` is the pod that answers at the endpoint, for one inside."""

    log: LogSettings
    trust: Trust
    behind: tuple[str, str, int] | None
    credentials: Credentials | None


def show(reports: list[Report], *, as_json: bool) -> int:
    """Print the reports; give 0 if nothing was found, else 1."""
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


@contextlib.contextmanager
def _checking(url: str) -> Iterator[None]:
    """What goes wrong in the block is that the log could not be checked."""
    try:
        yield
    except (LogError, StoreError, OSError, ValueError) as error:
        raise Failure(f"{url} could not be checked: {error}", UNCHECKED) from error


async def _verify_at(store: ObjectStore, stream: str | None, trust: Path | None, anchors: Path | None) -> list[Report]:
    """Verify with files: those that are named, else those of the user's state folder."""
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
    anchored = [file.name for file in folder.glob("[!.]*")]
    return await _verify(store, stream, Trust.load(trust_file), FileAnchors(folder), anchored)


async def _verify(
    store: ObjectStore, stream: str | None, trust: Trust, anchors: AnchorStore, anchored: Collection[str]
) -> list[Report]:
    # A stream that has an anchor is there, or it was removed: without this it would not be missed.
    known = sorted({*await streams(store), *anchored})
    if not known or (stream is not None and stream not in known):
        wanted = f"stream {stream}" if stream else "stream"
        raise Failure(f"there is no {wanted} in the log; there are: {', '.join(known) or 'none'}", UNCHECKED)
    return [
        await verify(store, name, trust, anchors if name in anchored else None)
        for name in ([stream] if stream else known)
    ]


def _store(url: str, endpoint: str | None) -> ObjectStore:
    """The store at a URL of a folder or a bucket. Raises Failure, ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from rynxs.eventlog.bucket import BucketStore

        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return BucketStore(url, endpoint=endpoint, region=region)
    if parts.scheme not in ("file", "") or parts.netloc not in ("", "localhost"):
        raise Failure(f"{url}: this version reads logs at file:///... and s3://bucket/prefix only", UNCHECKED)
    if endpoint is not None:
        raise Failure(f"{url} is a folder: --endpoint is for buckets", UNCHECKED)
    path = Path(unquote(parts.path))
    if not path.is_dir():
        raise Failure(f"{url}: there is no such folder", UNCHECKED)
    return DiskStore(path.absolute())
