"""The main job of Rynxs, told on the terminal. Exits 0 only if every step held.

KEEP=1 leaves the server running and prints what to try next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
RYNXS = str(Path(sys.executable).parent / "rynxs")
KEEP = os.environ.get("KEEP") == "1"


class Story:
    """The steps, one server, one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"XDG_STATE_HOME": str(folder / "state")}

    def start(self) -> None:
        """Step 1."""
        self.say("1. Start local mode: a gateway, a log on disk, computers by bubblewrap")
        command = [RYNXS, "serve", "--data", str(self.folder / "data"), "--listen", "127.0.0.1:0"]
        command += ["--mount", f"{sys.base_prefix}:/opt/python"]
        command += ["--mount", f"{sysconfig.get_path('purelib')}:/opt/site-packages"]
        self.server = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.server.stdout is not None
        banner = self.server.stdout.readline().strip()
        if "http://" not in banner:
            sys.exit("  the server did not start")
        print(" ", banner)
        self.url = next(word for word in banner.split() if word.startswith("http://"))
        self.log = next(word for word in banner.split() if word.startswith("file://"))
        self.environment["RYNXS_SERVER"] = self.url

    def apply(self) -> None:
        """Step 2."""
        self.say("2. Create an agent and what it may do")
        self.rynxs("apply", "-f", str(HERE / "coder.yaml"))

    def work(self) -> None:
        """Steps 3 to 5: the agent's process."""
        self.say("3. An agent (a real MCP client) works in its computer: this repository's own unit tests")
        token = (self.folder / "data" / "token").read_text()
        command = [
            sys.executable,
            str(HERE / "agent.py"),
            f"{self.url}/agents/team-a/dev/mcp",
            str(REPOSITORY),
        ]
        if subprocess.run(command, input=token, text=True, env=self.environment).returncode != 0:
            sys.exit("  the agent's day went wrong")

    def read(self) -> None:
        """Step 6."""
        self.say("6. The log knows: the denied command was decided, and never ran")
        tail = self.rynxs("log", "tail", "--lines", "6").splitlines()
        denied = [line for line in tail if " Deny coder/no-force-push " in line]
        if len(denied) != 1:
            sys.exit("  the denial is not in the log")
        following = tail[tail.index(denied[0]) + 1]
        if "action.decided" not in following:
            sys.exit("  something came of the denied action")

    def verify(self) -> None:
        """Step 7."""
        self.say("7. The log verifies; one flipped byte in a copy of it is found")
        self.rynxs("log", "verify")
        copy = self.folder / "copy"
        shutil.copytree(self.log.removeprefix("file://"), copy)
        objects = sorted((copy / "streams" / "shard-0").iterdir())
        victim = objects[len(objects) // 2]
        damaged = bytearray(victim.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        victim.write_bytes(damaged)
        print(f"  (one bit of object {victim.name} in the copy is flipped)")
        self.rynxs("log", "verify", copy.as_uri(), expect=1)

    def end(self, began: float) -> None:
        """Stop, or stay."""
        print(f"\nEvery step held, in {time.monotonic() - began:.0f} s.")
        if not KEEP:
            return
        print("\nStill running. Try:\n")
        print(f"  export XDG_STATE_HOME={self.environment['XDG_STATE_HOME']} RYNXS_SERVER={self.url}")
        for command in (
            "exec -n team-a dev -- /opt/python/bin/python3 -c 'print(6 * 7)'",
            "exec -n team-a dev -- git push --force",
            "log tail -f",
            "log verify",
        ):
            print(f"  {RYNXS} {command}")
        print(f"\nand end it with: kill {self.server.pid}; rm -r {self.folder}")

    def say(self, heading: str) -> None:
        """A heading."""
        print(f"\n{heading}", flush=True)

    def rynxs(self, *args: str, expect: int = 0) -> str:
        """Run and show one command of ours; stop the story when it ends otherwise than expected."""
        print("  $ rynxs", *args)
        done = subprocess.run([RYNXS, *args], env=self.environment, capture_output=True, text=True)
        for line in (done.stdout + done.stderr).splitlines():
            print("   ", line)
        if done.returncode != expect:
            sys.exit(f"  exit code {done.returncode}, not {expect}")
        return done.stdout


def main() -> None:
    """Tell it."""
    began = time.monotonic()
    story = Story(Path(tempfile.mkdtemp(prefix="rynxs-demo-")))
    held = False
    try:
        story.start()
        story.apply()
        story.work()
        story.read()
        story.verify()
        story.end(began)
        held = True
    finally:
        if not (held and KEEP):
            if hasattr(story, "server"):
                story.server.terminate()
                story.server.wait(20)
            shutil.rmtree(story.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
