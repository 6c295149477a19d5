"""What stands before the runs of a pool: events and ticks that start them, policies that wait.

Each turn looks at the store and the clock alone, so nothing of it is lost with a worker.
"""

from __future__ import annotations

import time

from harness.effects import Json
from harness.runtime import Envelope, Start
from harness.scenario import Program, Scenario
from harness.worker import child_envelope
from runtimes.embedded.starts import cancelled_by, decide
from runtimes.embedded.store import Published, Store
from runtimes.support.cron import Cron


class Gate:
    """The policies of a scenario over the store of one pool."""

    def __init__(self, store: Store, scenario: Scenario, pool: str) -> None:
        """Read the policies; ticks that were missed until now are skipped."""
        self.store, self.scenario, self.pool = store, scenario, pool
        self.limited = {
            program.name: program.policy
            for program in scenario.programs
            if program.policy.uses - {"retry", "step_timeout"}
        }
        self.begun: set[str] = set()
        self.crons = {
            program.name: Cron.of(program.policy.cron)
            for program in scenario.programs
            if program.policy.cron
        }
        self.due_s = {name: cron.after(time.time()) for name, cron in self.crons.items()}

    def admits(self, start: Start) -> bool:
        """Say whether a run may run: one that is asked for between two turns may not yet."""
        return start.program not in self.limited or start.envelope.run in self.begun

    def turn(self) -> float | None:
        """Decide what begins; return in how many seconds to decide again."""
        now_s = time.time()
        for sent in self.store.published():
            self.deliver(sent)
        self.tick(now_s)
        wake_s: list[float] = list(self.due_s.values())
        for name, policy in self.limited.items():
            rows = self.store.rows(name)
            said = decide(policy, rows, now_s, self.scenario.time_scale)
            self.store.decided(said, now_s)
            self.begun |= {*said.begin, *(row.run for row in rows if row.began_s is not None)}
            wake_s += [] if said.wake_s is None else [said.wake_s]
        return max(0.0, min(wake_s) - time.time()) if wake_s else None

    def deliver(self, sent: Published) -> None:
        """Cancel what an event cancels, and start what it starts."""
        starts = [
            Start(envelope=envelope, program=program.name, arg=sent.payload)
            for program, envelope in self.consumers(sent.envelope, sent.event, sent.key)
        ]
        new = {start.envelope.run for start in starts}
        self.store.deliver(sent, self.cancelled(sent.event, sent.payload, new), starts)

    def consumers(self, sender: Envelope, event: str, key: str) -> list[tuple[Program, Envelope]]:
        """Return the programs that an event starts, with the envelopes of their runs."""
        return [
            (program, child_envelope(sender, f"{event}.{key}.{program.name}"))
            for program in self.scenario.consumers(event)
        ]

    def cancelled(self, event: str, payload: Json, new: set[str]) -> list[str]:
        """Return the runs that an event cancels; never those that it starts itself."""
        return [
            row.run
            for name, policy in self.limited.items()
            if policy.cancel_on
            for row in self.store.rows(name)
            if not row.ended
            and row.run not in new
            and cancelled_by(policy.cancel_on, event, payload, row.arg)
        ]

    def tick(self, now_s: float) -> None:
        """Add the run of each tick that is due; its cell is called as the pool is."""
        for name, cron in self.crons.items():
            due_s = self.due_s[name]
            if due_s <= now_s:
                envelope = Envelope(
                    trial=self.pool,
                    pool=self.pool,
                    cell=self.pool,
                    run=f"{self.pool}.{name}.{due_s}",
                    time_scale=self.scenario.time_scale,
                )
                self.store.submit([Start(envelope=envelope, program=name, arg={"tick": due_s})])
                self.due_s[name] = cron.after(now_s)
