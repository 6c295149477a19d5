"""Run an installer's tool as a child that cannot outlive us.

Package managers and compilers start children of their own.  Killing only the first of them on
Ctrl-C leaves a compiler at work for minutes, so each tool leads a process group of its own, and
the group is killed whenever we leave, however we leave.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO


TICK_S = 0.5
ANSWER_S = 30.0
_FULL = ("enospc", "no space left on device", "disk quota exceeded")


class EngineError(Exception):
    """An engine is not to be had; the message says what was expected, what was seen, what to do."""

    def __init__(self, *, expected: str, seen: str, do: str) -> None:
        """Bind the three parts of the message."""
        super().__init__(f"expected {expected}; saw {seen}; {do}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A command to run; ``what`` is what a reader calls it, ``env`` None is our own."""

    what: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] | None = None


def run(tool: Tool, log: Path, watch: Callable[[], None]) -> None:
    """Run ``tool`` to its end with all its output in ``log``, calling ``watch`` as it goes.

    Raises:
        EngineError: it could not be started or failed; the message has what it said.

    """
    with log.open("wb") as out, _group(tool.argv, out, tool.cwd, tool.env) as process:
        status = None
        while status is None:
            try:
                status = process.wait(timeout=TICK_S)
            except subprocess.TimeoutExpired:
                watch()
    watch()
    if status:
        text = log.read_text(errors="replace")
        raise EngineError(
            expected=f"`{tool.what}` to succeed",
            seen=f"{_status(status)}: {_gist(text)} (all of it in {log})",
            do=_advice(text),
        )


def answer(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Return what a command prints that answers at once, at most ``ANSWER_S`` seconds.

    Raises:
        EngineError: it could not be started, failed, or did not end.

    """
    expected = f"`{shlex.join(argv)}` to answer"
    do = f"check that {argv[0]} is what it should be and is made for this machine"
    with _group(argv, subprocess.PIPE, None, env) as process:
        try:
            text = process.communicate(timeout=ANSWER_S)[0].decode(errors="replace")
        except subprocess.TimeoutExpired as error:
            seen = f"no end within {ANSWER_S:.0f} s"
            raise EngineError(expected=expected, seen=seen, do=do) from error
    if process.returncode:
        seen = f"{_status(process.returncode)}: {_gist(text)}"
        raise EngineError(expected=expected, seen=seen, do=do)
    return text.strip()


@contextmanager
def _group(
    argv: Sequence[str], out: IO[bytes] | int, cwd: Path | None, env: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Own a child and everything that it starts."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(
            expected=f"{argv[0]} to start",
            seen=f"{error.strerror}",
            do="check that it is there, executable, and made for this machine",
        ) from error
    with process:
        try:
            yield process
        finally:
            # The group outlives its leader where a grandchild does; macOS answers EPERM for a
            # group of which only the dead leader is left.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _status(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"death by {signal.Signals(-status).name}"


def _gist(text: str, lines: int = 3) -> str:
    """Return the first and last lines that say something: tools name the cause in either."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    if len(said) > 2 * lines:
        said[lines:-lines] = ["..."]
    return " | ".join(said) or "no output"


def _advice(text: str) -> str:
    if any(sign in text.lower() for sign in _FULL):
        return "the disk is full: free some space (or set BAKEOFF_CACHE to another disk), run again"
    return "check the network and the messages above, then run the same command again"
