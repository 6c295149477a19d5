"""A server that the harness owns: killed for real, back on the same ports and data."""

from __future__ import annotations

import dataclasses

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.process import Exit, Process, ProcessError, Runner, WorkerSpec


STOP_GRACE_S = 5.0


class Server:
    """One server process behind ``Service``; a context manager owns it.

    ``probe`` says whether the server really serves (an open port is not enough); it must
    not raise for a server that is still starting.
    """

    def __init__(
        self, name: str, runner: Runner, spec: WorkerSpec, probe: Callable[[], bool]
    ) -> None:
        """Prepare; ``spec`` must name fixed ports and a fixed data folder."""
        self.name = name
        self._runner, self._spec, self._probe = runner, spec, probe
        self._process: Process | None = None

    def __enter__(self) -> Self:
        """Start it; call ``ready`` before use."""
        self.restart()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, by force after a grace."""
        if self._process and self._process.alive():
            self._process.terminate(STOP_GRACE_S)

    @property
    def process(self) -> Process:
        """Return the process of the present incarnation."""
        assert self._process is not None  # noqa: S101 - entered
        return self._process

    def alive(self) -> bool:
        """Say whether the process lives."""
        return self._process is not None and self._process.alive()

    def kill(self) -> Exit:
        """Kill it and return once it was reaped."""
        return self.process.kill()

    def pause(self) -> None:
        """Stop it where it stands."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.process.resume()

    def upgrade(self, binary: Path) -> None:
        """Be that binary from the next start on, with the same arguments."""
        argv = [str(binary), *self._spec.argv[1:]]
        self._spec = dataclasses.replace(self._spec, argv=argv)

    def restart(self) -> None:
        """Start it again on the same ports and data."""
        self._process = self._runner.start(self.name, self._spec)

    def ready(self, deadline: Deadline) -> None:
        """Return once this incarnation serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        try:
            wait_until(lambda: not self.alive() or self._probe(), deadline, f"{self.name} serves")
        except DeadlineError as error:
            raise ProcessError(self._report("did not get ready in time")) from error
        if not self.alive():
            raise ProcessError(self._report("died at start-up"))

    def _report(self, what: str) -> str:
        log = self.process.log
        tail = log.read_bytes()[-2000:].decode(errors="replace").strip()
        return f"{self.name} {what}; {log} ends:\n{tail or '(empty)'}"
