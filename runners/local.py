"""Processes of this machine: each in a group of its own, with a stderr file from birth.

A process is reaped by a thread of its own, so that its death is known at once, with the
wait status, CPU seconds and peak memory that the kernel kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import threading

from collections.abc import Mapping
from pathlib import Path

from harness.deadline import Deadline
from harness.effects import Json
from harness.process import Exit, ProcessError, WorkerSpec


TAIL_BYTES = 2_000
GONE_S = 10.0
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


class LocalProcess:
    """An OS process that leads its own group."""

    def __init__(self, name: str, incarnation: str, spec: WorkerSpec, log: Path) -> None:
        """Start it.

        Raises:
            ProcessError: the executable cannot be started.

        """
        self.name, self.incarnation, self.log, self._spec = name, incarnation, log, spec
        environment = {key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ}
        environment |= {**spec.env, "PYTHONUNBUFFERED": "1", "BAKEOFF_INCARNATION": incarnation}
        self._stderr = log.open("ab")
        try:
            self._popen = subprocess.Popen(
                list(spec.argv),
                env=environment,
                cwd=spec.cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if spec.ready else self._stderr,
                stderr=self._stderr,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            msg = f"cannot start {name}: {spec.argv[0]}: {error.strerror}"
            raise ProcessError(msg) from error
        self.pid = self._popen.pid
        # Whoever has become another user by now keeps its own limit.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, 0))
        self.exit: Exit | None = None
        self._signal = 0
        self._announced: Mapping[str, Json] | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._reap, name=f"reap {name}", daemon=True).start()
        if spec.ready:
            threading.Thread(target=self._read, name=f"read {name}", daemon=True).start()

    def _reap(self) -> None:
        _, status, usage = os.wait4(self.pid, 0)
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        with self._changed:
            self.exit = Exit(
                pid=self.pid,
                signal=self._signal,
                status=status,
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_bytes=usage.ru_maxrss * 1024,
            )
            self._changed.notify_all()

    def _read(self) -> None:
        stdout = self._popen.stdout
        if stdout is None:
            return
        with stdout:
            for raw in stdout:
                try:
                    line = json.loads(raw)
                except ValueError:
                    line = None
                if isinstance(line, dict) and line.get("incarnation") == self.incarnation:
                    with self._changed:
                        self._announced = line
                        self._changed.notify_all()
                else:
                    with contextlib.suppress(ValueError):
                        self._stderr.write(raw)
                        self._stderr.flush()

    def alive(self) -> bool:
        """Say whether it has not been reaped."""
        return self.exit is None

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()

    def announced(self, deadline: Deadline) -> Mapping[str, Json]:
        """Return the JSON line by which this incarnation says that it is ready.

        Raises:
            ProcessError: it died, or said nothing in time; with its stderr's tail.

        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._announced is not None or self.exit is not None, deadline.left_s
            )
            if self._announced is not None:
                return self._announced
        what = "died at start-up" if self.exit else "did not get ready in time"
        msg = f"{self.name} {what}; {self.log} ends:\n{self.tail() or '(empty)'}"
        raise ProcessError(msg)

    def send(self, line: Mapping[str, Json]) -> None:
        """Write a JSON line to its stdin; a dead reader is no error, its exit is the fact."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            if self._popen.stdin:
                self._popen.stdin.write(json.dumps(line).encode() + b"\n")
                self._popen.stdin.flush()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self, part: str = "group") -> Exit:
        """Kill the whole group and return once the leader was reaped.

        With another ``part``, kill only the process that was announced under that name, and
        return once it is gone.

        Raises:
            ProcessError: no such part was announced, or it is not of this group.

        """
        if part == "group":
            return self._end(signal.SIGKILL, None)
        pid = self._part(part)
        if pid == self.pid:
            self._signal = signal.SIGKILL
            os.kill(pid, signal.SIGKILL)
            ended = self.wait(None)
            assert ended is not None  # noqa: S101 - wait(None) returns an exit
            return ended
        watch = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            if not select.select([watch], [], [], GONE_S)[0]:
                msg = f"{part} of {self.name}, process {pid}, outlived SIGKILL by {GONE_S:g} s"
                raise ProcessError(msg)
        finally:
            os.close(watch)
        return Exit(pid=pid, signal=signal.SIGKILL, status=None)

    def _part(self, part: str) -> int:
        parts = (self._announced or {}).get("parts")
        pid = parts.get(part) if isinstance(parts, dict) else None
        with contextlib.suppress(ProcessLookupError):
            if isinstance(pid, int) and os.getpgid(pid) == self.pid:
                return pid
        msg = f"{self.name} has no live part {part!r} in its group; it announced {parts}"
        raise ProcessError(msg)

    def terminate(self, grace_s: float) -> Exit:
        """Ask it to end; after ``grace_s`` seconds, kill it."""
        return self._end(signal.SIGTERM, grace_s)

    def _end(self, number: int, grace_s: float | None) -> Exit:
        if self.exit is None:
            self._signal = number
            self._signal_group(number)
        ended = self.wait(grace_s)
        if ended is None:
            self._signal = signal.SIGKILL
            self._signal_group(signal.SIGKILL)
            ended = self.wait(None)
        self._signal_group(signal.SIGKILL)  # what the leader left behind
        if self._popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()
        self._stderr.close()
        assert ended is not None  # noqa: S101 - wait(None) returns an exit
        return ended

    def pause(self) -> None:
        """Stop the whole group where it stands."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal_group(signal.SIGCONT)

    def wait(self, timeout_s: float | None) -> Exit | None:
        """Return its exit, or ``None`` if it is still alive after ``timeout_s`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.exit is not None, timeout_s)
            return self.exit


class LocalRunner:
    """Starts processes of this machine; ``environment`` goes to each of them."""

    name = "local"

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        """Write logs below ``logs``."""
        self._logs, self._environment = logs, dict(environment)
        self._count = 0
        self._lock = threading.Lock()
        self._started: list[LocalProcess] = []

    def start(self, name: str, spec: WorkerSpec, logs: Path | None = None) -> LocalProcess:
        """Start a process; its incarnation is minted here."""
        with self._lock:
            self._count += 1
            incarnation = f"{name}-{self._count}"
        folder = logs or self._logs
        folder.mkdir(parents=True, exist_ok=True)
        whole = WorkerSpec(
            argv=spec.argv,
            env={**self._environment, **spec.env},
            cwd=spec.cwd,
            ready=spec.ready,
        )
        process = LocalProcess(name, incarnation, whole, folder / f"{incarnation}.log")
        with self._lock:
            self._started.append(process)
        return process

    def close(self) -> None:
        """Kill whatever is still alive, and close what is left open of the dead."""
        for process in self._started:
            process.resume()
            process.kill()


RUNNER = LocalRunner
