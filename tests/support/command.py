"""The ``bakeoff`` command as a user has it: a process, its words, its exit code.

Each test gets a temporary folder of its own for sites: what a command leaves running is
found by it, and no other test's processes are looked at.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.deadline import Deadline, wait_until


PATIENCE_S = 240.0
COMMAND = str(Path(sys.executable).with_name("bakeoff"))


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Return both streams."""
        return f"{self.out}\n{self.err}"

    def json(self) -> Any:
        """Return what stdout says."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Home:
    """An empty folder outside the repository, with a folder for sites."""

    path: Path
    sites: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command; a ``PYTHONPATH`` comes before what is there."""
        if "PYTHONPATH" in more and "PYTHONPATH" in os.environ:
            more["PYTHONPATH"] += os.pathsep + os.environ["PYTHONPATH"]
        return {**os.environ, "TMPDIR": str(self.sites), **more}

    def run(self, *argv: str, timeout_s: float = PATIENCE_S, **env: str) -> Done:
        """Run ``bakeoff argv...`` to its end."""
        with self.begun(*argv, **env) as process:
            out, err = process.communicate(timeout=timeout_s)
            return Done(process.returncode, out, err)

    @contextmanager
    def begun(self, *argv: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        """Start ``bakeoff argv...``; what still runs at the end is killed."""
        process = subprocess.Popen(
            [COMMAND, *argv],
            cwd=self.path,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()

    def left(self) -> list[str]:
        """Return the processes that a command of this home started and that still live."""
        mark = f"TMPDIR={self.sites}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found.append(f"{folder.name} {words}")
        return found

    def clear(self) -> None:
        """Kill what is left, so that a failing test harms no other."""
        for line in self.left():
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        wait_until(lambda: not self.left(), Deadline.after(10.0), "nothing is left running")


def ports(lines: Sequence[str]) -> set[int]:
    """Return the ports on which these processes listen."""
    wanted = set()
    for line in lines:
        for file in Path(f"/proc/{line.split()[0]}/fd").glob("*"):
            with suppress(OSError):
                wanted.add(str(file.readlink()))
    return {
        int(words[1].rpartition(":")[2], 16)
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for words in (row.split() for row in Path(table).read_text("ascii").splitlines()[1:])
        if words[3] == "0A" and f"socket:[{words[9]}]" in wanted
    }


def listening() -> set[int]:
    """Return the TCP ports on which anything of this machine listens."""
    return {
        int(words[1].rpartition(":")[2], 16)
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for words in (row.split() for row in Path(table).read_text("ascii").splitlines()[1:])
        if words[3] == "0A"
    }
