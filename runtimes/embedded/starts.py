"""Which asked-for runs begin now, which never will: a program's policy over its rows.

Everything follows from the rows and the time, so a worker that takes over decides as the one
before it would have.  What a decision says is written in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.effects import Json
from harness.policy import CancelOn, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of a program; ``began_s`` is ``None`` while it waits for its start.

    Times are seconds of the wall clock: they must mean the same in the next process.
    """

    run: str
    arg: Json
    asked_s: float
    began_s: float | None = None
    ended: bool = False

    def key(self, name: str) -> str:
        """Return the value of the field that runs share a limit by."""
        return repr(self.arg.get(name)) if name and isinstance(self.arg, dict) else ""


@dataclass(slots=True)
class Decision:
    """What happens now: runs that begin, runs that are written off, args that change.

    ``wake_s`` is the moment at which time alone would change the decision.
    """

    begin: list[str] = field(default_factory=list)
    wait: list[str] = field(default_factory=list)
    drop: dict[str, str] = field(default_factory=dict)
    args: dict[str, Json] = field(default_factory=dict)
    wake_s: float | None = None

    def wake(self, at_s: float) -> None:
        """Be asked again at ``at_s``, if not earlier."""
        self.wake_s = at_s if self.wake_s is None else min(self.wake_s, at_s)


def decide(policy: Policy, rows: Sequence[Row], now_s: float, scale: float) -> Decision:
    """Return what a policy makes of its program's rows, which come in the order of asking."""
    turn = _Turn(policy, rows, now_s, scale)
    turn.timeouts()
    turn.dedupe()
    turn.singleton()
    turn.debounce()
    turn.batch()
    turn.rate_limit()
    turn.places()
    return turn.said


class _Turn:
    """One decision in the making: each rule takes from those that wait."""

    def __init__(self, policy: Policy, rows: Sequence[Row], now_s: float, scale: float) -> None:
        self.policy, self.now_s, self.scale, self.said = policy, now_s, scale, Decision()
        self.begun = [row for row in rows if row.began_s is not None]
        self.busy = [row for row in self.begun if not row.ended]
        self.waiting = [row for row in rows if row.began_s is None and not row.ended]

    def drop(self, rows: Iterable[Row], why: str) -> None:
        self.said.drop |= {row.run: why for row in rows}
        self.waiting = [row for row in self.waiting if row.run not in self.said.drop]
        self.busy = [row for row in self.busy if row.run not in self.said.drop]

    def over(self, began_s: float, duration_s: float) -> bool:
        """Say whether that much of the scenario's time has passed; if not, ask again then."""
        end_s = began_s + duration_s * self.scale
        if end_s > self.now_s:
            self.said.wake(end_s)
        return end_s <= self.now_s

    def recent(self, row: Row, key: str, period_s: float) -> list[float]:
        """Return when runs of the row's key began within the last period, oldest first."""
        return sorted(
            other.began_s
            for other in self.begun
            if other.began_s is not None
            and other.key(key) == row.key(key)
            and other.began_s + period_s * self.scale > self.now_s
        )

    def timeouts(self) -> None:
        start_s, finish_s = self.policy.start_timeout_s, self.policy.finish_timeout_s
        if start_s is not None:
            self.drop([r for r in self.waiting if self.over(r.asked_s, start_s)], "start timeout")
        if finish_s is not None:
            late = [r for r in self.busy if self.over(r.began_s or self.now_s, finish_s)]
            self.drop(late, "finish timeout")

    def dedupe(self) -> None:
        if rule := self.policy.dedupe:
            taken, twins = [*self.begun], []
            for row in self.waiting:
                if any(
                    other.key(rule.key) == row.key(rule.key)
                    and row.asked_s < other.asked_s + rule.period_s * self.scale
                    for other in taken
                ):
                    twins.append(row)
                else:
                    taken.append(row)
            self.drop(twins, "the same was asked for before")

    def singleton(self) -> None:
        if rule := self.policy.singleton:
            held = {row.key(rule.key): row for row in self.busy}
            for row in self.waiting:
                other = held.get(row.key(rule.key))
                if other is not None and rule.mode == "skip":
                    self.drop([row], f"{other.run} is in progress")
                    continue
                if other is not None:
                    self.drop([other], f"{row.run} takes its place")
                held[row.key(rule.key)] = row

    def debounce(self) -> None:
        if rule := self.policy.debounce:
            groups: dict[str, list[Row]] = {}
            for row in self.waiting:
                groups.setdefault(row.key(rule.key), []).append(row)
            for group in groups.values():
                quiet = self.over(group[-1].asked_s, rule.period_s)
                if quiet or self.over(group[0].asked_s, rule.max_s):
                    self.drop(group[:-1], f"{group[-1].run} came after it")
                else:
                    self.hold(group)

    def batch(self) -> None:
        if rule := self.policy.batch:
            left = self.waiting
            while left:
                group, left = left[: rule.size], left[rule.size :]
                if len(group) == rule.size or self.over(group[0].asked_s, rule.wait_s):
                    self.said.args[group[0].run] = {"batch": [row.arg for row in group]}
                    self.drop(group[1:], f"{group[0].run} does its work")
                else:
                    self.hold(group)

    def rate_limit(self) -> None:
        if rule := self.policy.rate_limit:
            for row in self.waiting:
                if len(self.recent(row, rule.key, rule.period_s)) >= rule.limit:
                    self.drop([row], "over the rate limit")
                else:
                    self.begun.append(self.beginning(row))

    def places(self) -> None:
        """Let those begin for whom there is room, the highest priority first."""
        name, limit, pace = self.policy.priority, self.policy.concurrency, self.policy.throttle
        for row in sorted(self.waiting, key=lambda row: -_rank(row, name)):
            if limit:
                alike = [other for other in self.busy if other.key(limit.key) == row.key(limit.key)]
                if len(alike) >= limit.limit:
                    self.hold([row])
                    continue
            if pace:
                recent = self.recent(row, pace.key, pace.period_s)
                if len(recent) >= pace.limit:
                    self.said.wake(recent[-pace.limit] + pace.period_s * self.scale)
                    self.hold([row])
                    continue
            self.said.begin.append(row.run)
            self.busy.append(self.beginning(row))
            self.begun.append(self.busy[-1])
        if self.policy.finish_timeout_s is not None and self.said.begin:
            self.said.wake(self.now_s + self.policy.finish_timeout_s * self.scale)

    def beginning(self, row: Row) -> Row:
        return Row(run=row.run, arg=row.arg, asked_s=row.asked_s, began_s=self.now_s)

    def hold(self, rows: Sequence[Row]) -> None:
        self.said.wait += [row.run for row in rows]
        self.waiting = [row for row in self.waiting if row not in rows]


def _rank(row: Row, name: str) -> float:
    value = row.arg.get(name) if name and isinstance(row.arg, dict) else None
    return value if isinstance(value, int | float) else 0


def cancelled_by(rules: Sequence[CancelOn], event: str, payload: Json, arg: Json) -> bool:
    """Say whether an event cancels a run with this arg."""
    return any(rule.hits(event, payload, arg) for rule in rules)
