"""Running the programs of a pool in one process over a store."""

from __future__ import annotations

import asyncio
import sys

from collections.abc import Callable

from harness.effects import Json
from harness.policy import Policy as Asked
from harness.program import FailedError, ProgramError, play
from harness.runtime import Envelope, Start
from harness.scenario import Program, Scenario
from harness.worker import WorldClient, child_envelope, worker_name
from runtimes.embedded.gate import Gate
from runtimes.embedded.ops import EmbeddedOps, EscalatedError, Policy, ReplanError
from runtimes.embedded.store import FencedError, Store


class Engine:
    """All runs of a pool, in one worker process; where ``fenced``, only the latest one writes."""

    fenced = False

    def __init__(
        self, store: Store, scenario: Scenario, policy: Policy, world: WorldClient
    ) -> None:
        """Prepare; ``look`` starts."""
        self.store, self.scenario, self.policy, self.world = store, scenario, policy, world
        self.ops: Callable[[Engine, Envelope, Asked], EmbeddedOps] = EmbeddedOps
        self.gate = Gate(store, scenario, store.path.stem)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Condition()
        self._alarm: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Take up what the store has and this process does not run yet, drop what it cancelled."""
        wake_s = self.gate.turn()
        for start in self.store.pending():
            run = start.envelope.run
            if run not in self._tasks and self.gate.admits(start):
                self._tasks[run] = asyncio.ensure_future(self._run(start))
        for run in self.store.cancelled() & self._tasks.keys():
            self._tasks[run].cancel()
        if self._alarm:
            self._alarm.cancel()
        if wake_s is not None:
            self._alarm = asyncio.get_running_loop().call_later(wake_s, self.look)
        asyncio.ensure_future(self._tell())  # noqa: RUF006 - done before the loop turns twice

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def changed(self, timeout_s: float) -> None:
        """Return when something may have come, or after ``timeout_s`` seconds."""
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait(), timeout_s)
            except TimeoutError:
                return

    def mark(self, run: str, status: str, detail: str) -> None:
        """Write where a run stands, in this worker's hands."""
        claim = worker_name()
        self.store.set_status(run, status, claim=claim, detail=detail, fenced=self.fenced)

    def start_child(self, parent: Envelope, name: str, program: str, arg: Json) -> str:
        """Add a child run, once, and take it up; return its id."""
        envelope = child_envelope(parent, name)
        self.store.submit([Start(envelope=envelope, program=program, arg=arg)])
        self.look()
        return envelope.run

    async def _run(self, start: Start) -> None:
        run = start.envelope.run
        self.mark(run, "running", "")
        program = self.scenario.program(start.program)
        try:
            output = await self._play(start, program)
        except EscalatedError as error:
            self.mark(run, "escalated", str(error))
        except (ProgramError, FailedError) as error:
            self.fail(start, program.policy.on_failure, str(error))
        except FencedError as error:
            print(f"{run}: {error}", file=sys.stderr)
        else:
            self.finish(run, output)
        if self.gate.limited:
            self.look()  # a place is free, or a handler waits
        else:
            await self._tell()

    async def _play(self, start: Start, program: Program) -> Json:
        """Play a program to its end; where its plan does not hold, from its beginning."""
        while True:
            ops = self.ops(self, start.envelope, program.policy)
            try:
                return await play(program.body, start.arg, ops)
            except ReplanError as error:
                print(f"{start.envelope.run}: {error}", file=sys.stderr)

    def fail(self, start: Start, handler: str, why: str) -> None:
        """Write that a run has failed for good, and start the handler of its failure."""
        run = start.envelope.run
        envelope = child_envelope(start.envelope, "on_failure")
        told: Json = {"run": run, "error": why}
        then = [Start(envelope=envelope, program=handler, arg=told)] if handler else []
        self.store.fail(run, why, then, fenced=self.fenced)

    def finish(self, run: str, output: Json) -> None:
        """Write that a run is done."""
        self.store.set_status(run, "completed", output=output, fenced=self.fenced)
