"""What a run's records say together: what is done, what is in doubt, who holds it.

The same rules that read a log say what may be written to it.  A record that contradicts those
before it is refused, whoever asks: that is what makes the log worth believing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

from harness.effects import Json, Tier
from runtimes.reference.effect_log.errors import ConflictError, ContradictionError
from runtimes.reference.effect_log.records import (
    Cancel,
    Completion,
    Decision,
    Entry,
    Intent,
    Lease,
    Outcome,
    Plan,
    Read,
    Record,
    Resolution,
    Revoke,
    Summary,
    Terminal,
    Verdict,
    Via,
    made,
    plain,
)


class Standing(StrEnum):
    """What is known of an effect that was ever tried."""

    DONE = "done"
    NOT_DONE = "not done"
    IN_DOUBT = "in doubt"
    UNKNOWN = "unknown"
    """It was in doubt, and only a human can tell."""


OPEN = frozenset({Standing.IN_DOUBT, Standing.UNKNOWN})
OUTCOMES: Mapping[Outcome, Standing] = {
    Outcome.OK: Standing.DONE,
    Outcome.FAILED_AFTER: Standing.DONE,
    Outcome.FAILED_BEFORE: Standing.NOT_DONE,
    Outcome.CONFLICT: Standing.NOT_DONE,
}
VERDICTS: Mapping[Verdict, Standing] = {
    Verdict.APPLIED: Standing.DONE,
    Verdict.ABSENT: Standing.NOT_DONE,
    Verdict.UNKNOWN: Standing.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An effect, from its latest intent on; ``epoch`` is the one that intent was written in."""

    intent: Intent
    epoch: int
    completion: Completion | None = None
    resolution: Resolution | None = None

    @property
    def standing(self) -> Standing:
        """Return what is known of it."""
        if self.completion is not None:
            return OUTCOMES[self.completion.outcome]
        return Standing.IN_DOUBT if self.resolution is None else VERDICTS[self.resolution.verdict]

    @property
    def overtaken(self) -> bool:
        """Say whether its target was found to be otherwise: it may have been done before that."""
        if self.completion is None:
            return False
        return (self.completion.outcome, self.completion.via) == (Outcome.CONFLICT, Via.RECONCILE)


@dataclass(slots=True)
class Facts:
    """All that is known of one run; slots are the plan's own names of what it does."""

    epoch: int = 0
    holder: str = ""
    claim: str = ""
    plan: Plan | None = None
    reads: dict[str, tuple[int, Read]] = field(default_factory=dict)
    """With the number of the record."""
    decisions: dict[str, Decision] = field(default_factory=dict)
    effects: dict[str, Tried] = field(default_factory=dict)
    drifted: dict[str, int] = field(default_factory=dict)
    """The latest plan that a changed resource forced."""
    revoked: set[str] = field(default_factory=set)
    cancel: Cancel | None = None
    terminal: Terminal | None = None

    @property
    def plan_epoch(self) -> int:
        """Return the number of the plan; 0 before the first."""
        return self.plan.plan_epoch if self.plan else 0

    @property
    def unresolved(self) -> list[str]:
        """Return the slots of which nobody knows yet whether they were done."""
        return [slot for slot, tried in self.effects.items() if tried.standing in OPEN]

    def add(self, entry: Entry) -> None:
        """Take a record in.

        Raises:
            ConflictError: another request stands in its slot.
            ContradictionError: the records before it rule it out.

        """
        record = entry.record
        epoch = self.epoch
        if isinstance(record, Lease):
            epoch = record.epoch
            if epoch != self.epoch + 1:
                _refuse(f"epoch {epoch} after {self.epoch}")
        elif epoch == 0:
            _refuse("nobody holds the run")
        if entry.epoch != epoch:
            _refuse(f"written in epoch {entry.epoch}, the run is in {epoch}")
        if self.terminal and not isinstance(record, Lease | Resolution | Revoke | Summary):
            _refuse(f"the run is {self.terminal.status} already")
        TAKES[type(record)](self, entry.seq, record)

    def copy(self) -> Facts:
        """Return the same facts, to which others may be added."""
        return Facts(
            self.epoch,
            self.holder,
            self.claim,
            self.plan,
            dict(self.reads),
            dict(self.decisions),
            dict(self.effects),
            dict(self.drifted),
            set(self.revoked),
            self.cancel,
            self.terminal,
        )

    def to_json(self) -> dict[str, Json]:
        """Return everything as a JSON object, for a summary."""
        return {
            "epoch": self.epoch,
            "holder": self.holder,
            "claim": self.claim,
            "plan": plain(self.plan) if self.plan else None,
            # Lists, because the keys of an object are sorted, and the order is what came first.
            "reads": [[seq, plain(read)] for seq, read in self.reads.values()],
            "decisions": [plain(decision) for decision in self.decisions.values()],
            "effects": [
                {
                    "intent": plain(tried.intent),
                    "epoch": tried.epoch,
                    "completion": plain(tried.completion) if tried.completion else None,
                    "resolution": plain(tried.resolution) if tried.resolution else None,
                }
                for tried in self.effects.values()
            ],
            "drifted": {**self.drifted},
            "revoked": [*sorted(self.revoked)],
            "cancel": plain(self.cancel) if self.cancel else None,
            "terminal": plain(self.terminal) if self.terminal else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Facts:
        """Return what ``to_json`` gave.

        Raises:
            VersionError: another version wrote it.

        """

        def maybe(kind: type[Any], value: Any) -> Any:  # noqa: ANN401 - any of the records
            return None if value is None else made(kind, value)

        return cls(
            epoch=data["epoch"],
            holder=data["holder"],
            claim=data["claim"],
            plan=maybe(Plan, data["plan"]),
            reads={read["slot"]: (seq, made(Read, read)) for seq, read in data["reads"]},
            decisions={one["slot"]: made(Decision, one) for one in data["decisions"]},
            effects={
                one["intent"]["slot"]: Tried(
                    intent=made(Intent, one["intent"]),
                    epoch=one["epoch"],
                    completion=maybe(Completion, one["completion"]),
                    resolution=maybe(Resolution, one["resolution"]),
                )
                for one in data["effects"]
            },
            drifted=dict(data["drifted"]),
            revoked=set(data["revoked"]),
            cancel=maybe(Cancel, data["cancel"]),
            terminal=maybe(Terminal, data["terminal"]),
        )


def _refuse(why: str) -> NoReturn:
    raise ContradictionError(why)


def _lease(facts: Facts, seq: int, record: Lease) -> None:
    del seq
    facts.epoch, facts.holder, facts.claim = record.epoch, record.holder, record.claim


def _plan(facts: Facts, seq: int, record: Plan) -> None:
    del seq
    if record.plan_epoch != facts.plan_epoch + 1:
        _refuse(f"plan {record.plan_epoch} after {facts.plan_epoch}")
    seen = {number for number, _ in facts.reads.values()}
    for premise in record.premises:
        if premise.read_seq not in seen:
            _refuse(f"premise {premise.resource} rests on no sealed read")
    facts.plan = record
    facts.drifted.update(dict.fromkeys(record.drifted, record.plan_epoch))


def _read(facts: Facts, seq: int, record: Read) -> None:
    if record.slot in facts.reads:
        _refuse(f"{record.slot} is sealed already")
    facts.reads[record.slot] = (seq, record)


def _decision(facts: Facts, seq: int, record: Decision) -> None:
    del seq
    if record.slot in facts.decisions:
        _refuse(f"{record.slot} is decided already")
    facts.decisions[record.slot] = record


def _intent(facts: Facts, seq: int, record: Intent) -> None:
    del seq
    slot, tried = record.slot, facts.effects.get(record.slot)
    if slot in facts.reads or slot in facts.decisions:
        msg = f"CONFLICT: {slot} was read or decided, and cannot be {record.op} on {record.target}"
        raise ConflictError(msg)
    if tried and record.fingerprint != tried.intent.fingerprint:
        msg = (
            f"CONFLICT: {slot} was {tried.intent.op} on {tried.intent.target} "
            f"({tried.intent.fingerprint[:12]}), is now {record.op} on {record.target} "
            f"({record.fingerprint[:12]}); fork the plan, or refuse"
        )
        raise ConflictError(msg)
    if facts.cancel:
        _refuse("the run is cancelled")
    if record.capability in facts.revoked:
        _refuse(f"capability {record.capability} is revoked")
    if record.plan_epoch != facts.plan_epoch:
        _refuse(f"it is of plan {record.plan_epoch}, the run follows plan {facts.plan_epoch}")
    if record.attempt != (tried.intent.attempt + 1 if tried else 1):
        _refuse("attempts have no gaps")
    if tried:
        _again(tried, record)
    facts.effects[slot] = Tried(intent=record, epoch=facts.epoch)


def _again(tried: Tried, record: Intent) -> None:
    """Hold a further attempt to the one before it."""
    slot, standing = record.slot, tried.standing
    if record.effect_id != tried.intent.effect_id:
        _refuse(f"{slot} has another effect id")
    if record.key != tried.intent.key:
        _refuse(f"{slot} has another key")
    if standing in {Standing.DONE, Standing.UNKNOWN}:
        _refuse(f"{slot} is {standing}")
    keyed = record.tier is Tier.K and record.key
    if standing is Standing.IN_DOUBT and record.effect.once and not keyed:
        _refuse(f"{slot} is in doubt, no key helps")


def _tried(facts: Facts, record: Completion | Resolution) -> Tried:
    tried = facts.effects.get(record.slot)
    if tried is None or tried.intent.effect_id != record.effect_id:
        msg = f"{record.slot} has no intent of effect {record.effect_id}"
        raise ContradictionError(msg)
    return tried


def _completion(facts: Facts, seq: int, record: Completion) -> None:
    del seq
    tried = _tried(facts, record)
    if tried.standing is not Standing.IN_DOUBT:
        _refuse(f"{record.slot} is {tried.standing} already")
    if record.attempt != tried.intent.attempt:
        _refuse(f"{record.slot} is at attempt {record.attempt}")
    if record.request_hash != tried.intent.request_hash:
        _refuse("it answers another request")
    facts.effects[record.slot] = Tried(intent=tried.intent, epoch=tried.epoch, completion=record)


def _resolution(facts: Facts, seq: int, record: Resolution) -> None:
    del seq
    tried = _tried(facts, record)
    asks = tried.overtaken and record.verdict is Verdict.UNKNOWN
    if tried.standing not in OPEN and not asks:
        _refuse(f"{record.slot} is {tried.standing} already")
    if record.verdict is not Verdict.UNKNOWN and not record.authoritative:
        _refuse(f"{record.verdict} needs evidence that is authoritative")
    facts.effects[record.slot] = Tried(intent=tried.intent, epoch=tried.epoch, resolution=record)


def _revoke(facts: Facts, seq: int, record: Revoke) -> None:
    del seq
    facts.revoked.update(record.capabilities)


def _cancel(facts: Facts, seq: int, record: Cancel) -> None:
    del seq
    if facts.cancel:
        _refuse("the run is cancelled already")
    facts.cancel = record


def _terminal(facts: Facts, seq: int, record: Terminal) -> None:
    del seq
    if open_ := facts.unresolved:
        _refuse(f"{', '.join(open_)}: nobody knows whether it is done")
    facts.terminal = record


def _summary(facts: Facts, seq: int, record: Summary) -> None:
    del seq
    if record.facts != facts.to_json():
        _refuse("the summary is not of the records before it")


TAKES: Mapping[type[Record], Callable[[Facts, int, Any], None]] = {
    Lease: _lease,
    Plan: _plan,
    Read: _read,
    Decision: _decision,
    Intent: _intent,
    Completion: _completion,
    Resolution: _resolution,
    Revoke: _revoke,
    Cancel: _cancel,
    Terminal: _terminal,
    Summary: _summary,
}
