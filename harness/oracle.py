"""Judging: pure functions of a history and an expectation, merged by worst.

An oracle answers OK, VIOLATED or UNKNOWN, or NOT_APPLICABLE where it lacks its evidence:
that is never a pass.  One that raises is UNKNOWN.  A violation that the declared guarantee
makes is *predicted*: still a violation, still red, but the instrument works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.effects import Json, Op
from harness.guardian import Scope
from harness.history import Event


class Outcome(StrEnum):
    """What an oracle found, in order of badness."""

    NOT_APPLICABLE = "not applicable"
    OK = "ok"
    UNKNOWN = "unknown"
    VIOLATED = "violated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the model says of one run.

    ``violated`` must occur where the expectation is ``exact``; ``permitted`` may.  ``ends``
    are the statuses in which the run may end; ``owed`` the (run, step) pairs of the writes
    that a completed run has applied; ``children`` the child runs; ``groups`` maps the
    branches of a gather to its name.  ``changed``: the program was changed under the run, so
    that what did not go on by the deadline never will, however often it is tried.  ``scope``: all
    that the run and its children may do, where that is known.  ``asks``: what a human must allow.
    """

    exact: bool
    ends: frozenset[str]
    violated: frozenset[str]
    permitted: frozenset[str]
    owed: tuple[tuple[str, str], ...]
    world: Mapping[str, Json]
    output: Json
    children: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    hang_timer_s: float | None = None
    changed: bool = False
    scope: frozenset[Scope] | None = None
    asks: frozenset[Op] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one oracle says of one run; ``witness`` lists indexes of events."""

    oracle: str
    outcome: Outcome
    predicted: bool = False
    witness: tuple[int, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object."""
        return {**asdict(self), "outcome": str(self.outcome), "witness": list(self.witness)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What an oracle returns: the outcome, the events that show it, and a sentence."""

    outcome: Outcome
    witness: tuple[int, ...] = ()
    note: str = ""


OK = Finding(Outcome.OK)
NOT_APPLICABLE = Finding(Outcome.NOT_APPLICABLE)


def violated(note: str, *events: Event) -> Finding:
    """Return a violation with its witnesses."""
    return Finding(Outcome.VIOLATED, tuple(event.index for event in events), note)


def unknown(note: str, *events: Event) -> Finding:
    """Return an honest "cannot tell"."""
    return Finding(Outcome.UNKNOWN, tuple(event.index for event in events), note)


Oracle = Callable[[Sequence[Event], Expectation], Finding]


def last_view(events: Sequence[Event]) -> Event | None:
    """Return the last thing that the runtime said of the run itself (not of a child)."""
    return next((e for e in reversed(events) if e.kind == "view" and "." not in e.run), None)


def judge(events: Sequence[Event], expectation: Expectation) -> list[Verdict]:
    """Let every oracle look at one run's history."""
    from harness.oracles import ORACLES  # noqa: PLC0415 - the oracles import this module

    verdicts = []
    for name, oracle in ORACLES.items():
        try:
            found = oracle(events, expectation)
        except Exception as error:  # noqa: BLE001 - an oracle that raises cannot tell
            found = unknown(f"the oracle raised {type(error).__name__}: {error}")
        verdicts.append(
            Verdict(
                oracle=name,
                outcome=found.outcome,
                predicted=found.outcome is Outcome.VIOLATED and name in expectation.permitted,
                witness=found.witness,
                note=found.note,
            )
        )
    return verdicts


def predict(events: Sequence[Event], expectation: Expectation, *, hung: bool) -> frozenset[str]:
    """Return the oracles that the model's own history violates."""
    from harness.oracles import EVIDENT  # noqa: PLC0415 - the oracles import this module

    names = {
        name
        for name, oracle in EVIDENT.items()
        if oracle(events, expectation).outcome is Outcome.VIOLATED
    }
    # A hang that no timer ends leaves the run where it is; the model has no clock to show it.
    return frozenset(names | ({"hung_handler", "broken_chain"} if hung else set()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All verdicts of one run, against what was expected.

    ``unpredicted`` are violations that the guarantee does not make, ``absent`` predicted
    ones that did not occur; both fail the run of the instrument.
    """

    verdicts: tuple[Verdict, ...]
    violated: frozenset[str]
    unpredicted: frozenset[str]
    absent: frozenset[str]
    end: str

    @property
    def outcome(self) -> Outcome:
        """Return the worst outcome."""
        order = list(Outcome)
        return max((v.outcome for v in self.verdicts), key=order.index, default=Outcome.UNKNOWN)

    @property
    def unknown(self) -> bool:
        """Say whether nothing can be concluded: an UNKNOWN that no violation outranks.

        Vacuity outranks even a violation: what was not broken as planned shows nothing.
        So does a run that may still be moving: its worst may be to come.
        """
        outcomes = {verdict.oracle: verdict.outcome for verdict in self.verdicts}
        vacuous = outcomes.get("vacuity") is Outcome.UNKNOWN
        unsettled = outcomes.get("ghost_running") is Outcome.UNKNOWN and not (
            {"hung_handler", "orphaned_claim", "broken_chain"} & self.violated
        )
        return vacuous or unsettled or self.outcome is Outcome.UNKNOWN

    @property
    def surprising(self) -> bool:
        """Say whether it contradicts the expectation."""
        return not self.unknown and bool(self.unpredicted or self.absent)

    def to_json(self) -> dict[str, Any]:
        """Return the judgement as a JSON object."""
        return {
            "outcome": str(Outcome.UNKNOWN if self.unknown else self.outcome),
            "end": self.end,
            "violated": sorted(self.violated),
            "unpredicted": sorted(self.unpredicted),
            "absent": sorted(self.absent),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }


def assess(events: Sequence[Event], expectation: Expectation) -> Judgement:
    """Judge one run's history and compare it with the expectation."""
    verdicts = judge(events, expectation)
    broken = frozenset(v.oracle for v in verdicts if v.outcome is Outcome.VIOLATED)
    view = last_view(events)
    return Judgement(
        verdicts=tuple(verdicts),
        violated=broken,
        unpredicted=broken - expectation.permitted,
        absent=(expectation.violated - broken) if expectation.exact else frozenset(),
        end=str(view.data["status"]) if view else "unknown",
    )
