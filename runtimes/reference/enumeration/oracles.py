"""What must hold of a run, by its ledger and its log: pure functions, each with its number.

The numbers are those of the design notes.  A finding is a sentence; no finding is no violation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.errors import ConflictError
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.records import (
    Completion,
    Intent,
    Lease,
    Outcome,
    Plan,
    Read,
    Record,
    Resolution,
    Revoke,
)
from runtimes.reference.enumeration.agent import DNS, DRIFT, INBOX, OWED, TABLES, Given
from runtimes.reference.enumeration.world import Applied, World
from runtimes.reference.resume.errors import PlanError


EFFECTS = (Intent, Completion, Resolution)


@dataclass(slots=True)
class Told:
    """The records by what they speak of, each with how many stood before it."""

    intents: dict[str, list[tuple[int, Intent]]] = field(default_factory=dict)
    effects: list[Intent | Completion | Resolution] = field(default_factory=list)
    rights: list[Lease | Revoke | Intent] = field(default_factory=list)
    leases: list[tuple[int, int]] = field(default_factory=list)
    """Epochs."""
    epochs: list[int] = field(default_factory=lambda: [0])
    """The highest one of the first so many records; 0 before the first lease."""
    plans: list[int] = field(default_factory=lambda: [0])
    """The latest plan of the first so many records."""

    @classmethod
    def by(cls, records: list[Record]) -> Told:
        """Return what records say."""
        told = cls()
        epoch = plan = 0
        for place, record in enumerate(records):
            if isinstance(record, EFFECTS):
                told.effects.append(record)
                if isinstance(record, Intent):
                    told.rights.append(record)
                    told.intents.setdefault(record.slot, []).append((place, record))
            elif isinstance(record, Revoke):
                told.rights.append(record)
            elif isinstance(record, Lease):
                told.rights.append(record)
                told.leases.append((place, record.epoch))
                epoch = max(epoch, record.epoch)
            elif isinstance(record, Plan):
                plan = max(plan, record.plan_epoch)
            told.epochs.append(epoch)
            told.plans.append(plan)
        return told

    def epoch(self, rows: int) -> int:
        """Return the highest epoch of the first so many records; 0 before the first lease."""
        return self.epochs[min(rows, len(self.epochs) - 1)]

    def plan(self, rows: int) -> int:
        """Return the latest plan of the first so many records."""
        return self.plans[min(rows, len(self.plans) - 1)]

    def intent(self, line: Applied) -> Intent | None:
        """Return the last intent of an effect before it was applied."""
        for place, intent in reversed(self.intents.get(line.slot, ())):
            if place < line.rows:
                return intent
        return None


@dataclass(frozen=True)
class Evidence:
    """A run that is over: its world, its records in order, what is known of it, its last error.

    ``drifted`` says that a stranger wrote, ``aged`` that keys were forgotten meanwhile.
    """

    world: World
    records: list[Record]
    facts: Facts
    given: list[Given]
    error: Exception | None
    drifted: bool = False
    aged: bool = False

    @property
    def completed(self) -> bool:
        """Say whether the run says so."""
        return self.facts.terminal is not None and self.facts.terminal.status == "completed"

    @property
    def escalated(self) -> bool:
        """Say whether a human has to look."""
        return any(each.standing is Standing.UNKNOWN for each in self.facts.effects.values())

    @cached_property
    def told(self) -> Told:
        """Return the records, sorted."""
        return Told.by(self.records)

    @cached_property
    def violated(self) -> dict[str, str]:
        """Return what ``judge`` finds, once for all runs that end alike."""
        return judge(self)


@cache
def base(slot: str) -> str:
    """Return a slot's name in the first plan."""
    return slot.partition("@")[0].partition(".")[0]


def duplicate(seen: Evidence) -> Iterator[str]:
    """O1: what cannot be undone is done once."""
    yield from _repeated(seen, Effect.IRREVERSIBLE)


def hybrid_twice(seen: Evidence) -> Iterator[str]:
    """O1b: a write that rests on a value is done once, whatever plans follow."""
    yield from _repeated(seen, Effect.HYBRID)


def _repeated(seen: Evidence, effect: Effect) -> Iterator[str]:
    lines = [base(line.slot) for line in seen.world.ledger if line.effect is effect]
    if len(lines) > len({*lines}):
        yield from (f"{slot} {n} times" for slot, n in Counter(lines).items() if n > 1)


def lost(seen: Evidence) -> Iterator[str]:
    """O2: what a completed run owes is there."""
    done = {base(line.slot) for line in seen.world.ledger}
    yield from (slot for slot in OWED if seen.completed and slot not in done)


def sealed_true(seen: Evidence) -> Iterator[str]:
    """O3: a completion says what the world has."""
    made = {(line.slot, line.version) for line in seen.world.ledger}
    for record in seen.told.effects:
        if not isinstance(record, Completion) or record.outcome is not Outcome.OK:
            continue
        if record.provider_ref and (record.slot, record.version_after) not in made:
            yield f"{record.slot} is not at {record.version_after}"


def write_ahead(seen: Evidence) -> Iterator[str]:
    """O4: nothing is done that the log did not have as an intent."""
    for line in seen.world.ledger:
        if seen.told.intent(line) is None:
            yield line.slot


def stale(seen: Evidence) -> Iterator[str]:
    """O5: nobody's write is overwritten by a decision that did not know it."""
    for line in seen.world.ledger:
        if line.stale or (line.over and line.over not in _read(seen)):
            yield line.slot


def _read(seen: Evidence) -> set[str]:
    """Return the hashes of the values that the log has read."""
    return {record.value_hash for record in seen.records if isinstance(record, Read)}


def fenced(seen: Evidence) -> Iterator[str]:
    """O6: nothing is applied for a process that does not hold the run any more."""
    for line in seen.world.ledger if seen.world.fences else ():
        epoch = seen.told.epoch(line.rows)
        if epoch and line.epoch != epoch and not _fence_pending(seen, line, epoch):
            yield f"{line.slot} in epoch {line.epoch} of {epoch}"


def revoked(seen: Evidence) -> Iterator[str]:
    """O8: no effect is begun under a capability that has ended, and a take-over ends them all."""
    given: dict[str, int] = {}
    ended: set[str] = set()
    epoch = 0
    for record in seen.told.rights:
        if isinstance(record, Lease):
            epoch = record.epoch
        elif isinstance(record, Revoke):
            ended.update(record.capabilities)
        elif record.capability:
            if record.capability in ended:
                yield f"{record.slot} under {record.capability}, which had ended"
            given.setdefault(record.capability, epoch)
            for capability, of in given.items():
                if of < epoch and capability not in ended:
                    yield f"{capability} of epoch {of} is good in epoch {epoch}"


def doubt_closed(seen: Evidence) -> Iterator[str]:
    """O12: at its end nothing is in doubt, and nothing was tried again while it was."""
    if seen.facts.terminal:
        yield from (f"{slot} is open" for slot in seen.facts.unresolved)
    last: dict[str, Record] = {}
    for record in seen.told.effects:
        if isinstance(record, Intent):
            again = isinstance(last.get(record.slot), Intent)
            if again and record.effect.once and record.tier is not Tier.K:
                yield f"{record.slot} was tried again while in doubt"
        last[record.slot] = record


def needless(seen: Evidence) -> Iterator[str]:
    """O13: a human is asked only where nobody else can tell.

    That is of what cannot be undone, where the provider says nothing: an opaque one, one that has
    forgotten the key, and one with versions of a list, to which others may have added too.  Of a
    value too that a stranger has written since, where versions are all that there is, or nothing.
    """
    for slot, tried in seen.facts.effects.items():
        intent = tried.intent
        open_ = intent.tier is Tier.O or (intent.tier is Tier.K and seen.aged)
        listed = intent.tier is Tier.V and intent.target == INBOX
        once = intent.effect is Effect.IRREVERSIBLE and (open_ or listed)
        written = intent.effect is Effect.HYBRID and (open_ or intent.tier is Tier.V)
        if tried.standing is Standing.UNKNOWN and not (once or (written and seen.drifted)):
            yield slot


def replanned(seen: Evidence) -> Iterator[str]:
    """O14: after a forced plan nothing of the old one is done."""
    for line in seen.world.ledger:
        intent, plan = seen.told.intent(line), seen.told.plan(line.rows)
        if intent and intent.plan_epoch != plan:
            yield f"{line.slot} of plan {intent.plan_epoch} under plan {plan}"


def ended(seen: Evidence) -> Iterator[str]:
    """O15: a run ends, or a human is asked."""
    if isinstance(seen.error, ConflictError | PlanError):
        return  # it asked for something else under the same name, and was refused
    if seen.error is not None:
        yield f"{type(seen.error).__name__}: {seen.error}"
    elif seen.facts.terminal is None and not seen.escalated:
        yield "it goes on for ever"


def same_end(seen: Evidence) -> Iterator[str]:
    """O16: however often it died, a completed run leaves the same world."""
    wanted: dict[str, Json] = {"target": "created", DNS: "target"}
    wanted |= {f"target/{table}": value for table, value in TABLES.items()}
    wanted |= {table: [] for table in TABLES}
    for path, value in wanted.items() if seen.completed else ():
        found = seen.world.things[path].value if path in seen.world.things else None
        strange = seen.drifted and path == DNS and found == DRIFT[1]
        if found != value and not strange:
            yield f"{path} is {found!r}, not {value!r}"


def faithful(seen: Evidence) -> Iterator[str]:
    """O19: whoever asks again under the same plan is given the same."""
    first: dict[tuple[str, int], bytes] = {}
    for slot, plan, given in seen.given:
        if first.setdefault((slot, plan), given) != given:
            yield f"{slot} under plan {plan}"


def _fence_pending(seen: Evidence, line: Applied, epoch: int) -> bool:
    """Say whether the lease of that epoch was written, and its fence not yet set.

    What arrives in between is settled after the fence, like all that is in doubt.
    """
    return any(of == epoch and line.rows == place + 1 for place, of in seen.told.leases)


ORACLES: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "O1 duplicate": duplicate,
    "O1b hybrid twice": hybrid_twice,
    "O2 lost": lost,
    "O3 sealed is true": sealed_true,
    "O4 write-ahead": write_ahead,
    "O5 stale write": stale,
    "O6 fenced": fenced,
    "O8 revoked": revoked,
    "O12 doubt closed": doubt_closed,
    "O13 needless escalation": needless,
    "O14 re-plan": replanned,
    "O15 ended": ended,
    "O16 same end": same_end,
    "O19 replay": faithful,
}
SCORES = frozenset({"O13 needless escalation"})
"""What is counted, and is no harm."""


def judge(seen: Evidence) -> dict[str, str]:
    """Return the violated oracles, each with its first finding."""
    found = {name: next(oracle(seen), None) for name, oracle in ORACLES.items()}
    return {name: why for name, why in found.items() if why is not None}


__all__ = ["ORACLES", "SCORES", "Evidence", "judge"]
